//! Lifecycle rules: kept, told, and what they say of an object.

use std::collections::BTreeSet;

use aws_lc_rs::rand;
use http::header::HeaderName;
use http::{HeaderMap, Response, StatusCode};
use roxmltree::Node;
use wigeon_core::s3::BucketName;
use wigeon_core::s3::uri::percent_encode;
use wigeon_core::time::{Timestamp, http_date, iso8601_millis};

use super::buckets::no_content;
use super::headers::{MOST_OBJECT_TAGS, checked_tags, insert};
use super::upload::checked_body;
use super::xml::{self, Answer, LONGEST_BODY, Xml, child_text, children};
use crate::authorize::Permit;
use crate::backend::local::Store;
use crate::backend::local::attributes::Tags;
use crate::backend::local::lifecycle::{
    Expiration, Filter, FilterForm, Lifecycle, Noncurrent, Rule, Subject,
};
use crate::backend::local::object::ObjectInfo;
use crate::backend::local::settings::Setting;
use crate::body::{RequestBody, empty};
use crate::refusal::Refusal;

/// The most rules of a bucket.
const MOST_RULES: usize = 1000;

/// The longest name of a rule, in characters.
const LONGEST_ID: usize = 255;

/// `GetBucketLifecycleConfiguration`
pub(super) async fn get(store: &Store, permit: &Permit) -> Answer {
    let bucket = permit.bucket()?;
    store.bucket(bucket).await?;
    let rules = store.lifecycle(bucket).ok_or_else(|| {
        let message = "The lifecycle configuration does not exist";
        Refusal::new("NoSuchLifecycleConfiguration", StatusCode::NOT_FOUND, message)
    })?;
    let document = Xml::document("LifecycleConfiguration", |xml| {
        for rule in &rules.0 {
            xml.element("Rule", |xml| written(xml, rule));
        }
    });
    Ok(document.answer())
}

fn written(xml: &mut Xml, rule: &Rule) {
    xml.text("ID", &rule.id);
    let filter = &rule.filter;
    match filter.form {
        FilterForm::Rule => xml.text("Prefix", filter.prefix.as_deref().unwrap_or_default()),
        FilterForm::One => xml.element("Filter", |xml| conditions(xml, filter)),
        FilterForm::And => xml.element("Filter", |xml| xml.element("And", |xml| conditions(xml, filter))),
    }
    xml.text("Status", if rule.enabled { "Enabled" } else { "Disabled" });
    if let Some(expiration) = rule.expiration {
        xml.element("Expiration", |xml| match expiration {
            Expiration::Days(days) => xml.text("Days", &days.to_string()),
            Expiration::Date(date) => {
                let date = Timestamp::from_millisecond(date).map(iso8601_millis);
                xml.optional("Date", date.ok().as_deref());
            }
            Expiration::Markers => xml.text("ExpiredObjectDeleteMarker", "true"),
        });
    }
    if let Some(Noncurrent { days, newer }) = rule.noncurrent {
        xml.element("NoncurrentVersionExpiration", |xml| {
            xml.text("NoncurrentDays", &days.to_string());
            xml.optional("NewerNoncurrentVersions", newer.map(|newer| newer.to_string()).as_deref());
        });
    }
    if let Some(days) = rule.abort_after_days {
        xml.element("AbortIncompleteMultipartUpload", |xml| {
            xml.text("DaysAfterInitiation", &days.to_string())
        });
    }
}

fn conditions(xml: &mut Xml, filter: &Filter) {
    xml.optional("Prefix", filter.prefix.as_deref());
    for (name, value) in &filter.tags {
        xml.element("Tag", |xml| {
            xml.text("Key", name);
            xml.text("Value", value);
        });
    }
    xml.optional("ObjectSizeGreaterThan", filter.larger_than.map(|size| size.to_string()).as_deref());
    xml.optional("ObjectSizeLessThan", filter.smaller_than.map(|size| size.to_string()).as_deref());
}

