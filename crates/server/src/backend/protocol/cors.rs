//! Keeping and telling a bucket's rules for requests of web pages.

use std::sync::Arc;

use http::{Response, StatusCode};
use roxmltree::Node;
use wigeon_core::s3::BucketName;

use super::buckets::no_content;
use super::upload::checked_body;
use super::xml::{self, Answer, Xml, child_text, children};
use crate::authorize::Permit;
use crate::backend::local::Store;
use crate::backend::local::settings::Setting;
use crate::body::{RequestBody, empty};
use crate::cors::{CorsRule, CorsRules};
use crate::refusal::Refusal;

/// The longest document, in bytes.
const LONGEST: usize = 64 << 10;

/// The rules of a bucket; what cannot be read lets nobody in.
pub(super) fn of(store: &Store, bucket: &BucketName) -> Option<Arc<CorsRules>> {
    let document = store.setting(bucket, Setting::Cors)?;
    Some(document.parsed(|text| serde_json::from_str::<CorsRules>(text).unwrap_or_default()))
}

/// `GetBucketCors`
pub(super) async fn get(store: &Store, permit: &Permit) -> Answer {
    let bucket = permit.bucket()?;
    store.bucket(bucket).await?;
    let missing = || {
        let message = "The CORS configuration does not exist";
        Refusal::new("NoSuchCORSConfiguration", StatusCode::NOT_FOUND, message)
    };
    let rules = of(store, bucket).ok_or_else(missing)?;
    let document = Xml::document("CORSConfiguration", |xml| {
        for rule in &rules.0 {
            xml.element("CORSRule", |xml| written(xml, rule));
        }
    });
    Ok(document.answer())
}

fn written(xml: &mut Xml, rule: &CorsRule) {
    xml.optional("ID", rule.id.as_deref());
    for (name, texts) in [
        ("AllowedHeader", &rule.allowed_headers),
        ("AllowedMethod", &rule.allowed_methods),
        ("AllowedOrigin", &rule.allowed_origins),
        ("ExposeHeader", &rule.expose_headers),
    ] {
        texts.iter().for_each(|text| xml.text(name, text));
    }
    xml.optional("MaxAgeSeconds", rule.max_age_seconds.map(|seconds| seconds.to_string()).as_deref());
}

/// `PutBucketCors`
pub(super) async fn put(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let document = checked_body(permit, body, LONGEST).await?;
    let rules = xml::read(&document, "CORSConfiguration", |node| {
        children(node, "CORSRule").map(read).collect::<Result<Vec<_>, _>>()
    })?;
    let rules = CorsRules::checked(rules)?;
    let text = serde_json::to_string(&rules).map_err(|error| Refusal::internal(error.to_string()))?;
    store.set_setting(permit.bucket()?, Setting::Cors, Some(text)).await?;
    Ok(Response::new(empty()))
}

fn read(node: Node<'_, '_>) -> Result<CorsRule, Refusal> {
    let all = |name: &str| -> Vec<String> {
        children(node, name).map(|child| child.text().unwrap_or_default().trim().to_owned()).collect()
    };
    let seconds = child_text(node, "MaxAgeSeconds").map(|text| text.trim().parse()).transpose();
    Ok(CorsRule {
        id: child_text(node, "ID").map(str::to_owned),
        allowed_origins: all("AllowedOrigin"),
        allowed_methods: all("AllowedMethod"),
        allowed_headers: all("AllowedHeader"),
        expose_headers: all("ExposeHeader"),
        max_age_seconds: seconds.map_err(|_| Refusal::malformed_xml("MaxAgeSeconds is not a number."))?,
    })
}

/// `DeleteBucketCors`
pub(super) async fn delete(store: &Store, permit: &Permit) -> Answer {
    store.set_setting(permit.bucket()?, Setting::Cors, None).await?;
    Ok(no_content())
}
