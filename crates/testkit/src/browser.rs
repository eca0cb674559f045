//! A person with a browser, over plain HTTP: follows redirects, keeps cookies, fills in the login form, agrees.
//!
//! It works with any provider whose pages are forms; pages that are made by scripts are beyond it. In the end the
//! browser stands at a page without a form, or at an address of another scheme, which it cannot open.

use std::collections::BTreeMap;

use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, StatusCode, redirect};
use url::Url;

use crate::html::{Field, Form, forms};

/// Who signs in.
#[derive(Debug, Clone)]
pub struct Person {
    /// The login name.
    pub login: String,
    /// The password.
    pub password: String,
}

impl Person {
    /// A person of the test providers: the password is the login with `-password`.
    #[must_use]
    pub fn named(login: &str) -> Self {
        Self { login: login.to_owned(), password: format!("{login}-password") }
    }
}

/// Where the browser stands in the end.
#[derive(Debug, Clone)]
pub struct Landed {
    /// The address.
    pub url: Url,
    /// The status; 0 at an address that cannot be opened.
    pub status: u16,
    /// The page.
    pub text: String,
}

/// Signs a person in, from the address that a client shows to the last page.
///
/// # Errors
/// In words: what could not be fetched, a form asked for twice, too many pages.
pub async fn sign_in(start: &Url, person: &Person) -> Result<Landed, String> {
    Browser::new()?.walk(start.clone(), person).await
}

struct Cookie {
    value: String,
    path: String,
}

struct Browser {
    client: Client,
    /// By host and name. Ports share cookies, as in browsers.
    cookies: BTreeMap<(String, String), Cookie>,
}

const YES: &[&str] =
    &["accept", "allow", "approve", "authorize", "consent", "confirm", "continue", "yes", "login", "sign"];
const NO: &[&str] = &["deny", "decline", "reject", "refuse", "cancel", "abort", "no", "logout", "back"];

impl Browser {
    fn new() -> Result<Self, String> {
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .tls_danger_accept_invalid_certs(true)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, cookies: BTreeMap::new() })
    }

    async fn walk(mut self, mut url: Url, person: &Person) -> Result<Landed, String> {
        let mut form: Option<String> = None;
        let mut asked_at = Vec::new();
        for _ in 0..30 {
            let method = if form.is_some() { Method::POST } else { Method::GET };
            let (status, headers, text) = self.fetch(method, &url, form.take()).await?;
            if status.is_redirection() {
                let location =
                    headers.get(LOCATION).and_then(|to| to.to_str().ok()).ok_or("a redirect to nowhere")?;
                url = url.join(location).map_err(|error| format!("{location}: {error}"))?;
                if !matches!(url.scheme(), "http" | "https") {
                    return Ok(Landed { url, status: 0, text: String::new() });
                }
                continue;
            }
            let landed = || Landed { url: url.clone(), status: status.as_u16(), text: text.clone() };
            let Some(picked) = status.is_success().then(|| pick(&text)).flatten() else {
                return Ok(landed());
            };
            if picked.fields.iter().any(|field| field.kind == "password") {
                if asked_at.contains(&url.path().to_owned()) {
                    return Err(format!("the password is asked for again at {url}: it was not accepted"));
                }
                asked_at.push(url.path().to_owned());
            }
            let query = filled(&picked, person);
            let mut target = url.join(&picked.action).map_err(|error| error.to_string())?;
            if picked.post {
                form = Some(query);
            } else {
                target.set_query(Some(&query));
            }
            url = target;
        }
        Err(format!("too many pages, the last at {url}"))
    }

    async fn fetch(
        &mut self,
        method: Method,
        url: &Url,
        form: Option<String>,
    ) -> Result<(StatusCode, HeaderMap, String), String> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|((of, _), cookie)| *of == host && url.path().starts_with(&cookie.path))
            .map(|((_, name), cookie)| format!("{name}={}", cookie.value))
            .collect();
        let mut request = self.client.request(method, url.clone());
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        if let Some(form) = form {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        }
        let answer = request.send().await.map_err(|error| format!("{url}: {error}"))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        for cookie in headers.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok()) {
            let mut parts = cookie.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let path = parts
                .filter_map(|part| part.split_once('='))
                .find(|(name, _)| name.eq_ignore_ascii_case("path"))
                .map_or("/", |(_, path)| path);
            let key = (host.clone(), name.to_owned());
            if value.is_empty() {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, Cookie { value: value.to_owned(), path: path.to_owned() });
            }
        }
        let text = answer.text().await.map_err(|error| format!("{url}: {error}"))?;
        Ok((status, headers, text))
    }
}

/// The login form if there is one, else the one that agrees, else the first.
fn pick(page: &str) -> Option<Form> {
    let mut forms = forms(page);
    forms.retain(|form| {
        !["logout", "abort", "language", "search"].iter().any(|word| form.action.contains(word))
    });
    let wants_password = |form: &Form| form.fields.iter().any(|field| field.kind == "password");
    let says_yes = |form: &Form| YES.iter().any(|word| form.action.contains(word));
    forms
        .iter()
        .position(wants_password)
        .or_else(|| forms.iter().position(says_yes))
        .or_else(|| (!forms.is_empty()).then_some(0))
        .map(|index| forms.swap_remove(index))
}

fn filled(form: &Form, person: &Person) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let mut buttons: Vec<&Field> = Vec::new();
    for field in &form.fields {
        match field.kind.as_str() {
            "submit" | "image" | "button" => buttons.push(field),
            _ if field.name.is_empty() => {}
            "password" => {
                query.append_pair(&field.name, &person.password);
            }
            "text" | "email" | "username" => {
                query.append_pair(&field.name, &person.login);
            }
            "checkbox" | "radio" if !field.checked => {}
            _ => {
                query.append_pair(&field.name, &field.value);
            }
        }
    }
    let score = |field: &&Field| {
        let words = format!("{} {}", field.name, field.value).to_lowercase();
        let no = words.split([' ', '-', '_']).filter(|word| NO.contains(word)).count();
        (YES.iter().any(|yes| words.contains(yes)), std::cmp::Reverse(no))
    };
    if let Some(button) = buttons.into_iter().filter(|button| !button.name.is_empty()).max_by_key(score) {
        query.append_pair(&button.name, &button.value);
    }
    query.finish()
}