/// `PutBucketLifecycleConfiguration`. Nothing here has another class to move to: transitions are refused.
pub(super) async fn put(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let document = checked_body(permit, body, LONGEST_BODY).await?;
    let rules = xml::read(&document, "LifecycleConfiguration", |node| {
        children(node, "Rule").map(read).collect::<Result<Vec<_>, _>>()
    })?;
    if rules.is_empty() || rules.len() > MOST_RULES {
        return Err(Refusal::malformed_xml("A lifecycle configuration has between 1 and 1000 rules."));
    }
    let names: BTreeSet<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    if names.len() < rules.len() {
        return Err(Refusal::invalid_argument(
            "Rule ID must be unique. Found same ID for more than one rule",
        ));
    }
    let text =
        serde_json::to_string(&Lifecycle(rules)).map_err(|error| Refusal::internal(error.to_string()))?;
    store.set_setting(permit.bucket()?, Setting::Lifecycle, Some(text)).await?;
    Ok(Response::new(empty()))
}

/// `DeleteBucketLifecycle`
pub(super) async fn delete(store: &Store, permit: &Permit) -> Answer {
    store.set_setting(permit.bucket()?, Setting::Lifecycle, None).await?;
    Ok(no_content())
}

fn read(node: Node<'_, '_>) -> Result<Rule, Refusal> {
    for transition in ["Transition", "NoncurrentVersionTransition"] {
        if children(node, transition).next().is_some() {
            let what = format!("{transition} (objects here have one place, whatever their storage class)");
            return Err(Refusal::not_implemented(&what));
        }
    }
    let id = match child_text(node, "ID").filter(|id| !id.is_empty()) {
        Some(id) if id.chars().count() > LONGEST_ID => {
            return Err(Refusal::invalid_argument("ID length should not exceed allowed limit of 255"));
        }
        Some(id) => id.to_owned(),
        None => made_up_name()?,
    };
    let enabled = match child_text(node, "Status").map(str::trim) {
        Some("Enabled") => true,
        Some("Disabled") => false,
        _ => return Err(Refusal::malformed_xml("The Status of a Rule is Enabled or Disabled.")),
    };
    let rule = Rule {
        id,
        enabled,
        filter: filter(node)?,
        expiration: children(node, "Expiration").next().map(expiration).transpose()?,
        noncurrent: children(node, "NoncurrentVersionExpiration").next().map(noncurrent).transpose()?,
        abort_after_days: children(node, "AbortIncompleteMultipartUpload")
            .next()
            .map(|node| days(node, "DaysAfterInitiation", "AbortIncompleteMultipartUpload"))
            .transpose()?,
    };
    let looks_inside = !rule.filter.tags.is_empty()
        || rule.filter.larger_than.is_some()
        || rule.filter.smaller_than.is_some();
    if rule.expiration.is_none() && rule.noncurrent.is_none() && rule.abort_after_days.is_none() {
        return Err(Refusal::invalid_request("At least one action needs to be specified in a rule"));
    }
    if looks_inside && rule.abort_after_days.is_some() {
        return Err(Refusal::invalid_request(
            "AbortIncompleteMultipartUpload cannot be specified with Tags or object sizes",
        ));
    }
    if looks_inside && rule.expiration == Some(Expiration::Markers) {
        return Err(Refusal::invalid_request(
            "ExpiredObjectDeleteMarker cannot be specified with Tags or object sizes",
        ));
    }
    Ok(rule)
}

