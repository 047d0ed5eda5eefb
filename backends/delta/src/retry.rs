//! Trying again: pauses that grow, and an object store that repeats requests which may succeed later.
//!
//! Clients of cloud stores repeat requests themselves, but give up after some attempts; this goes on until the store's
//! `retry_timeout` is over. Only requests that may be done twice are repeated: a commit is not one ([`log`](crate::log)).

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result,
};

use crate::error::is_transient;

/// The first pause, before jitter.
const FIRST: Duration = Duration::from_millis(10);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);
/// What is no larger is read at once, so that a connection that breaks in the middle is no error.
const AT_ONCE: u64 = 64 << 20;

/// Pauses between attempts: twice as long each time, a random part of it, until the time is up.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    end: Instant,
}

impl Backoff {
    /// Attempts for so long from now.
    pub(crate) fn new(timeout: Duration) -> Self {
        let now = Instant::now();
        Self {
            next: FIRST,
            end: now.checked_add(timeout).unwrap_or(now),
        }
    }

    /// Waits; `false`: the time is up.
    pub(crate) async fn pause(&mut self) -> bool {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        let pause = self.next.mul_f64(0.25 + 0.75 * fastrand::f64());
        self.next = (self.next * 2).min(LONGEST);
        tokio::time::sleep(pause.min(left)).await;
        true
    }
}

/// An object store whose requests are repeated while they fail for reasons that may pass.
#[derive(Clone)]
pub(crate) struct Retrying {
    inner: Arc<dyn ObjectStore>,
    timeout: Duration,
}

impl Retrying {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, timeout: Duration) -> Self {
        Self { inner, timeout }
    }

    async fn repeat<T, F: Future<Output = Result<T>> + Send>(
        &self,
        request: impl Fn() -> F + Send + Sync,
    ) -> Result<T> {
        let mut backoff = Backoff::new(self.timeout);
        loop {
            match request().await {
                Err(error) if is_transient(&error) => {
                    tracing::debug!(%error, "a request failed and is tried again");
                    if !backoff.pause().await {
                        return Err(error);
                    }
                }
                done => return done,
            }
        }
    }
}

#[async_trait]
impl ObjectStore for Retrying {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if options.mode != PutMode::Overwrite {
            return self.inner.put_opts(location, payload, options).await;
        }
        self.repeat(|| {
            self.inner
                .put_opts(location, payload.clone(), options.clone())
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.repeat(|| self.inner.put_multipart_opts(location, options.clone()))
            .await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.repeat(|| async {
            let result = self.inner.get_opts(location, options.clone()).await?;
            let bytes = result.range.end - result.range.start;
            let GetResultPayload::Stream(_) = &result.payload else {
                return Ok(result);
            };
            if bytes > AT_ONCE || options.head {
                return Ok(result);
            }
            let (meta, range, attributes) = (
                result.meta.clone(),
                result.range.clone(),
                result.attributes.clone(),
            );
            let bytes = result.bytes().await?;
            let payload = GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed());
            Ok(GetResult {
                payload,
                meta,
                range,
                attributes,
            })
        })
        .await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.repeat(|| self.inner.get_ranges(location, ranges))
            .await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        locations
            .map(move |location| {
                let this = this.clone();
                async move {
                    let location = location?;
                    this.repeat(|| this.inner.delete(&location)).await?;
                    Ok(location)
                }
            })
            .buffered(10)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix) = (self.clone(), prefix.cloned());
        listed(async move {
            this.repeat(|| this.inner.list(prefix.as_ref()).try_collect())
                .await
        })
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix, offset) = (self.clone(), prefix.cloned(), offset.clone());
        listed(async move {
            let list = || {
                let found = this.inner.list_with_offset(prefix.as_ref(), &offset);
                found.try_collect()
            };
            this.repeat(list).await
        })
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.repeat(|| self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

fn listed(
    found: impl Future<Output = Result<Vec<ObjectMeta>>> + Send + 'static,
) -> BoxStream<'static, Result<ObjectMeta>> {
    // Not every store lists in order, but the Delta kernel expects it.
    let sorted = |mut found: Vec<ObjectMeta>| {
        found.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        stream::iter(found.into_iter().map(Ok))
    };
    stream::once(found).map_ok(sorted).try_flatten().boxed()
}

impl fmt::Display for Retrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Debug for Retrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retrying").finish_non_exhaustive()
    }
}
