//! The form of a browser's upload: its fields, and the signature among them.
//!
//! Enters: the fields that stand before the file. Leaves: a [`FormClaim`], and the proof that its policy was signed.
//! The signature covers the policy document, as it came, and that alone: whoever takes the form has to hold every
//! other field to that document ([`FormPolicy`](crate::s3::form_policy::FormPolicy)). Source: Amazon S3 API
//! Reference, "Browser-based uploads using POST (AWS Signature Version 4)"; Amazon S3 User Guide for version 2,
//! which boto3 signs forms with at a custom endpoint.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::canonical::{ALGORITHM, Scope, Signature, SigningSecret};
use super::sign::LONGEST_PRESIGNED;
use super::signed_request::SignatureError;
use super::verify::{CLOCK_SKEW, Expected, check_scope};
use crate::time::{self, SignedDuration, Timestamp};

/// The most fields of a form.
const MOST_FIELDS: usize = 256;

/// The fields of a form, before its file. Names compare without case, and each comes once.
#[derive(Debug, Clone, Default)]
pub struct FormFields {
    fields: Vec<(String, String)>,
}

/// What a form says of its signature. Nothing of it is believed yet.
#[derive(Debug, Clone)]
pub struct FormClaim {
    access_key_id: String,
    /// The base64 text that was signed.
    policy: String,
    signature: String,
    /// `None` for version 2.
    v4: Option<V4>,
}

#[derive(Debug, Clone)]
struct V4 {
    scope: Scope,
    amz_date: String,
    at: Timestamp,
}

/// Names that belong to the signature, and so stand in no condition.
const OF_THE_SIGNATURE: [&str; 4] = ["policy", "signature", "x-amz-signature", "awsaccesskeyid"];

impl FormFields {
    /// Adds a field; `false` where it is there already, or there are too many.
    pub fn add(&mut self, name: &str, value: String) -> bool {
        let name = name.to_ascii_lowercase();
        let fresh = self.fields.len() < MOST_FIELDS && self.value(&name).is_none();
        if fresh {
            self.fields.push((name, value));
        }
        fresh
    }

    /// A field's value, by its name in any case.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Names in lower case, and values, as they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The fields that a policy has to speak of.
    pub fn to_be_covered(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(name, _)| !OF_THE_SIGNATURE.contains(name) && !name.starts_with("x-ignore-"))
    }

    /// Puts the file's name in the place of `${filename}`, in every field but those of the signature.
    pub fn name_file(&mut self, file_name: &str) {
        for (name, value) in &mut self.fields {
            if !OF_THE_SIGNATURE.contains(&name.as_str()) && value.contains("${filename}") {
                *value = value.replace("${filename}", file_name);
            }
        }
    }
}

impl FormClaim {
    /// Reads what the form says; `None` for one that is not signed at all.
    ///
    /// # Errors
    /// [`SignatureError`] where a part is missing, or what it says cannot be read.
    pub fn read(fields: &FormFields) -> Result<Option<Self>, SignatureError> {
        use SignatureError::MalformedQuery as Malformed;
        let value = |name| fields.value(name);
        let parts = ["policy", "signature", "awsaccesskeyid", "x-amz-signature", "x-amz-credential"];
        if parts.iter().all(|name| value(name).is_none()) {
            return Ok(None);
        }
        let needed = |name| value(name).ok_or(Malformed("a field of the form's signature is missing"));
        let policy = needed("policy")?.to_owned();
        let is_v4 = value("x-amz-signature").is_some() || value("x-amz-algorithm").is_some();
        let is_v2 = value("signature").is_some() || value("awsaccesskeyid").is_some();
        match (is_v4, is_v2) {
            (true, true) => Err(SignatureError::TwoMechanisms),
            (false, _) => {
                let access_key_id = needed("awsaccesskeyid")?.to_owned();
                Ok(Some(Self { access_key_id, policy, signature: needed("signature")?.to_owned(), v4: None }))
            }
            (true, false) => {
                if needed("x-amz-algorithm")? != ALGORITHM {
                    return Err(Malformed("x-amz-algorithm only supports AWS4-HMAC-SHA256"));
                }
                let amz_date = needed("x-amz-date")?;
                let at =
                    time::parse_amz(amz_date).ok_or(Malformed("x-amz-date must be YYYYMMDD'T'HHMMSS'Z'"))?;
                let (access_key_id, scope) = Scope::of_credential(needed("x-amz-credential")?)
                    .ok_or(Malformed("x-amz-credential is not KEY/DATE/REGION/SERVICE/aws4_request"))?;
                let access_key_id = access_key_id.to_owned();
                let v4 = Some(V4 { scope, amz_date: amz_date.to_owned(), at });
                Ok(Some(Self { access_key_id, policy, signature: needed("x-amz-signature")?.to_owned(), v4 }))
            }
        }
    }

    /// Whose key it claims to be signed with.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// When it was signed; version 2 does not say.
    #[must_use]
    pub fn signed_at(&self) -> Option<Timestamp> {
        self.v4.as_ref().map(|v4| v4.at)
    }

