//! S3's operations, over the store.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::Sha256;
use s3s::dto::{
    Bucket, Checksum, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, CreateBucketInput,
    CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, ETagCondition, GetBucketLocationInput,
    GetBucketLocationOutput, GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput,
    HeadObjectOutput, ListBucketsInput, ListBucketsOutput, ListObjectsV2Input, ListObjectsV2Output, MetadataDirective,
    PutObjectInput, PutObjectOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, TrailingHeaders, s3_error};

use super::store::{Condition, Content, Description, Store};
use super::upload::{Arrived, Upload};
use super::{Blobs, disk, disk_failed, download, listing, timestamp};

#[async_trait::async_trait]
impl S3 for Blobs {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = bucket_name(request.input.bucket)?;
        if self.write(move |store| store.make_bucket(&bucket)).await? {
            Ok(done())
        } else {
            Err(s3_error!(BucketAlreadyOwnedByYou))
        }
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        let bucket = self.bucket(&request.input.bucket)?;
        if self.write(move |store| store.remove_bucket(&bucket)).await? {
            Ok(done())
        } else {
            Err(s3_error!(BucketNotEmpty))
        }
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.bucket(&request.input.bucket)?;
        Ok(done())
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.bucket(&request.input.bucket)?;
        Ok(done())
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let names = self.read(Store::buckets)?;
        let buckets = names.into_iter().map(|name| Bucket { name: Some(name), ..Bucket::default() }).collect();
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets), ..ListBucketsOutput::default() }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let bucket = self.bucket(&request.input.bucket)?;
        let prefix = request.input.prefix.clone().unwrap_or_default();
        let found = self.read(|store| store.list(&bucket, &prefix))?;
        Ok(S3Response::new(listing::page(request.input, found)))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let mut input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let condition = condition(&input)?;
        let body = input.body.take().ok_or_else(|| s3_error!(IncompleteBody))?;
        let arrived = Upload::new(self.store.incoming()).take_in(body, hasher(&input)?).await?;
        check(&input, &arrived, request.trailing_headers.as_ref())?;
        let description = Description {
            size: arrived.size,
            etag: hex::encode(arrived.md5),
            modified_ms: self.clock.now_ms(),
            checksums: checksums(&arrived.checksum),
            headers: headers(&input),
            user: input.metadata.unwrap_or_default().into_iter().collect(),
            key: input.key,
        };
        let (etag, checksum) = (description.etag.clone(), arrived.checksum);
        self.commit(arrived.upload, bucket, description, condition).await?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(ETag::Strong(etag)),
            checksum_sha256: checksum.checksum_sha256,
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            checksum_sha1: checksum.checksum_sha1,
            ..PutObjectOutput::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let (content, mut found) = self.find(&input.bucket, &input.key)?;
        check_etag(&found, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let range = match input.range {
            Some(range) => range.check(found.size)?,
            None => 0..found.size,
        };
        let content_range = input.range.map(|_| format!("bytes {}-{}/{}", range.start, range.end - 1, found.size));
        // A checksum is of the whole object.
        let whole = range.end - range.start == found.size;
        let checksum = |name: &str| found.checksums.get(name).filter(|_| whole).cloned();
        let output = GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(range.end - range.start).ok(),
            content_range,
            checksum_sha256: checksum("SHA256"),
            checksum_crc32: checksum("CRC32"),
            checksum_crc32c: checksum("CRC32C"),
            checksum_crc64nvme: checksum("CRC64NVME"),
            checksum_sha1: checksum("SHA1"),
            content_type: input.response_content_type.or_else(|| found.headers.remove("content-type")),
            content_disposition: input
                .response_content_disposition
                .or_else(|| found.headers.remove("content-disposition")),
            content_encoding: input.response_content_encoding.or_else(|| found.headers.remove("content-encoding")),
            content_language: input.response_content_language.or_else(|| found.headers.remove("content-language")),
            cache_control: input.response_cache_control.or_else(|| found.headers.remove("cache-control")),
            e_tag: Some(ETag::Strong(found.etag)),
            last_modified: Some(timestamp(found.modified_ms)),
            metadata: Some(found.user.into_iter().collect()),
            body: Some(download::stream(content, range).await?),
            ..GetObjectOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let found = self.read(|store| store.describe(&bucket, &input.key))?;
        let mut found = found.ok_or_else(|| s3_error!(NoSuchKey))?;
        check_etag(&found, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let output = HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(found.size).ok(),
            checksum_sha256: found.checksums.remove("SHA256"),
            checksum_crc32: found.checksums.remove("CRC32"),
            checksum_crc32c: found.checksums.remove("CRC32C"),
            checksum_crc64nvme: found.checksums.remove("CRC64NVME"),
            checksum_sha1: found.checksums.remove("SHA1"),
            content_type: found.headers.remove("content-type"),
            content_disposition: found.headers.remove("content-disposition"),
            content_encoding: found.headers.remove("content-encoding"),
            content_language: found.headers.remove("content-language"),
            cache_control: found.headers.remove("cache-control"),
            e_tag: Some(ETag::Strong(found.etag)),
            last_modified: Some(timestamp(found.modified_ms)),
            metadata: Some(found.user.into_iter().collect()),
            ..HeadObjectOutput::default()
        };
        Ok(S3Response::new(output))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let bucket = self.bucket(&request.input.bucket)?;
        self.write(move |store| store.remove(&bucket, &request.input.key)).await?;
        Ok(done())
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let bucket = self.bucket(&request.input.bucket)?;
        let keys: Vec<String> = request.input.delete.objects.into_iter().map(|object| object.key).collect();
        let deleted = self.write(move |store| {
            keys.into_iter().map(|key| store.remove(&bucket, &key).map(|()| key)).collect::<io::Result<Vec<_>>>()
        });
        let deleted = deleted.await?;
        let deleted = deleted.into_iter().map(|key| DeletedObject { key: Some(key), ..DeletedObject::default() });
        Ok(S3Response::new(DeleteObjectsOutput { deleted: Some(deleted.collect()), ..DeleteObjectsOutput::default() }))
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let CopySource::Bucket { bucket: from_bucket, key: from_key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented));
        };
        let (content, source) = self.find(from_bucket, from_key)?;
        check_copied(&source, &input)?;
        let bucket = self.bucket(&input.bucket)?;
        let replaces = input.metadata_directive.as_ref().is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
        let mut description = Description { key: input.key.clone(), modified_ms: self.clock.now_ms(), ..source };
        if replaces {
            description.headers = copied_headers(&input);
            description.user = input.metadata.unwrap_or_default().into_iter().collect();
        }
        let body = download::stream(content, 0..description.size).await?;
        let arrived = Upload::new(self.store.incoming()).take_in(body, ChecksumHasher::default()).await?;
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(description.etag.clone())),
            last_modified: Some(timestamp(description.modified_ms)),
            checksum_sha256: description.checksums.get("SHA256").cloned(),
            ..CopyObjectResult::default()
        };
        self.commit(arrived.upload, bucket, description, Condition::Always).await?;
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() }))
    }
}

