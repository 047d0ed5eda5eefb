//! An S3 server on loopback, in the process of the test: `s3s` speaks the protocol (signatures, headers, XML), the objects are in
//! memory. `s3s-fs` is not used: its put-if-absent looks first and puts then, so that of two commits both may succeed; it ignores the
//! conditions of reads, and long keys do not fit into the names of its files.
//!
//! A put is one step: whoever puts if absent wins or loses, and nobody sees half an object. Lists come in small pages.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{TryStreamExt, stream};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::crypto::{Checksum, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CommonPrefix,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput,
    DeleteObjectsOutput, DeletedObject, ETag, ETagCondition, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
    PutObjectInput, PutObjectOutput, StreamingBlob, Timestamp, UploadPartInput, UploadPartOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpRequest, HttpResponse, S3, S3Request, S3Response, S3Result, s3_error};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::faults::{Dice, Fault, SLOW, Shares};

/// The one bucket of a server.
const BUCKET: &str = "metaxy-test";
const ACCESS_KEY: &str = "AKIAMETAXYTEST";
/// What no error and no description may show.
pub(crate) const SECRET_KEY: &str = "a-very-secret-key-of-metaxy";
/// The most keys of one page of a list. A real server has 1,000; with fewer, clients have to turn pages.
const PAGE: usize = 50;
/// The largest body of a request.
const LARGEST: usize = 1 << 30;

/// A server with a port of its own. It is gone when this is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    bucket: Arc<Bucket>,
    dice: Arc<Dice>,
    answers: Answers,
    runtime: Option<Runtime>,
}

/// What is answered in place of what should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// Nothing is done: a status and the code of an error.
    Instead(u16, &'static str),
    /// It is done, and said to have failed.
    Lost,
}

type Answers = Arc<Mutex<Option<Box<dyn Fn(&str, &str) -> Option<Answer> + Send>>>>;

impl Server {
    /// A server with an empty bucket, with which nothing goes wrong.
    pub(crate) fn start() -> Self {
        Self::start_with(Shares::NONE, 0)
    }

    /// A server with which so much goes wrong, at random from this seed.
    pub(crate) fn start_with(shares: Shares, seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("s3-server")
            .enable_all()
            .build()
            .unwrap();
        let bucket = Arc::new(Bucket::default());
        let dice = Arc::new(Dice::new(shares, seed));
        let mut service = S3ServiceBuilder::new(Shared(bucket.clone()));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime.block_on(listening).unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Answers::default();
        runtime.spawn(listen(
            listener,
            service.build(),
            dice.clone(),
            answers.clone(),
        ));
        Self {
            address,
            bucket,
            dice,
            answers,
            runtime: Some(runtime),
        }
    }

    /// The address of a folder in the bucket.
    pub(crate) fn root(&self, folder: &str) -> String {
        format!("s3://{BUCKET}/{folder}")
    }

