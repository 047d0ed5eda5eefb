//! Things that go wrong between a store and what it lies on: rarely, at random, or exactly where a test wants them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, Result,
};

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// It is not done, and reported as failed.
    Refused,
    /// It is done, and reported as failed: what a timeout after success looks like. What only reads is refused.
    Lost,
    /// Its answer breaks off in the middle. What has no body is refused.
    Cut,
    /// Its answer takes some milliseconds.
    Slow,
}

/// How long the answer of a [slow](Fault::Slow) request takes.
pub(crate) const SLOW: Duration = Duration::from_millis(8);

/// How many of all requests go wrong, as parts of one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Shares {
    pub(crate) refused: f64,
    pub(crate) lost: f64,
    pub(crate) cut: f64,
    pub(crate) slow: f64,
}

impl Shares {
    /// Nothing goes wrong.
    pub(crate) const NONE: Self = Self {
        refused: 0.0,
        lost: 0.0,
        cut: 0.0,
        slow: 0.0,
    };

    /// A bad day: 10 % of the requests fail, and 5 % more are done but reported as failed.
    pub(crate) const BAD_DAY: Self = Self {
        refused: 0.10,
        lost: 0.05,
        ..Self::NONE
    };
}

/// Decides what goes wrong, from a seed, and counts it.
#[derive(Debug)]
pub(crate) struct Dice {
    inner: Mutex<Thrown>,
}

#[derive(Debug)]
struct Thrown {
    shares: Shares,
    random: fastrand::Rng,
    requests: u64,
    counts: BTreeMap<Fault, u64>,
}

impl Dice {
    pub(crate) fn new(shares: Shares, seed: u64) -> Self {
        Self {
            inner: Mutex::new(Thrown {
                shares,
                random: fastrand::Rng::with_seed(seed),
                requests: 0,
                counts: BTreeMap::new(),
            }),
        }
    }

    /// From now on so much goes wrong.
    pub(crate) fn set(&self, shares: Shares) {
        self.inner.lock().unwrap().shares = shares;
    }

    /// What goes wrong with the next request.
    pub(crate) fn throw(&self) -> Option<Fault> {
        let mut inner = self.inner.lock().unwrap();
        inner.requests += 1;
        let mut left = inner.random.f64();
        let Shares {
            refused,
            lost,
            cut,
            slow,
        } = inner.shares;
        let shares = [
            (Fault::Refused, refused),
            (Fault::Lost, lost),
            (Fault::Cut, cut),
            (Fault::Slow, slow),
        ];
        for (fault, share) in shares {
            if left < share {
                *inner.counts.entry(fault).or_default() += 1;
                return Some(fault);
            }
            left -= share;
        }
        None
    }

    /// How many requests went wrong in this way.
    pub(crate) fn count(&self, fault: Fault) -> u64 {
        let inner = self.inner.lock().unwrap();
        inner.counts.get(&fault).copied().unwrap_or_default()
    }

    /// How many requests there were.
    pub(crate) fn requests(&self) -> u64 {
        self.inner.lock().unwrap().requests
    }
}

/// What is asked of an object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    Put,
    Get,
    List,
    Delete,
}

/// Requests that go wrong, each in the same way: those of a kind, for objects whose path contains a text, so many of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) request: Request,
    pub(crate) path: &'static str,
    pub(crate) fault: Fault,
    pub(crate) times: u64,
}

/// An object store whose requests go wrong: by rules, and at random.
#[derive(Clone)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    dice: Arc<Dice>,
    rules: Arc<Mutex<Vec<Rule>>>,
    /// How many requests went wrong by a rule.
    ruled: Arc<Mutex<u64>>,
}

