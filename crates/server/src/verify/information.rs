//! Opaque access tokens: what the service that issued one says about it.
//!
//! Enters: a token with `ProviderId`, one of AWS's built-in services. Leaves: [`TokenInformation`]. Refused, without
//! asking anybody: texts that cannot be such a token. At most [`AT_ONCE`] questions to one service are under way;
//! further ones wait, within the time that an answer may take. Nothing about a token is remembered.
//! Sources: see [`wigeon_core::sts`], `token_information`.

use std::time::Duration;

use tokio::sync::Semaphore;
use url::Url;
use wigeon_core::secret::Secret;
use wigeon_core::sts::{
    InformationError, TokenInformation, amazon_information, facebook_information, facebook_refusal,
};
use wigeon_core::time::Timestamp;

use super::fetch::{FetchError, Fetcher};
use crate::directory::BuiltIn;

/// How many questions to one service may be under way.
const AT_ONCE: usize = 32;

/// The longest access token (Login with Amazon: 2048 bytes; Facebook says that lengths may grow).
const MAX_LEN: usize = 4096;

/// Why a token of such a service is not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OpaqueError {
    /// The token, or what the service says about it.
    #[error(transparent)]
    Token(#[from] InformationError),
    /// The service cannot be asked.
    #[error("the service cannot be asked about the access token")]
    Fetch(#[from] FetchError),
}

/// Asks one service.
#[derive(Debug)]
pub(super) struct Informant {
    service: BuiltIn,
    address: Url,
    /// Facebook: the token of the application, where its users' tokens shall not speak for themselves.
    app_token: Option<Secret>,
    questions: Semaphore,
}

impl Informant {
    pub(super) fn new(service: BuiltIn, address: Url, app_token: Option<Secret>) -> Self {
        Self { service, address, app_token, questions: Semaphore::new(AT_ONCE) }
    }

    /// What the service says about a token, now.
    pub(super) async fn ask(
        &self,
        fetcher: &Fetcher,
        token: &str,
        limit: Duration,
        now: Timestamp,
    ) -> Result<TokenInformation, OpaqueError> {
        if !plausible(self.service, token) {
            return Err(InformationError::Rejected.into());
        }
        let slow = FetchError::Slow { issuer: self.service.name().to_owned(), limit };
        let asking = async {
            let _turn = self.questions.acquire().await.map_err(|_| slow.clone())?;
            fetcher.document(&self.question(token)).await
        };
        let (status, json) = tokio::time::timeout(limit, asking).await.map_err(|_| slow.clone())??;
        let answer = match (self.service, status) {
            (BuiltIn::Amazon, 200) => amazon_information(&json, now),
            (BuiltIn::Facebook, 200) => facebook_information(&json, now),
            (BuiltIn::Facebook, 400..=499) => Err(facebook_refusal(&json)),
            (_, 400 | 401 | 403) => Err(InformationError::Rejected),
            _ => {
                let url = self.address.to_string();
                return Err(FetchError::Status { url, status }.into());
            }
        };
        Ok(answer?)
    }

    /// The address to ask, with the token as the service's documents want it: in the query.
    fn question(&self, token: &str) -> Url {
        let mut url = self.address.clone();
        match self.service {
            BuiltIn::Facebook => {
                let asker = self.app_token.as_ref().map_or(token, Secret::expose);
                url.query_pairs_mut().append_pair("input_token", token).append_pair("access_token", asker);
            }
            BuiltIn::Amazon | BuiltIn::Google => {
                url.query_pairs_mut().append_pair("access_token", token);
            }
        }
        url
    }
}

/// Whether a text can be an access token of the service: a stranger's other texts are not passed on.
fn plausible(service: BuiltIn, token: &str) -> bool {
    let printable = token.len() <= MAX_LEN && token.bytes().all(|byte| byte.is_ascii_graphic());
    printable
        && match service {
            BuiltIn::Amazon => token.starts_with("Atza|"),
            BuiltIn::Facebook => {
                token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-|".contains(&byte))
            }
            BuiltIn::Google => false,
        }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(BuiltIn::Amazon, "Atza|IQEBLjAsAhRm", true)]
    #[case(BuiltIn::Amazon, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", false)]
    #[case(BuiltIn::Amazon, "Atza|a b", false)]
    #[case(BuiltIn::Facebook, "EAACEdEose0cBA", true)]
    #[case(BuiltIn::Facebook, "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", false)]
    #[case(BuiltIn::Facebook, "EAAC&x=1", false)]
    #[case(BuiltIn::Google, "ya29.a0", false)]
    fn only_what_can_be_a_token_is_passed_on(
        #[case] service: BuiltIn,
        #[case] token: &str,
        #[case] passed: bool,
    ) {
        assert_eq!(plausible(service, token), passed);
        assert!(!plausible(service, &token.repeat(1000)));
    }

    #[test]
    fn the_token_is_one_parameter_whatever_it_holds() {
        let address: Url = "https://api.amazon.com/auth/o2/tokeninfo".parse().unwrap();
        let informant = Informant::new(BuiltIn::Amazon, address, None);
        let question = informant.question("Atza|a&b=c#d");
        let pairs: Vec<(String, String)> = question.query_pairs().into_owned().collect();
        assert_eq!(pairs, [("access_token".to_owned(), "Atza|a&b=c#d".to_owned())]);
        assert_eq!(question.fragment(), None);
    }
}