    /// Checks the signature; gives the text of the policy document, which is now known to be the signer's.
    ///
    /// # Errors
    /// [`SignatureError`], the first that applies.
    pub fn verify(&self, secret: &SigningSecret, expected: &Expected<'_>) -> Result<Vec<u8>, SignatureError> {
        match &self.v4 {
            Some(v4) => {
                let age = expected.now.duration_since(v4.at);
                if age < -CLOCK_SKEW {
                    return Err(SignatureError::NotYetValid);
                }
                if age > SignedDuration::from_secs(i64::from(LONGEST_PRESIGNED)) {
                    return Err(SignatureError::Expired);
                }
                check_scope(&v4.scope, &v4.amz_date, expected)?;
                let signature: Signature = secret.signing_key(&v4.scope).sign(self.policy.as_bytes());
                if !signature.matches(&self.signature) {
                    return Err(SignatureError::Mismatch);
                }
            }
            None => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.expose().as_bytes());
                let presented = STANDARD.decode(&self.signature).map_err(|_| SignatureError::Mismatch)?;
                hmac::verify(&key, self.policy.as_bytes(), &presented)
                    .map_err(|_| SignatureError::Mismatch)?;
            }
        }
        let packed: String = self.policy.chars().filter(|char| !char.is_ascii_whitespace()).collect();
        STANDARD.decode(packed).map_err(|_| SignatureError::MalformedQuery("the policy is not base64"))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::secret::Secret;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    /// The example of Amazon S3's API Reference, "POST policy", whose signature it publishes.
    const POLICY: &str = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";

    fn published() -> FormFields {
        let mut fields = FormFields::default();
        for (name, value) in [
            ("Policy", POLICY),
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"),
            ("X-Amz-Date", "20151229T000000Z"),
            ("X-Amz-Signature", "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"),
        ] {
            assert!(fields.add(name, value.to_owned()));
        }
        fields
    }

    fn changed(name: &str, value: &str) -> FormFields {
        let mut fields = published();
        fields.fields.retain(|(known, _)| known != name);
        assert!(value.is_empty() || fields.add(name, value.to_owned()));
        fields
    }

    fn verify(fields: &FormFields, now: &str) -> Result<Vec<u8>, SignatureError> {
        let now = now.parse().unwrap();
        let expected = Expected { service: "s3", region: "us-east-1", empty_region: false, now };
        FormClaim::read(fields)?.unwrap().verify(&SigningSecret::new(Secret::new(SECRET)), &expected)
    }

    #[test]
    fn the_published_form() {
        let policy = verify(&published(), "2015-12-29T01:00:00Z").unwrap();
        assert!(policy.starts_with(b"{ \"expiration\": \"2015-12-30T12:00:00.000Z\""));
        assert!(FormClaim::read(&FormFields::default()).unwrap().is_none());
    }

    #[rstest]
    #[case("policy", "e30=", "2015-12-29T01:00:00Z", SignatureError::Mismatch)]
    #[case("x-amz-signature", "8afd", "2015-12-29T01:00:00Z", SignatureError::Mismatch)]
    #[case("x-amz-credential", "AKIAIOSFODNN7EXAMPLE/20151229/eu-west-1/s3/aws4_request", "2015-12-29T01:00:00Z",
           SignatureError::ScopeRegion { actual: "eu-west-1".into(), expected: "us-east-1".into() })]
    #[case("x-amz-credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/sts/aws4_request", "2015-12-29T01:00:00Z",
           SignatureError::ScopeService("sts".into()))]
    #[case("x-amz-date", "20151228T000000Z", "2015-12-29T01:00:00Z", SignatureError::ScopeDate("20151229".into()))]
    #[case("x", "x", "2016-01-06T00:00:00Z", SignatureError::Expired)]
    #[case("x", "x", "2015-12-28T23:00:00Z", SignatureError::NotYetValid)]
    #[case("signature", "x", "2015-12-29T01:00:00Z", SignatureError::TwoMechanisms)]
    fn refused(#[case] name: &str, #[case] value: &str, #[case] now: &str, #[case] error: SignatureError) {
        assert_eq!(verify(&changed(name, value), now).unwrap_err(), error);
    }

    #[rstest]
    #[case("policy")]
    #[case("x-amz-signature")]
    #[case("x-amz-credential")]
    #[case("x-amz-date")]
    #[case("x-amz-algorithm")]
    fn a_part_that_is_missing(#[case] name: &str) {
        assert!(matches!(
            FormClaim::read(&changed(name, "")).unwrap_err(),
            SignatureError::MalformedQuery(_)
        ));
    }

    #[test]
    fn fields_come_once_and_file_names_come_in() {
        let mut fields = published();
        assert!(!fields.add("POLICY", "x".into()));
        assert!(fields.add("Key", "a/${filename}".into()));
        fields.name_file("b.txt");
        assert_eq!(fields.value("key"), Some("a/b.txt"));
        let many = (0..300).filter(|n| fields.add(&format!("x-{n}"), String::new())).count();
        assert_eq!(many, MOST_FIELDS - 6);
    }
}
