//! Object lock: retention until a time, legal holds, and what a bucket gives to new versions.

use http::Method;
pub use wigeon_core::s3::RetentionMode;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::{Timestamp, iso8601, parse_iso8601};

use super::call::Call;
use super::client::Client;
use super::error::{ErrorKind, S3Error};
use super::xml;

/// Until when a version is kept, and how strictly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How strictly.
    pub mode: RetentionMode,
    /// Until when.
    pub until: Timestamp,
}

/// What a bucket gives to each new version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultRetention {
    /// How strictly.
    pub mode: RetentionMode,
    /// For how long: a number of days, or of years.
    pub period: RetentionPeriod,
}

/// A time to keep something for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionPeriod {
    /// Days.
    Days(u32),
    /// Years.
    Years(u32),
}

/// A lock as a new object takes it.
pub(crate) fn with_lock(call: Call, retention: Option<Retention>, is_held: bool) -> Result<Call, S3Error> {
    let until = retention.map(|retention| iso8601(retention.until));
    call.maybe_header("x-amz-object-lock-mode", retention.map(|retention| retention.mode.name()))?
        .maybe_header("x-amz-object-lock-retain-until-date", until.as_deref())?
        .maybe_header("x-amz-object-lock-legal-hold", is_held.then_some("ON"))
}

impl Client {
    /// A version's retention (GetObjectRetention), if it has one.
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn retention(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&str>,
    ) -> Result<Option<Retention>, S3Error> {
        let call = Call::object("GetObjectRetention", Method::GET, bucket, key).version(version);
        let answer = match self.send_whole(&call.query("retention", "")).await {
            Err(error) if is_unset(&error) => return Ok(None),
            other => other?,
        };
        let (mut mode, mut until) = (None, None);
        xml::walk(&answer.body, |path, text| {
            match path {
                "Mode" => mode = RetentionMode::parse(text),
                "RetainUntilDate" => until = parse_iso8601(text),
                _ => {}
            }
            Ok(())
        })
        .map_err(|what| self.not_understood("GetObjectRetention", what))?;
        Ok(mode.zip(until).map(|(mode, until)| Retention { mode, until }))
    }

    /// Keeps a version until a time, or no longer (PutObjectRetention). To shorten a governance retention takes
    /// `bypass`.
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn set_retention(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&str>,
        retention: Option<Retention>,
        bypass: bool,
    ) -> Result<(), S3Error> {
        let mut body = String::from("<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        if let Some(retention) = retention {
            xml::element(&mut body, "Mode", retention.mode.name());
            xml::element(&mut body, "RetainUntilDate", &iso8601(retention.until));
        }
        body.push_str("</Retention>");
        let mut call = Call::object("PutObjectRetention", Method::PUT, bucket, key)
            .query("retention", "")
            .version(version)
            .document(body)?;
        if bypass {
            call = call.header("x-amz-bypass-governance-retention", "true")?;
        }
        self.send_whole(&call).await.map(drop)
    }

    /// Whether somebody holds a version (GetObjectLegalHold); `None` where nobody ever said.
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn legal_hold(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&str>,
    ) -> Result<Option<bool>, S3Error> {
        let call = Call::object("GetObjectLegalHold", Method::GET, bucket, key).version(version);
        let answer = match self.send_whole(&call.query("legal-hold", "")).await {
            Err(error) if is_unset(&error) => return Ok(None),
            other => other?,
        };
        let mut hold = None;
        xml::walk(&answer.body, |path, text| {
            if path == "Status" {
                hold = Some(text == "ON");
            }
            Ok(())
        })
        .map_err(|what| self.not_understood("GetObjectLegalHold", what))?;
        Ok(hold)
    }

    /// Holds a version, or lets it go (PutObjectLegalHold).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn set_legal_hold(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&str>,
        hold: bool,
    ) -> Result<(), S3Error> {
        let mut body = String::from("<LegalHold xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        xml::element(&mut body, "Status", if hold { "ON" } else { "OFF" });
        body.push_str("</LegalHold>");
        let call = Call::object("PutObjectLegalHold", Method::PUT, bucket, key)
            .query("legal-hold", "")
            .version(version)
            .document(body)?;
        self.send_whole(&call).await.map(drop)
    }

    /// Whether a bucket has object lock, and what it gives to new versions (GetObjectLockConfiguration).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn bucket_lock(
        &self,
        bucket: &BucketName,
    ) -> Result<Option<Option<DefaultRetention>>, S3Error> {
        let call = Call::bucket("GetObjectLockConfiguration", Method::GET, bucket).query("object-lock", "");
        let answer = match self.send_whole(&call).await {
            Err(error) if is_unset(&error) => return Ok(None),
            other => other?,
        };
        let (mut mode, mut period) = (None, None);
        xml::walk(&answer.body, |path, text| {
            match path {
                "Rule/DefaultRetention/Mode" => mode = RetentionMode::parse(text),
                "Rule/DefaultRetention/Days" => period = text.parse().ok().map(RetentionPeriod::Days),
                "Rule/DefaultRetention/Years" => period = text.parse().ok().map(RetentionPeriod::Years),
                _ => {}
            }
            Ok(())
        })
        .map_err(|what| self.not_understood("GetObjectLockConfiguration", what))?;
        Ok(Some(mode.zip(period).map(|(mode, period)| DefaultRetention { mode, period })))
    }

    /// Gives a bucket object lock, and each new version a retention or none (PutObjectLockConfiguration).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn set_bucket_lock(
        &self,
        bucket: &BucketName,
        default: Option<DefaultRetention>,
    ) -> Result<(), S3Error> {
        let mut body = String::from(
            "<ObjectLockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <ObjectLockEnabled>Enabled</ObjectLockEnabled>",
        );
        if let Some(default) = default {
            body.push_str("<Rule><DefaultRetention>");
            xml::element(&mut body, "Mode", default.mode.name());
            match default.period {
                RetentionPeriod::Days(days) => xml::element(&mut body, "Days", &days.to_string()),
                RetentionPeriod::Years(years) => xml::element(&mut body, "Years", &years.to_string()),
            }
            body.push_str("</DefaultRetention></Rule>");
        }
        body.push_str("</ObjectLockConfiguration>");
        let call = Call::bucket("PutObjectLockConfiguration", Method::PUT, bucket)
            .query("object-lock", "")
            .document(body)?;
        self.send_whole(&call).await.map(drop)
    }
}

/// The version, or the bucket, has no lock; stores say so in several ways.
fn is_unset(error: &S3Error) -> bool {
    match error.code() {
        Some("NoSuchObjectLockConfiguration" | "ObjectLockConfigurationNotFoundError") => true,
        // The bucket has no lock at all.
        Some("InvalidRequest") => error.kind() == ErrorKind::Invalid,
        _ => false,
    }
}
