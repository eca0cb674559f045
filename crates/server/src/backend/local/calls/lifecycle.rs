//! What the store does about objects that are over.

use std::sync::Arc;

use wigeon_core::s3::BucketName;

use super::super::error::StoreError;
use super::super::expire::{self, Cursor, Expired};
use super::super::index;
use super::super::lifecycle::Lifecycle;
use super::super::settings::Setting;
use super::super::store::Store;

impl Store {
    /// A bucket's lifecycle rules, from memory. Rules that cannot be read expire nothing.
    #[must_use]
    pub fn lifecycle(&self, bucket: &BucketName) -> Option<Arc<Lifecycle>> {
        let document = self.setting(bucket, Setting::Lifecycle)?;
        Some(document.parsed(|text| serde_json::from_str(text).unwrap_or_default()))
    }

    /// Carries out the rules of every bucket once, as of now.
    ///
    /// # Errors
    /// Failures of the store only; what was done before stays done.
    pub async fn expire(&self) -> Result<Expired, StoreError> {
        let mut expired = Expired::default();
        for bucket in self.buckets().await? {
            let Some(rules) = self.lifecycle(&bucket.name) else { continue };
            match self.expire_in(&bucket.name, &rules).await {
                Ok(more) => expired.add(more),
                Err(StoreError::NoSuchBucket(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(expired)
    }

    async fn expire_in(&self, name: &BucketName, rules: &Arc<Lifecycle>) -> Result<Expired, StoreError> {
        let mut expired = Expired::default();
        let mut next = Some(Cursor::start());
        while let Some(from) = next {
            let now = self.shared.options.clock.now();
            let (bucket, rules) = (name.clone(), Arc::clone(rules));
            let (over, then) = self
                .read(move |_, index| expire::page(index, index::bucket(index, &bucket)?, &rules, from, now))
                .await?;
            next = then;
            if !over.is_empty() {
                let bucket = name.clone();
                let work = self.write(move |index, effects, clock| {
                    expire::expire(index, effects, &bucket, over, clock.now())
                });
                expired.add(work.await?);
            }
        }
        Ok(expired)
    }
}