impl FaultyStore {
    /// The store `inner`, with which nothing goes wrong yet.
    pub(crate) fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self::with_shares(inner, Shares::NONE, 0)
    }

    /// The store `inner`, with which so much goes wrong, at random from this seed.
    pub(crate) fn with_shares(inner: Arc<dyn ObjectStore>, shares: Shares, seed: u64) -> Self {
        Self {
            inner,
            dice: Arc::new(Dice::new(shares, seed)),
            rules: Arc::default(),
            ruled: Arc::default(),
        }
    }

    /// The store with which nothing goes wrong.
    pub(crate) fn inner(&self) -> &Arc<dyn ObjectStore> {
        &self.inner
    }

    /// What goes wrong at random.
    pub(crate) fn dice(&self) -> &Dice {
        &self.dice
    }

    /// Adds a rule. The first that fits a request decides.
    pub(crate) fn rule(&self, request: Request, path: &'static str, fault: Fault, times: u64) {
        self.rules.lock().unwrap().push(Rule {
            request,
            path,
            fault,
            times,
        });
    }

    /// Removes all rules.
    pub(crate) fn heal(&self) {
        self.rules.lock().unwrap().clear();
        self.dice.set(Shares::NONE);
    }

    /// How many requests went wrong by rules.
    pub(crate) fn ruled(&self) -> u64 {
        *self.ruled.lock().unwrap()
    }

    fn fault(&self, request: Request, path: &str) -> Option<Fault> {
        let mut rules = self.rules.lock().unwrap();
        let fits = |rule: &&mut Rule| {
            rule.times > 0 && rule.request == request && path.contains(rule.path)
        };
        if let Some(rule) = rules.iter_mut().find(fits) {
            rule.times -= 1;
            *self.ruled.lock().unwrap() += 1;
            return Some(rule.fault);
        }
        self.dice.throw()
    }

    /// Does `work` for an object, or something else.
    async fn with_fault<T>(
        &self,
        request: Request,
        path: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match self.fault(request, path) {
            None => work.await,
            Some(Fault::Slow) => {
                tokio::time::sleep(SLOW).await;
                work.await
            }
            Some(Fault::Lost) => {
                // An operation that fails by itself tells that.
                work.await?;
                Err(lost(path))
            }
            Some(Fault::Refused | Fault::Cut) => Err(refused(path)),
        }
    }

    fn listed(
        &self,
        prefix: Option<&Path>,
        list: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = self.clone();
        let path = prefix.map(ToString::to_string).unwrap_or_default();
        let found = async move {
            // Half of a list that breaks off is told, as a page is.
            match this.fault(Request::List, &path) {
                Some(Fault::Cut) => {
                    let found: Vec<ObjectMeta> = list.try_collect().await?;
                    let half = found.len() / 2;
                    let told = found.into_iter().take(half).map(Ok);
                    let told: Vec<_> = told.chain([Err(refused(&path))]).collect();
                    Ok(stream::iter(told).boxed())
                }
                Some(Fault::Refused | Fault::Lost) => Err(refused(&path)),
                Some(Fault::Slow) => {
                    tokio::time::sleep(SLOW).await;
                    Ok(list)
                }
                None => Ok(list),
            }
        };
        stream::once(found).try_flatten().boxed()
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = self.inner.put_opts(location, payload, options);
        self.with_fault(Request::Put, location.as_ref(), put).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begin = self.inner.put_multipart_opts(location, options);
        self.with_fault(Request::Put, location.as_ref(), begin)
            .await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let fault = self.fault(Request::Get, location.as_ref());
        match fault {
            Some(Fault::Slow) => tokio::time::sleep(SLOW).await,
            Some(Fault::Refused | Fault::Lost) => return Err(refused(location.as_ref())),
            Some(Fault::Cut) | None => {}
        }
        let is_head = options.head;
        let result = self.inner.get_opts(location, options).await?;
        if fault != Some(Fault::Cut) {
            return Ok(result);
        }
        if is_head {
            return Err(refused(location.as_ref()));
        }
        let (meta, range) = (result.meta.clone(), result.range.clone());
        let attributes = result.attributes.clone();
        let bytes = result.bytes().await?;
        let half = bytes.slice(..bytes.len() / 2);
        let parts = [Ok(half), Err(refused(location.as_ref()))];
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::iter(parts).boxed()),
            meta,
            range,
            attributes,
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let get = self.inner.get_ranges(location, ranges);
        match self.fault(Request::Get, location.as_ref()) {
            Some(Fault::Slow) => tokio::time::sleep(SLOW).await,
            Some(_) => return Err(refused(location.as_ref())),
            None => {}
        }
        get.await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        locations
            .then(move |location| {
                let this = this.clone();
                async move {
                    let location = location?;
                    let path = location.to_string();
                    let delete = this.inner.delete(&location);
                    this.with_fault(Request::Delete, &path, delete).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix, self.inner.list(prefix))
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(prefix, self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let path = prefix.map(ToString::to_string).unwrap_or_default();
        let list = self.inner.list_with_delimiter(prefix);
        self.with_fault(Request::List, &path, list).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let copy = self.inner.copy_opts(from, to, options);
        self.with_fault(Request::Put, to.as_ref(), copy).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let rename = self.inner.rename_opts(from, to, options);
        self.with_fault(Request::Put, to.as_ref(), rename).await
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({})", self.inner)
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

fn refused(path: &str) -> Error {
    failure(format!("the request for {path} was refused on purpose"))
}

fn lost(path: &str) -> Error {
    failure(format!(
        "the answer to the request for {path} was lost on purpose"
    ))
}

fn failure(what: String) -> Error {
    Error::Generic {
        store: "FaultyStore",
        source: what.into(),
    }
}
