//! Which pages may use a bucket from a browser: its rules, and the headers that tell the browser.
//!
//! Enters: the rules of a bucket, and what a browser asks. Leaves: the headers of the first rule that fits. Refused:
//! rules that S3 does not take, and pages that no rule speaks of. The answer guards the page's readers alone: what
//! a request may do is decided by its signature, wherever it comes from. Source: Amazon S3 User Guide, "Using
//! cross-origin resource sharing (CORS)"; Amazon S3 API Reference, "CORSRule"; Fetch Standard, "CORS protocol".

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// The most rules of a bucket.
const MOST_RULES: usize = 100;

/// The rules of a bucket, in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsRules(pub Vec<CorsRule>);

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CorsRule {
    /// For people.
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Origins of pages; `*` stands for any text, once.
    pub allowed_origins: Vec<String>,
    /// `GET`, `PUT`, `POST`, `DELETE`, `HEAD`.
    pub allowed_methods: Vec<String>,
    /// Headers that a page may send; `*` as above, case counts for nothing.
    pub allowed_headers: Vec<String>,
    /// Headers of the answer that a page may read.
    pub expose_headers: Vec<String>,
    /// For how many seconds a browser may remember the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u32>,
}

impl CorsRules {
    /// Holds rules to what S3 takes.
    ///
    /// # Errors
    /// 400 `InvalidRequest`, `MalformedXML`.
    pub fn checked(rules: Vec<CorsRule>) -> Result<Self, Refusal> {
        if rules.is_empty() || rules.len() > MOST_RULES {
            return Err(Refusal::malformed_xml(format!("There must be between 1 and {MOST_RULES} rules.")));
        }
        for rule in &rules {
            if rule.allowed_origins.is_empty() || rule.allowed_methods.is_empty() {
                return Err(Refusal::malformed_xml(
                    "A CORSRule needs an AllowedOrigin and an AllowedMethod.",
                ));
            }
            let known =
                |method: &&String| !["GET", "PUT", "POST", "DELETE", "HEAD"].contains(&method.as_str());
            if let Some(method) = rule.allowed_methods.iter().find(known) {
                return Err(Refusal::invalid_request(format!(
                    "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
                )));
            }
            for (what, texts) in
                [("AllowedOrigin", &rule.allowed_origins), ("AllowedHeader", &rule.allowed_headers)]
            {
                if let Some(text) = texts.iter().find(|text| text.matches('*').count() > 1) {
                    return Err(Refusal::invalid_request(format!(
                        "{what} \"{text}\" can not have more than one wildcard."
                    )));
                }
            }
            let header =
                |text: &&String| HeaderName::from_bytes(text.as_bytes()).is_err() || text.contains('*');
            if let Some(text) = rule.expose_headers.iter().find(header) {
                return Err(Refusal::invalid_request(format!(
                    "ExposeHeader \"{text}\" is not a header's name."
                )));
            }
        }
        Ok(Self(rules))
    }

    /// The answer to a browser that asks before it sends a request.
    ///
    /// # Errors
    /// 403 `AccessForbidden` where no rule fits, 400 where it does not ask.
    pub fn preflight(&self, headers: &HeaderMap) -> Result<HeaderMap, Refusal> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let wanted = |what| {
            let message = format!("Insufficient information. {what} request header needed.");
            Refusal::new("BadRequest", StatusCode::BAD_REQUEST, message)
        };
        let origin = text(ORIGIN).ok_or_else(|| wanted("Origin"))?;
        let method =
            text(ACCESS_CONTROL_REQUEST_METHOD).ok_or_else(|| wanted("Access-Control-Request-Method"))?;
        let asked = text(ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
        let names: Vec<&str> = asked.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let (rule, pattern) =
            self.0.iter().find_map(|rule| rule.fits(origin, method, &names)).ok_or_else(forbidden)?;
        let mut answer = rule.headers(origin, pattern);
        if !names.is_empty() {
            put(&mut answer, ACCESS_CONTROL_ALLOW_HEADERS, &names.join(", ").to_ascii_lowercase());
        }
        if let Some(seconds) = rule.max_age_seconds {
            answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(seconds));
        }
        Ok(answer)
    }

    /// The headers of the answer to a request that a page sent; none where no rule fits.
    #[must_use]
    pub fn actual(&self, origin: &str, method: &str) -> Option<HeaderMap> {
        let (rule, pattern) = self.0.iter().find_map(|rule| rule.fits(origin, method, &[]))?;
        Some(rule.headers(origin, pattern))
    }
}

/// 403: no rule speaks of the page.
#[must_use]
pub fn forbidden() -> Refusal {
    let message = "CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin, \
                   request method / Access-Control-Request-Method or Access-Control-Request-Headers are not \
                   whitelisted by the resource's CORS spec.";
    Refusal::new("AccessForbidden", StatusCode::FORBIDDEN, message)
}

/// 403: the bucket has no rules, or does not exist, which a stranger does not learn.
#[must_use]
pub fn not_enabled() -> Refusal {
    let message = "CORSResponse: CORS is not enabled for this bucket.";
    Refusal::new("AccessForbidden", StatusCode::FORBIDDEN, message)
}