    /// What clients have to be told, as storage options. Commits are put if absent by default, which is what they need.
    pub(crate) fn options(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://{}", self.address);
        [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "false"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// What goes wrong.
    pub(crate) fn dice(&self) -> &Dice {
        &self.dice
    }

    /// The keys in a folder, in order.
    pub(crate) fn keys(&self, folder: &str) -> Vec<String> {
        let objects = self.bucket.objects.lock().unwrap();
        let keys = objects.keys().filter(|key| key.starts_with(folder));
        keys.cloned().collect()
    }

    /// From now on puts overwrite what is there, whatever they are told.
    pub(crate) fn be_careless(&self) {
        self.bucket.careless.store(true, Ordering::Relaxed);
    }

    /// From now on requests are answered as `answers` says of their method and their address; `None`: as they should be.
    pub(crate) fn answer_with(
        &self,
        answers: impl Fn(&str, &str) -> Option<Answer> + Send + 'static,
    ) {
        *self.answers.lock().unwrap() = Some(Box::new(answers));
    }

    /// How many puts were turned down because the object was there.
    pub(crate) fn conflicts(&self) -> u64 {
        self.bucket.conflicts.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn listen(listener: TcpListener, service: S3Service, dice: Arc<Dice>, answers: Answers) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(
            stream,
            service.clone(),
            dice.clone(),
            answers.clone(),
        ));
    }
}

async fn serve(stream: TcpStream, service: S3Service, dice: Arc<Dice>, answers: Answers) {
    let answers = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let (service, dice) = (service.clone(), dice.clone());
        let told = answers
            .lock()
            .unwrap()
            .as_ref()
            .and_then(|answers| answers(request.method().as_str(), &request.uri().to_string()));
        async move {
            let request = request.map(Body::from);
            let given = match told {
                Some(Answer::Instead(status, code)) => failure(status, code),
                Some(Answer::Lost) => {
                    answer(request, &service, &dice).await;
                    failure(500, "InternalError")
                }
                None => answer(request, &service, &dice).await,
            };
            Ok::<_, Infallible>(given)
        }
    });
    let connections = hyper::server::conn::http1::Builder::new();
    // A client that goes away is no trouble of the server's.
    let _ = connections
        .serve_connection(TokioIo::new(stream), answers)
        .await;
}

/// Answers a request, or does something else.
async fn answer(mut request: HttpRequest, service: &S3Service, dice: &Dice) -> HttpResponse {
    // The whole request comes in first, so that half of one does nothing.
    if request.body_mut().store_all_limited(LARGEST).await.is_err() {
        return failure(400, "IncompleteBody");
    }
    let fault = dice.throw();
    match fault {
        Some(Fault::Refused) => return failure(503, "SlowDown"),
        Some(Fault::Slow) => tokio::time::sleep(SLOW).await,
        Some(Fault::Lost | Fault::Cut) | None => {}
    }
    let Ok(mut response) = service.call(request).await else {
        return failure(500, "InternalError");
    };
    match fault {
        Some(Fault::Lost) => failure(500, "InternalError"),
        Some(Fault::Cut) => match response.body_mut().store_all_limited(LARGEST).await {
            Ok(body) if body.len() > 1 => {
                let half = body.slice(..body.len() / 2);
                let broken = std::io::Error::other("cut on purpose");
                let parts = stream::iter([Ok(half), Err(broken)]);
                response.map(|_| Body::from(StreamingBlob::wrap(parts)))
            }
            _ => failure(500, "InternalError"),
        },
        _ => response,
    }
}

fn failure(status: u16, code: &str) -> HttpResponse {
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    let mut response = HttpResponse::new(Body::from(text));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
    response
}

/// The objects.
#[derive(Default)]
struct Bucket {
    objects: Mutex<BTreeMap<String, Stored>>,
    /// The parts of uploads that are not complete yet.
    uploads: Mutex<HashMap<String, BTreeMap<i32, Bytes>>>,
    next_upload: AtomicU64,
    conflicts: AtomicU64,
    /// Puts do not look at what is there.
    careless: AtomicBool,
}

#[derive(Clone)]
struct Stored {
    bytes: Bytes,
    tag: ETag,
    modified: Timestamp,
}

impl Stored {
    fn new(bytes: Bytes) -> Self {
        let tag = Md5::checksum(&bytes).map(|byte| format!("{byte:02x}"));
        Self {
            bytes,
            tag: ETag::Strong(tag.concat()),
            modified: Timestamp::from(SystemTime::now()),
        }
    }

    fn is(&self, condition: &ETagCondition) -> bool {
        match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(tag) => tag.value() == self.tag.value(),
        }
    }
}