/// What S3 answers where there is nothing to say.
fn done<T: Default>() -> S3Response<T> {
    S3Response::new(T::default())
}

impl Blobs {
    fn bucket(&self, name: &str) -> S3Result<String> {
        let name = bucket_name(name.to_owned())?;
        if self.read(|store| store.has_bucket(&name))? { Ok(name) } else { Err(s3_error!(NoSuchBucket)) }
    }

    fn find(&self, bucket: &str, key: &str) -> S3Result<(Content, Description)> {
        let bucket = self.bucket(bucket)?;
        self.read(|store| store.read(&bucket, key))?.ok_or_else(|| s3_error!(NoSuchKey))
    }

    async fn commit(
        &self,
        upload: Upload,
        bucket: String,
        description: Description,
        condition: Condition,
    ) -> S3Result<()> {
        let committed = self.write(move |store| store.put(&bucket, &description, upload.finish()?, &condition));
        committed.await?.map_err(|_| s3_error!(PreconditionFailed))
    }

    /// Looks something up on the caller's own thread: it takes less than handing it to another one.
    fn read<T>(&self, work: impl FnOnce(&Store) -> io::Result<T>) -> S3Result<T> {
        work(&self.store).map_err(disk_failed)
    }

    /// Writes something: on the caller's own thread, too, where no write waits for the disk.
    async fn write<T, F>(&self, work: F) -> S3Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Store) -> io::Result<T> + Send + 'static,
    {
        if !self.store.waits() {
            return self.read(work);
        }
        let store = Arc::clone(&self.store);
        disk(move || work(&store)).await
    }
}

/// A name that S3 would take.
fn bucket_name(name: String) -> S3Result<String> {
    let fits = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let ends = name.starts_with(fits) && name.ends_with(fits);
    let all = name.chars().all(|character| fits(character) || matches!(character, '-' | '.'));
    let good = (3..=63).contains(&name.len()) && ends && all && !name.contains("..");
    if good { Ok(name) } else { Err(s3_error!(InvalidBucketName)) }
}