fn made_up_name() -> Result<String, Refusal> {
    let mut random = [0; 16];
    rand::fill(&mut random).map_err(|_| Refusal::internal("no randomness"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}

fn filter(rule: Node<'_, '_>) -> Result<Filter, Refusal> {
    let filter = children(rule, "Filter").next();
    let prefix = child_text(rule, "Prefix").map(str::to_owned);
    let Some(filter) = filter else {
        let missing = || Refusal::malformed_xml("A Rule needs a Filter or a Prefix.");
        return Ok(Filter {
            form: FilterForm::Rule,
            prefix: Some(prefix.ok_or_else(missing)?),
            ..Filter::default()
        });
    };
    if prefix.is_some() {
        return Err(Refusal::malformed_xml("A Rule has a Filter or a Prefix, not both."));
    }
    let and = children(filter, "And").next();
    let form = if and.is_some() { FilterForm::And } else { FilterForm::One };
    let node = and.unwrap_or(filter);
    let text = |tag, name| child_text(tag, name).map(str::to_owned);
    let pairs = children(node, "Tag").map(|tag| Some((text(tag, "Key")?, text(tag, "Value")?)));
    let pairs = pairs.collect::<Option<Vec<_>>>();
    let tags: Tags = checked_tags(
        pairs.ok_or_else(|| Refusal::malformed_xml("A Tag needs a Key and a Value."))?,
        MOST_OBJECT_TAGS,
    )?;
    let size = |name| {
        let size = child_text(node, name).map(|text| text.trim().parse::<u64>()).transpose();
        size.map_err(|_| Refusal::invalid_request(format!("{name} must be a number of bytes")))
    };
    let found = Filter {
        form,
        prefix: child_text(node, "Prefix").map(str::to_owned),
        tags,
        larger_than: size("ObjectSizeGreaterThan")?,
        smaller_than: size("ObjectSizeLessThan")?,
    };
    let conditions = usize::from(found.prefix.is_some())
        + found.tags.len()
        + usize::from(found.larger_than.is_some())
        + usize::from(found.smaller_than.is_some());
    if form == FilterForm::One && conditions > 1 {
        return Err(Refusal::malformed_xml("A Filter with more than one condition needs an And."));
    }
    if found.larger_than.zip(found.smaller_than).is_some_and(|(larger, smaller)| smaller <= larger + 1) {
        return Err(Refusal::invalid_request(
            "'ObjectSizeLessThan' has to be greater than 'ObjectSizeGreaterThan'",
        ));
    }
    Ok(found)
}

fn expiration(node: Node<'_, '_>) -> Result<Expiration, Refusal> {
    let marker = child_text(node, "ExpiredObjectDeleteMarker").map(str::trim);
    let date = child_text(node, "Date").map(str::trim);
    let has_days = children(node, "Days").next().is_some();
    match (has_days, date, marker) {
        (true, None, None) => Ok(Expiration::Days(days(node, "Days", "Expiration")?)),
        (false, Some(date), None) => {
            let at: Option<Timestamp> = date.parse().ok();
            let at =
                at.ok_or_else(|| Refusal::malformed_xml("Date is no date of ISO 8601."))?.as_millisecond();
            match at.rem_euclid(86_400_000) {
                0 => Ok(Expiration::Date(at)),
                _ => Err(Refusal::invalid_argument("'Date' must be at midnight GMT")),
            }
        }
        (false, None, Some("true")) => Ok(Expiration::Markers),
        _ => Err(Refusal::malformed_xml(
            "An Expiration has one of Days, Date, and ExpiredObjectDeleteMarker (true).",
        )),
    }
}

fn noncurrent(node: Node<'_, '_>) -> Result<Noncurrent, Refusal> {
    let newer = match child_text(node, "NewerNoncurrentVersions").map(|text| text.trim().parse::<u32>()) {
        None => None,
        Some(Ok(newer)) if (1..=100).contains(&newer) => Some(newer),
        Some(_) => {
            let message =
                "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be between 1 and 100";
            return Err(Refusal::invalid_argument(message));
        }
    };
    Ok(Noncurrent { days: days(node, "NoncurrentDays", "NoncurrentVersionExpiration")?, newer })
}

fn days(node: Node<'_, '_>, name: &str, action: &str) -> Result<u32, Refusal> {
    let days = child_text(node, name).and_then(|text| text.trim().parse::<u32>().ok());
    days.filter(|days| (1..=i32::MAX.unsigned_abs()).contains(days)).ok_or_else(|| {
        Refusal::invalid_argument(format!("'{name}' for {action} action must be a positive integer"))
    })
}

/// `x-amz-expiration`: when a rule deletes the current version.
pub(super) fn insert_expiration(
    headers: &mut HeaderMap,
    store: &Store,
    bucket: &BucketName,
    key: &str,
    object: &ObjectInfo,
) {
    let Some(rules) = store.lifecycle(bucket) else { return };
    let subject = Subject { key, object: Some((object.size, &object.tags)) };
    if let Some((at, rule)) = rules.expires(subject, object.modified) {
        let text = format!("expiry-date=\"{}\", rule-id=\"{}\"", http_date(at), percent_encode(rule, false));
        insert(headers, HeaderName::from_static("x-amz-expiration"), Some(&text));
    }
}
