//! What people do with the AWS SDK for Rust, against a server: its address is the first argument, a bucket that is there the
//! second, credentials are where the SDK looks for them. It ends with the first thing that is not as it should be.
//!
//! ```text
//! AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… [AWS_SESSION_TOKEN=…] AWS_REGION=us-east-1 \
//!     cargo run --manifest-path tests/sdk-rust/Cargo.toml -- http://127.0.0.1:9000 bucket [prefix/]
//! ```

use std::env;
use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::Builder;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = env::args().skip(1);
    let endpoint = arguments.next().ok_or("usage: ENDPOINT BUCKET [PREFIX]")?;
    let bucket = arguments.next().ok_or("usage: ENDPOINT BUCKET [PREFIX]")?;
    let prefix = arguments.next().unwrap_or_default();
    let shared =
        aws_config::defaults(aws_config::BehaviorVersion::latest()).endpoint_url(endpoint).load().await;
    let s3 = Client::from_conf(Builder::from(&shared).force_path_style(true).build());
    let place = Place { s3, bucket, prefix };
    place.objects().await?;
    place.checksums().await?;
    place.parts().await?;
    place.conditions().await?;
    place.listings().await?;
    println!("all as it should be");
    Ok(())
}

struct Place {
    s3: Client,
    bucket: String,
    prefix: String,
}

impl Place {
    fn key(&self, name: &str) -> String {
        format!("{}sdk rust/{name}", self.prefix)
    }

    async fn read(&self, name: &str) -> Outcome<Vec<u8>> {
        let got = self
            .s3
            .get_object()
            .bucket(&self.bucket)
            .key(self.key(name))
            .checksum_mode(ChecksumMode::Enabled);
        Ok(got.send().await?.body.collect().await?.to_vec())
    }

    async fn objects(&self) -> Outcome<()> {
        for (name, size) in [("empty", 0), ("small", 10), ("middle", 20_000), ("a+b/ü %2F", 3_000_000)] {
            let body = vec![b'x'; size];
            let put = self.s3.put_object().bucket(&self.bucket).key(self.key(name));
            put.body(ByteStream::from(body.clone())).metadata("note", "from Rust").send().await?;
            assert_eq!(self.read(name).await?, body, "{name}");
            let head = self.s3.head_object().bucket(&self.bucket).key(self.key(name)).send().await?;
            assert_eq!(
                head.metadata().and_then(|all| all.get("note")).map(String::as_str),
                Some("from Rust")
            );
        }
        let range = self.s3.get_object().bucket(&self.bucket).key(self.key("middle")).range("bytes=5-9");
        assert_eq!(range.send().await?.body.collect().await?.to_vec(), b"xxxxx");
        let source = format!("{}/{}sdk%20rust/small", self.bucket, self.prefix);
        let copy = self.s3.copy_object().bucket(&self.bucket).key(self.key("copy")).copy_source(source);
        copy.send().await?;
        assert_eq!(self.read("copy").await?, vec![b'x'; 10]);
        let presigned = self.s3.get_object().bucket(&self.bucket).key(self.key("small"));
        let presigned = presigned.presigned(PresigningConfig::expires_in(Duration::from_secs(600))?).await?;
        println!("presigned: {}", presigned.uri().split('?').next().unwrap_or_default());
        Ok(())
    }

    async fn checksums(&self) -> Outcome<()> {
        for algorithm in [
            ChecksumAlgorithm::Crc32,
            ChecksumAlgorithm::Crc32C,
            ChecksumAlgorithm::Crc64Nvme,
            ChecksumAlgorithm::Sha1,
            ChecksumAlgorithm::Sha256,
        ] {
            let put = self.s3.put_object().bucket(&self.bucket).key(self.key("summed"));
            let body = ByteStream::from(vec![b's'; 100_000]);
            let put = put.checksum_algorithm(algorithm.clone()).body(body).send().await?;
            assert!(!put.e_tag().unwrap_or_default().is_empty(), "{algorithm:?}");
            assert_eq!(self.read("summed").await?.len(), 100_000);
        }
        Ok(())
    }

    async fn parts(&self) -> Outcome<()> {
        for algorithm in [None, Some(ChecksumAlgorithm::Crc32), Some(ChecksumAlgorithm::Sha256)] {
            let (bucket, key) = (&self.bucket, self.key("parts"));
            let begun = self.s3.create_multipart_upload().bucket(bucket).key(&key);
            let begun = begun.set_checksum_algorithm(algorithm.clone()).send().await?;
            let id = begun.upload_id().ok_or("no upload id")?;
            let mut parts = Vec::new();
            for (number, size) in [(1, 5 << 20), (2, 5 << 20), (3, 7)] {
                let body = ByteStream::from(vec![b'0' + number as u8; size]);
                let part = self.s3.upload_part().bucket(bucket).key(&key).upload_id(id).part_number(number);
                let part = part.set_checksum_algorithm(algorithm.clone()).body(body).send().await?;
                let done =
                    CompletedPart::builder().part_number(number).set_e_tag(part.e_tag().map(str::to_owned));
                let done = done.set_checksum_crc32(part.checksum_crc32().map(str::to_owned));
                parts.push(done.set_checksum_sha256(part.checksum_sha256().map(str::to_owned)).build());
            }
            let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
            let complete = self.s3.complete_multipart_upload().bucket(bucket).key(&key).upload_id(id);
            complete.multipart_upload(parts).send().await?;
            let read = self.read("parts").await?;
            assert_eq!((read.len(), read[0], read[read.len() - 1]), ((10 << 20) + 7, b'1', b'3'));
        }
        Ok(())
    }

    async fn conditions(&self) -> Outcome<()> {
        let again = self.s3.put_object().bucket(&self.bucket).key(self.key("small")).if_none_match("*");
        let refused = again.body(ByteStream::from_static(b"y")).send().await;
        let status =
            refused.err().and_then(|error| error.raw_response().map(|response| response.status().as_u16()));
        assert_eq!(status, Some(412));
        let missing = self.s3.get_object().bucket(&self.bucket).key(self.key("none")).send().await;
        assert!(missing.is_err_and(|error| error.into_service_error().is_no_such_key()));
        Ok(())
    }

    async fn listings(&self) -> Outcome<()> {
        let asked = self.s3.list_objects_v2().bucket(&self.bucket).prefix(self.key("")).max_keys(2);
        let mut pages = asked.into_paginator().send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            keys.extend(page?.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        }
        assert_eq!(keys.len(), 7, "{keys:?}");
        let all = keys
            .iter()
            .map(|key| ObjectIdentifier::builder().key(key).build())
            .collect::<Result<Vec<_>, _>>()?;
        let delete = Delete::builder().set_objects(Some(all)).build()?;
        let deleted = self.s3.delete_objects().bucket(&self.bucket).delete(delete).send().await?;
        assert_eq!((deleted.deleted().len(), deleted.errors().len()), (7, 0));
        Ok(())
    }
}