impl Bucket {
    /// An object, if it meets the conditions of a read.
    fn find(
        &self,
        key: &str,
        must_be: Option<&ETagCondition>,
        must_not_be: Option<&ETagCondition>,
    ) -> S3Result<Stored> {
        let objects = self.objects.lock().unwrap();
        let found = objects.get(key).ok_or_else(|| s3_error!(NoSuchKey))?;
        if must_be.is_some_and(|condition| !found.is(condition)) {
            return Err(s3_error!(PreconditionFailed));
        }
        if must_not_be.is_some_and(|condition| found.is(condition)) {
            return Err(s3_error!(NotModified));
        }
        Ok(found.clone())
    }

    /// Puts an object, if what is there meets the conditions: one step.
    fn put(
        &self,
        key: String,
        bytes: Bytes,
        must_be: Option<&ETagCondition>,
        must_not_be: Option<&ETagCondition>,
    ) -> S3Result<ETag> {
        let stored = Stored::new(bytes);
        let tag = stored.tag.clone();
        let mut objects = self.objects.lock().unwrap();
        let found = objects.get(&key);
        let is = |condition| found.is_some_and(|found| found.is(condition));
        let careful = !self.careless.load(Ordering::Relaxed);
        let refused =
            must_be.is_some_and(|condition| !is(condition)) || must_not_be.is_some_and(is);
        if careful && refused {
            self.conflicts.fetch_add(1, Ordering::Relaxed);
            return Err(s3_error!(PreconditionFailed));
        }
        objects.insert(key, stored);
        Ok(tag)
    }

    fn list(&self, input: ListObjectsV2Input) -> ListObjectsV2Output {
        let prefix = input.prefix.clone().unwrap_or_default();
        let most = input
            .max_keys
            .and_then(|most| usize::try_from(most).ok())
            .map_or(PAGE, |most| most.min(PAGE));
        let start = Bound::Included(prefix.clone());
        let objects = self.objects.lock().unwrap();
        let (mut contents, mut groups) = (Vec::new(), Vec::new());
        let mut last: Option<String> = None;
        let mut is_truncated = false;
        for (key, object) in objects.range((start, Bound::Unbounded)) {
            if !key.starts_with(&prefix) {
                break;
            }
            let rest = &key[prefix.len()..];
            let group = input.delimiter.as_ref().and_then(|delimiter| {
                let end = prefix.len() + rest.find(delimiter.as_str())? + delimiter.len();
                Some(&key[..end])
            });
            let name = group.unwrap_or(key);
            let is_before = |start: &Option<String>, name: &str| {
                start.as_deref().is_some_and(|start| name <= start)
            };
            if is_before(&input.start_after, key)
                || is_before(&input.continuation_token, name)
                || last.as_deref() == Some(name)
            {
                continue;
            }
            if contents.len() + groups.len() == most {
                is_truncated = true;
                break;
            }
            last = Some(name.to_owned());
            match group {
                Some(group) => groups.push(CommonPrefix {
                    prefix: Some(group.to_owned()),
                }),
                None => contents.push(Object {
                    key: Some(key.clone()),
                    e_tag: Some(object.tag.clone()),
                    last_modified: Some(object.modified.clone()),
                    size: Some(length(&object.bytes)),
                    ..Default::default()
                }),
            }
        }
        ListObjectsV2Output {
            name: Some(input.bucket),
            key_count: i32::try_from(contents.len() + groups.len()).ok(),
            max_keys: input.max_keys,
            contents: Some(contents),
            common_prefixes: Some(groups),
            is_truncated: Some(is_truncated),
            next_continuation_token: last.filter(|_| is_truncated),
            continuation_token: input.continuation_token,
            start_after: input.start_after,
            prefix: input.prefix,
            delimiter: input.delimiter,
            ..Default::default()
        }
    }
}

/// The bucket as the service has it.
struct Shared(Arc<Bucket>);

