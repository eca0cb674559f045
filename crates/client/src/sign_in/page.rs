//! The page that the browser shows at the end of a sign-in. It holds no secret and loads nothing.

use maud::{DOCTYPE, Markup, html};
use url::form_urlencoded;

use super::offered::Offered;

/// What the browser is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Page {
    /// It worked; who signed in.
    SignedIn {
        /// What to call the person.
        user: String,
        /// The provider.
        provider: String,
    },
    /// It did not; why, in words for the person.
    Failed {
        /// Why.
        reason: String,
    },
    /// This answer is not the one that is awaited.
    Refused {
        /// Why.
        reason: &'static str,
    },
}

impl Page {
    /// The HTTP status.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::SignedIn { .. } => 200,
            Self::Failed { .. } | Self::Refused { .. } => 400,
        }
    }

    /// The same in one line, for those who see no page.
    pub(super) fn sentence(&self) -> String {
        let text = match self {
            Self::SignedIn { user, provider } => format!("Signed in as {user} at {provider}"),
            Self::Failed { reason } => format!("Not signed in: {reason}"),
            Self::Refused { reason } => (*reason).to_owned(),
        };
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The HTML.
    pub(super) fn html(&self) -> String {
        let (title, text) = match self {
            Self::SignedIn { user, .. } => (
                format!("Signed in as {user}"),
                html! {
                    p { "You can close this tab and go back to the terminal." }
                },
            ),
            Self::Failed { reason } => (
                "Not signed in".to_owned(),
                html! {
                    p { (reason) }
                    p { "Go back to the terminal and try again." }
                },
            ),
            Self::Refused { reason } => ("Refused".to_owned(), html! { p { (reason) } }),
        };
        let place = match self {
            Self::SignedIn { provider, .. } => Some(provider.as_str()),
            Self::Failed { .. } | Self::Refused { .. } => None,
        };
        document(&title, place, &text).into_string()
    }
}

/// The page of providers to choose among; `word` is what makes it ours.
pub(super) fn providers(title: &str, offered: &[Offered], word: &str) -> String {
    let list = html! {
        p { "This profile may be used with several providers. Which one is yours?" }
        ul {
            @for provider in offered {
                @let query = form_urlencoded::Serializer::new(String::new())
                    .append_pair("provider", &provider.id).append_pair("word", word).finish();
                li { a href={ "/choose?" (query) } { (provider.title) br; small { (provider.issuer) } } }
            }
        }
    };
    document(title, None, &list).into_string()
}

fn document(title: &str, place: Option<&str>, text: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " – Wigeon" }
                style { (STYLE) }
            }
            body {
                main {
                    h1 { (title) }
                    @if let Some(place) = place { p.place { "at " (place) } }
                    (text)
                }
            }
        }
    }
}

const STYLE: &str = "\
    :root{color-scheme:light dark}\
    body{font:1.05rem/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center}\
    main{max-width:34rem;padding:2rem}h1{font-size:1.5rem;margin:0 0 .3rem}.place{opacity:.7;margin:0 0 1rem}\
    ul{list-style:none;padding:0}li{margin:.6rem 0}small{opacity:.7}\
    li a{display:block;padding:.7rem 1rem;border:1px solid;border-radius:.5rem;color:inherit;text-decoration:none}\
    li a:hover,li a:focus{outline:2px solid}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        let html =
            Page::SignedIn { user: "<script>alert(1)</script>".to_owned(), provider: "\"x".to_owned() }
                .html();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("Signed in as &lt;script&gt;"));
    }
}