fn condition(input: &PutObjectInput) -> S3Result<Condition> {
    match (&input.if_match, &input.if_none_match) {
        (None, None) => Ok(Condition::Always),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        (Some(ETagCondition::Any), None) => Ok(Condition::Present),
        (Some(ETagCondition::ETag(etag)), None) => Ok(Condition::Etag(etag.value().to_owned())),
        _ => Err(s3_error!(NotImplemented, "a PUT takes If-Match, or If-None-Match: *")),
    }
}

fn check_etag(
    found: &Description,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let is = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == found.etag,
    };
    if if_match.is_some_and(|condition| !is(condition)) {
        return Err(s3_error!(PreconditionFailed));
    }
    if if_none_match.is_some_and(is) { Err(s3_error!(NotModified)) } else { Ok(()) }
}

fn check_copied(source: &Description, input: &CopyObjectInput) -> S3Result<()> {
    match check_etag(source, input.copy_source_if_match.as_ref(), input.copy_source_if_none_match.as_ref()) {
        Err(_) => Err(s3_error!(PreconditionFailed)),
        Ok(()) => Ok(()),
    }
}

/// SHA-256 always; what else the caller sends or asks for.
fn hasher(input: &PutObjectInput) -> S3Result<ChecksumHasher> {
    let asked = input.checksum_algorithm.as_ref().map_or("", |algorithm| algorithm.as_str());
    if !matches!(asked, "" | "SHA256" | "CRC32" | "CRC32C" | "CRC64NVME" | "SHA1") {
        return Err(s3_error!(NotImplemented, "unknown checksum algorithm {asked}"));
    }
    Ok(ChecksumHasher {
        sha256: Some(Sha256::default()),
        crc32: (asked == "CRC32" || input.checksum_crc32.is_some()).then(Default::default),
        crc32c: (asked == "CRC32C" || input.checksum_crc32c.is_some()).then(Default::default),
        crc64nvme: (asked == "CRC64NVME" || input.checksum_crc64nvme.is_some()).then(Default::default),
        sha1: (asked == "SHA1" || input.checksum_sha1.is_some()).then(Default::default),
    })
}

/// Compares what the caller says of its bytes, before or after them, with what came in.
fn check(input: &PutObjectInput, arrived: &Arrived, trailers: Option<&TrailingHeaders>) -> S3Result<()> {
    if let Some(said) = &input.content_md5
        && *said != STANDARD.encode(arrived.md5)
    {
        return Err(s3_error!(BadDigest));
    }
    let trailers = trailers.and_then(TrailingHeaders::take).unwrap_or_default();
    let came = &arrived.checksum;
    let pairs = [
        ("x-amz-checksum-sha256", &input.checksum_sha256, &came.checksum_sha256),
        ("x-amz-checksum-crc32", &input.checksum_crc32, &came.checksum_crc32),
        ("x-amz-checksum-crc32c", &input.checksum_crc32c, &came.checksum_crc32c),
        ("x-amz-checksum-crc64nvme", &input.checksum_crc64nvme, &came.checksum_crc64nvme),
        ("x-amz-checksum-sha1", &input.checksum_sha1, &came.checksum_sha1),
    ];
    for (name, before, came) in pairs {
        let after = trailers.get(name).and_then(|value| value.to_str().ok());
        if let Some(said) = after.or(before.as_deref())
            && came.as_deref() != Some(said)
        {
            return Err(s3_error!(BadDigest, "{name} differs"));
        }
    }
    Ok(())
}

fn checksums(checksum: &Checksum) -> BTreeMap<String, String> {
    named([
        ("SHA256", &checksum.checksum_sha256),
        ("CRC32", &checksum.checksum_crc32),
        ("CRC32C", &checksum.checksum_crc32c),
        ("CRC64NVME", &checksum.checksum_crc64nvme),
        ("SHA1", &checksum.checksum_sha1),
    ])
}

fn headers(input: &PutObjectInput) -> BTreeMap<String, String> {
    named([
        ("content-type", &input.content_type),
        ("content-disposition", &input.content_disposition),
        ("content-encoding", &input.content_encoding),
        ("content-language", &input.content_language),
        ("cache-control", &input.cache_control),
    ])
}

fn copied_headers(input: &CopyObjectInput) -> BTreeMap<String, String> {
    named([
        ("content-type", &input.content_type),
        ("content-disposition", &input.content_disposition),
        ("content-encoding", &input.content_encoding),
        ("content-language", &input.content_language),
        ("cache-control", &input.cache_control),
    ])
}

fn named<const N: usize>(values: [(&str, &Option<String>); N]) -> BTreeMap<String, String> {
    values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
}