#[async_trait]
impl S3 for Shared {
    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        is_bucket(&input.bucket)?;
        let bytes = whole(input.body).await?;
        let (must_be, must_not_be) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        let tag = self.0.put(input.key, bytes, must_be, must_not_be)?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(tag),
            ..Default::default()
        }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        is_bucket(&input.bucket)?;
        let (must_be, must_not_be) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        let found = self.0.find(&input.key, must_be, must_not_be)?;
        let (bytes, range) = match input.range {
            None => (found.bytes, None),
            Some(range) => {
                let all = found.bytes.len();
                let part = range.check(all as u64)?;
                let said = format!("bytes {}-{}/{all}", part.start, part.end - 1);
                let part = part.start as usize..part.end as usize;
                (found.bytes.slice(part), Some(said))
            }
        };
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(length(&bytes)),
            content_range: range,
            body: Some(StreamingBlob::from(Body::from(bytes))),
            e_tag: Some(found.tag),
            last_modified: Some(found.modified),
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        is_bucket(&input.bucket)?;
        let (must_be, must_not_be) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        let found = self.0.find(&input.key, must_be, must_not_be)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(length(&found.bytes)),
            e_tag: Some(found.tag),
            last_modified: Some(found.modified),
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        is_bucket(&request.input.bucket)?;
        Ok(S3Response::new(self.0.list(request.input)))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        is_bucket(&request.input.bucket)?;
        self.0.objects.lock().unwrap().remove(&request.input.key);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        is_bucket(&request.input.bucket)?;
        let mut objects = self.0.objects.lock().unwrap();
        let keys = request.input.delete.objects.into_iter().map(|o| o.key);
        let deleted = keys.map(|key| {
            objects.remove(&key);
            DeletedObject {
                key: Some(key),
                ..Default::default()
            }
        });
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: Some(deleted.collect()),
            ..Default::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        is_bucket(&request.input.bucket)?;
        let upload = self.0.next_upload.fetch_add(1, Ordering::Relaxed);
        let upload = format!("upload-{upload}");
        let mut uploads = self.0.uploads.lock().unwrap();
        uploads.insert(upload.clone(), BTreeMap::new());
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(request.input.bucket),
            key: Some(request.input.key),
            upload_id: Some(upload),
            ..Default::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let bytes = whole(input.body).await?;
        let tag = Stored::new(bytes.clone()).tag;
        let mut uploads = self.0.uploads.lock().unwrap();
        let parts = uploads.get_mut(&input.upload_id);
        let parts = parts.ok_or_else(|| s3_error!(NoSuchUpload))?;
        parts.insert(input.part_number, bytes);
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(tag),
            ..Default::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let bytes = {
            let mut uploads = self.0.uploads.lock().unwrap();
            let parts = uploads.remove(&input.upload_id);
            let parts = parts.ok_or_else(|| s3_error!(NoSuchUpload))?;
            let named = input.multipart_upload.and_then(|upload| upload.parts);
            let mut bytes = BytesMut::new();
            for part in named.unwrap_or_default() {
                let part = part.part_number.and_then(|number| parts.get(&number));
                bytes.extend_from_slice(part.ok_or_else(|| s3_error!(InvalidPart))?);
            }
            bytes.freeze()
        };
        let (must_be, must_not_be) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        let key = input.key.clone();
        let tag = self.0.put(input.key, bytes, must_be, must_not_be)?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(key),
            e_tag: Some(tag),
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let mut uploads = self.0.uploads.lock().unwrap();
        uploads.remove(&request.input.upload_id);
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

fn is_bucket(name: &str) -> S3Result<()> {
    match name == BUCKET {
        true => Ok(()),
        false => Err(s3_error!(NoSuchBucket)),
    }
}

/// All bytes of a body.
async fn whole(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let body = body.ok_or_else(|| s3_error!(IncompleteBody))?;
    let parts: Vec<Bytes> = body
        .try_collect()
        .await
        .map_err(|_| s3_error!(IncompleteBody))?;
    Ok(parts.concat().into())
}

fn length(bytes: &Bytes) -> i64 {
    i64::try_from(bytes.len()).unwrap()
}
