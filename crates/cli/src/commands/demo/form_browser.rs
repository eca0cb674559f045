//! A browser without a person: it fills in the login form of the demonstration's own provider over HTTP.
//!
//! For scripts. It knows that one form and nothing else.

use std::time::Duration;

use reqwest::redirect::Policy;
use url::Url;
use wigeon_client::sign_in::Browser;

use crate::errors::{Failure, Kind};

/// Signs one user in.
#[derive(Debug, Clone)]
pub(super) struct FormBrowser {
    login: String,
    password: String,
}

impl FormBrowser {
    pub(super) fn new(login: &str, password: &str) -> Self {
        Self { login: login.to_owned(), password: password.to_owned() }
    }

    /// Opens the address, posts the form, and follows the redirect back to the waiting sign-in.
    async fn sign_in(&self, address: &Url) -> Result<(), Failure> {
        let failed = |error: &reqwest::Error| Failure::because(Kind::Error, error);
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .timeout(Duration::from_secs(20))
            .build()
            .map_err(|error| failed(&error))?;
        let page = client.get(address.clone()).send().await.map_err(|error| failed(&error))?;
        let cookie = page.headers().get("set-cookie").and_then(|value| value.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).unwrap_or_default().to_owned();
        let page = page.text().await.map_err(|error| failed(&error))?;
        let hidden = |name| hidden_field(&page, name).unwrap_or_default();
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("transaction", hidden("transaction"))
            .append_pair("csrf", hidden("csrf"))
            .append_pair("username", &self.login)
            .append_pair("password", &self.password)
            .append_pair("decision", "allow")
            .finish();
        let action = address.join("login").map_err(|error| Failure::because(Kind::Error, &error))?;
        let answer = client
            .post(action)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", address.origin().ascii_serialization())
            .header("cookie", cookie)
            .body(form)
            .send()
            .await
            .map_err(|error| failed(&error))?;
        let back = answer.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let back = back.ok_or_else(|| {
            Failure::error(format!("the demonstration's provider did not let `{}` in", self.login))
                .hint("its users are alice and bob")
        })?;
        client.get(back).send().await.map_err(|error| failed(&error))?;
        Ok(())
    }
}

impl Browser for FormBrowser {
    fn show(&self, address: &Url) {
        let (browser, address) = (self.clone(), address.clone());
        tokio::spawn(async move {
            if let Err(failure) = browser.sign_in(&address).await {
                tracing::error!(reason = failure.message, "the form could not be filled in");
            }
        });
    }
}

/// The value of `<input type="hidden" name="NAME" value="VALUE">`.
fn hidden_field<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let page = r#"<input type="hidden" name="csrf" value="abc"><input name="username">"#;
        assert_eq!(hidden_field(page, "csrf"), Some("abc"));
        assert_eq!(hidden_field(page, "username"), None);
    }
}
