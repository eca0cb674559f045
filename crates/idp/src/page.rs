//! The two pages a person sees: the login form and an error.
//!
//! Every value is escaped by the template. The pages run no script, load nothing, cannot be framed, and
//! their form goes to this provider only, or back to the redirect address that was checked.

use aws_lc_rs::digest::{self, SHA256};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::grants::LoginForm;

/// What the login form shows and carries.
#[derive(Debug)]
pub(crate) struct LoginPage<'a> {
    /// Where the form goes, a path on this provider.
    pub(crate) action: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) form: &'a LoginForm,
    pub(crate) username: Option<&'a str>,
    /// Why the form is shown again.
    pub(crate) problem: Option<&'a str>,
    /// Where the answer goes in the end: allowed as a target of the form.
    pub(crate) redirect_origin: Option<&'a str>,
}

const STYLE: &str = "\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}\
body{display:grid;place-items:center;min-height:90vh;margin:0}\
main{width:min(22rem,90vw)}\
label{display:block;margin:1rem 0 .25rem}\
input{font:inherit;width:100%;box-sizing:border-box;padding:.5rem}\
button{font:inherit;padding:.5rem 1rem;margin:1.5rem .5rem 0 0}\
.problem{border-left:.25rem solid #c33;padding-left:.75rem}\
.note{opacity:.7;font-size:.875rem}";

/// The login form.
pub(crate) fn login(status: StatusCode, page: &LoginPage<'_>) -> Response {
    let body = html! {
        h1 { "Sign in" }
        p { "to continue to " strong { (page.client_id) } }
        @if let Some(problem) = page.problem {
            p.problem role="alert" { (problem) }
        }
        form method="post" action=(page.action) {
            input type="hidden" name="transaction" value=(page.form.transaction.expose());
            input type="hidden" name="csrf" value=(page.form.csrf.expose());
            label for="username" { "User name" }
            input #username type="text" name="username" value=[page.username] required
                autocomplete="username" autocapitalize="none" spellcheck="false" autofocus[page.username.is_none()];
            label for="password" { "Password" }
            input #password type="password" name="password"
                autocomplete="current-password" autofocus[page.username.is_some()];
            button type="submit" name="decision" value="allow" { "Sign in" }
            button type="submit" name="decision" value="deny" formnovalidate { "Cancel" }
        }
        p.note { "A provider for development on this machine." }
    };
    respond(status, &document("Sign in", &body), page.redirect_origin)
}

/// An error that only the person can be told.
pub(crate) fn error(status: StatusCode, what: &str) -> Response {
    let body = html! {
        h1 { "Sign-in stopped" }
        p.problem { (what) }
        p { "You can close this page." }
    };
    respond(status, &document("Sign-in stopped", &body), None)
}

fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    }
}

fn respond(status: StatusCode, page: &Markup, form_target: Option<&str>) -> Response {
    let style = BASE64_STANDARD.encode(digest::digest(&SHA256, STYLE.as_bytes()));
    let target = form_target.unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self' {target}; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    let mut response = (status, Html(page.0.clone())).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_without_a_target_keeps_its_policy() {
        let page = error(StatusCode::BAD_REQUEST, "<script>alert(1)</script>");
        let policy = page.headers().get(header::CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    }
}
