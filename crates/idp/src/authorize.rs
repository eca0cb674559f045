//! The authorization endpoint and the login form behind it.
//!
//! Enters a browser with an authorization request; leaves a redirect with a code, or with an error. The form
//! is bound to the browser that it was given to: it carries a CSRF token and a transaction, and the browser a
//! cookie; all three must come back together, from a page of this provider.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use wigeon_core::secret::Secret;

use crate::authorization_request::{self, AuthorizationRequest, Fault, Refusal};
use crate::grants::LoginForm;
use crate::opaque;
use crate::page::{self, LoginPage};
use crate::parameters::Parameters;
use crate::provider::Provider;
use crate::redirect;

/// The cookie that ties a form to its browser.
const COOKIE: &str = "wigeon-idp";

/// `GET /authorize`.
pub(crate) async fn from_query(
    State(provider): State<Provider>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    authorize(&provider, &Parameters::parse(query.unwrap_or_default().as_bytes()), &headers)
}

/// `POST /authorize` (OpenID Connect Core, section 3.1.2.1: both methods).
pub(crate) async fn from_form(State(provider): State<Provider>, headers: HeaderMap, body: Bytes) -> Response {
    authorize(&provider, &Parameters::parse(&body), &headers)
}

fn authorize(provider: &Provider, parameters: &Parameters, headers: &HeaderMap) -> Response {
    match authorization_request::read(parameters, provider.clients()) {
        Ok(request) => open_form(provider, &request, headers),
        Err(Refusal::Page(why)) => page::error(StatusCode::BAD_REQUEST, &format!("{why}.")),
        Err(Refusal::Redirect { redirect_uri, state, error }) => {
            back_with_error(provider, &redirect_uri, state.as_deref(), &error)
        }
    }
}

fn open_form(provider: &Provider, request: &AuthorizationRequest, headers: &HeaderMap) -> Response {
    // A browser keeps its cookie, so that forms in several tabs work beside each other.
    let browser = cookie(headers).map_or_else(opaque::fresh, Secret::new);
    let opened = provider.grants().open_login(request.clone(), browser.expose(), provider.now());
    let Ok(form) = opened else {
        return back_with_error(provider, &request.redirect_uri, request.state.as_deref(), &Fault::Busy);
    };
    let mut response =
        form_page(provider, request, StatusCode::OK, &form, request.login_hint.as_deref(), None);
    let cookie =
        format!("{COOKIE}={}; Path={}/; HttpOnly; SameSite=Lax", browser.expose(), provider.base_path());
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

fn form_page(
    provider: &Provider,
    request: &AuthorizationRequest,
    status: StatusCode,
    form: &LoginForm,
    username: Option<&str>,
    problem: Option<&str>,
) -> Response {
    let action = format!("{}/login", provider.base_path());
    let redirect_origin = redirect::origin(&request.redirect_uri);
    let page = LoginPage {
        action: &action,
        client_id: &request.client_id,
        form,
        username,
        problem,
        redirect_origin: redirect_origin.as_deref(),
    };
    page::login(status, &page)
}

/// `POST /login`: the filled-in form.
pub(crate) async fn log_in(State(provider): State<Provider>, headers: HeaderMap, body: Bytes) -> Response {
    let stopped = |what: &str| page::error(StatusCode::FORBIDDEN, what);
    // 1. From a page of this provider.
    if !same_origin(&headers) {
        return stopped("The form was sent by a page of another site.");
    }
    let parameters = Parameters::parse(&body);
    let field = |name| parameters.one(name).ok().flatten();
    // 2. With the transaction, the CSRF token and the cookie that belong together.
    let (Some(transaction), Some(csrf), Some(browser)) =
        (field("transaction"), field("csrf"), cookie(&headers))
    else {
        return stopped("The form is not complete. Cookies must be allowed for this page.");
    };
    let request = match provider.grants().attempt_login(transaction, csrf, &browser, provider.now()) {
        Ok(request) => request,
        Err(_) => return stopped("This form has expired or was opened in another browser. Start again."),
    };
    // 3. The person may decline.
    if field("decision") == Some("deny") {
        provider.grants().close_login(transaction);
        return back_with_error(&provider, &request.redirect_uri, request.state.as_deref(), &Fault::Denied);
    }
    // 4. With the right password; the attempts of a form are counted.
    let username = field("username");
    let password = Secret::new(field("password").unwrap_or_default());
    let user = username.and_then(|login| provider.user(login)).filter(|user| user.password == password);
    let Some(user) = user else {
        tracing::info!(client = %request.client_id, "login with a wrong user name or password");
        let form = LoginForm { transaction: Secret::new(transaction), csrf: Secret::new(csrf) };
        let problem = Some("The user name or the password is wrong.");
        return form_page(&provider, &request, StatusCode::FORBIDDEN, &form, username, problem);
    };
    provider.grants().close_login(transaction);
    let code_ttl = provider.config().lifetimes.code;
    match provider.grants().issue_code(request.clone(), &user.login, provider.now(), code_ttl) {
        Ok(code) => {
            back(&provider, &request.redirect_uri, request.state.as_deref(), &[("code", code.expose())])
        }
        Err(_) => back_with_error(&provider, &request.redirect_uri, request.state.as_deref(), &Fault::Busy),
    }
}

fn back_with_error(provider: &Provider, to: &str, state: Option<&str>, error: &Fault) -> Response {
    let description = error.to_string();
    back(provider, to, state, &[("error", error.code()), ("error_description", &description)])
}

/// Sends the browser back, with the issuer (RFC 9207) and the client's state.
fn back(provider: &Provider, to: &str, state: Option<&str>, answer: &[(&str, &str)]) -> Response {
    let mut parameters = answer.to_vec();
    parameters.extend(state.map(|state| ("state", state)));
    parameters.push(("iss", provider.issuer()));
    let address = redirect::with_parameters(to, &parameters);
    let Ok(location) = HeaderValue::from_str(&address) else {
        return page::error(StatusCode::BAD_REQUEST, "The redirect address cannot be sent in a header.");
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// The value of the browser's cookie, where it has the form of one of ours.
fn cookie(headers: &HeaderMap) -> Option<String> {
    let token = |value: &str| {
        value.len() == 43 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
        .find(|value| token(value))
        .map(str::to_owned)
}

/// Whether the browser says that the form was on a page of this provider. Programs say nothing.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text("host").unwrap_or_default();
    text("origin").is_none_or(|origin| origin.strip_prefix("http://") == Some(host))
        && text("sec-fetch-site").is_none_or(|site| site == "same-origin")
}