impl CorsRule {
    /// The rule, and the pattern that the origin fits, where all of it fits.
    fn fits(&self, origin: &str, method: &str, headers: &[&str]) -> Option<(&Self, &str)> {
        let pattern = self.allowed_origins.iter().find(|pattern| matches(pattern, origin))?;
        let allowed = |name: &str| {
            let name = name.to_ascii_lowercase();
            self.allowed_headers.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &name))
        };
        let fits = self.allowed_methods.iter().any(|allowed| allowed == method)
            && headers.iter().all(|name| allowed(name));
        fits.then_some((self, pattern))
    }

    fn headers(&self, origin: &str, pattern: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if pattern == "*" {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            put(&mut headers, ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        put(&mut headers, ACCESS_CONTROL_ALLOW_METHODS, &self.allowed_methods.join(", "));
        if !self.expose_headers.is_empty() {
            put(&mut headers, ACCESS_CONTROL_EXPOSE_HEADERS, &self.expose_headers.join(", "));
        }
        vary(&mut headers);
        headers
    }
}

/// What an answer depends on, where the bucket has rules: caches must keep the answers of pages apart.
fn vary(headers: &mut HeaderMap) {
    let names = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";
    headers.insert(VARY, HeaderValue::from_static(names));
}

/// Marks the answer to a request, whatever became of it, for the page that sent it. `parts` is the request's head.
pub fn mark(rules: &CorsRules, parts: &Parts, answer: &mut HeaderMap) {
    vary(answer);
    let origin = parts.headers.get(ORIGIN).and_then(|value| value.to_str().ok());
    if parts.method != Method::OPTIONS
        && let Some(origin) = origin
        && let Some(headers) = rules.actual(origin, parts.method.as_str())
    {
        answer.extend(headers);
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Whether a text fits a pattern with at most one `*`.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn texts(items: &[&str]) -> Vec<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    fn rules() -> CorsRules {
        let one = CorsRule {
            allowed_origins: texts(&["https://*.example.org", "https://page.example"]),
            allowed_methods: texts(&["GET", "PUT"]),
            allowed_headers: texts(&["x-amz-*", "Content-Type"]),
            expose_headers: texts(&["ETag", "x-amz-meta-a"]),
            max_age_seconds: Some(600),
            ..CorsRule::default()
        };
        let two = CorsRule {
            allowed_origins: texts(&["*"]),
            allowed_methods: texts(&["GET"]),
            ..CorsRule::default()
        };
        CorsRules::checked(vec![one, two]).unwrap()
    }

    fn preflight(origin: &str, method: &str, headers: &str) -> Result<HeaderMap, Refusal> {
        let mut asked = HeaderMap::new();
        for (name, value) in [
            (ORIGIN, origin),
            (ACCESS_CONTROL_REQUEST_METHOD, method),
            (ACCESS_CONTROL_REQUEST_HEADERS, headers),
        ] {
            if !value.is_empty() {
                asked.insert(name, value.parse().unwrap());
            }
        }
        rules().preflight(&asked)
    }

    #[rstest]
    #[case("https://a.example.org", "PUT", "X-Amz-Date, content-type", "https://a.example.org")]
    #[case("https://page.example", "PUT", "", "https://page.example")]
    #[case("https://elsewhere.example", "GET", "", "*")]
    #[case("null", "GET", "", "*")]
    fn pages_that_may(
        #[case] origin: &str,
        #[case] method: &str,
        #[case] headers: &str,
        #[case] allowed: &str,
    ) {
        let answer = preflight(origin, method, headers).unwrap();
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], allowed);
        assert_eq!(answer.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS), allowed != "*");
        assert_eq!(answer.get(ACCESS_CONTROL_MAX_AGE).is_some(), allowed != "*");
        assert!(answer[VARY].to_str().unwrap().starts_with("Origin"));
        let echoed = answer.get(ACCESS_CONTROL_ALLOW_HEADERS).map(|value| value.to_str().unwrap());
        assert_eq!(echoed, (!headers.is_empty()).then_some("x-amz-date, content-type"));
    }

    #[rstest]
    #[case("https://elsewhere.example", "PUT", "")]
    #[case("https://page.example", "DELETE", "")]
    #[case("https://page.example", "PUT", "x-other")]
    #[case("https://elsewhere.example", "GET", "x-amz-date")]
    #[case("https://.example.org.evil.example", "PUT", "")]
    #[case("http://a.example.org", "PUT", "")]
    #[case("https://page.example.evil", "PUT", "")]
    #[case("https://example.org", "PUT", "")]
    #[case("https://page.example", "put", "")]
    fn pages_that_may_not(#[case] origin: &str, #[case] method: &str, #[case] headers: &str) {
        assert_eq!(preflight(origin, method, headers).unwrap_err().code, "AccessForbidden");
    }

    #[test]
    fn what_does_not_ask() {
        assert_eq!(preflight("", "GET", "").unwrap_err().status, 400);
        assert_eq!(preflight("https://page.example", "", "").unwrap_err().status, 400);
    }

    #[test]
    fn rules_that_are_none() {
        let rule = |change: fn(&mut CorsRule)| {
            let mut rule = rules().0.remove(0);
            change(&mut rule);
            CorsRules::checked(vec![rule]).is_err()
        };
        assert!(!rule(|_| {}));
        assert!(rule(|rule| rule.allowed_origins.clear()));
        assert!(rule(|rule| rule.allowed_methods.clear()));
        assert!(rule(|rule| rule.allowed_methods.push("PATCH".into())));
        assert!(rule(|rule| rule.allowed_methods.push("*".into())));
        assert!(rule(|rule| rule.allowed_origins.push("*.*".into())));
        assert!(rule(|rule| rule.allowed_headers.push("a*b*".into())));
        assert!(rule(|rule| rule.expose_headers.push("*".into())));
        assert!(rule(|rule| rule.expose_headers.push("a\r\nb: c".into())));
        assert!(CorsRules::checked(vec![]).is_err());
        assert!(CorsRules::checked(vec![rules().0.remove(0); 101]).is_err());
    }
}
