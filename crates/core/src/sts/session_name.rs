//! The session name that a client takes when nobody names one: the token's `sub`, made fit for STS's
//! pattern (docs/profiles.md, `s3.assumerole.rolesessionname`).

use super::request::session_name_char;

/// Makes a session name of any text: each character that STS refuses becomes `-`, and the length is brought
/// within 2–64.
#[must_use]
pub fn session_name_from(subject: &str) -> String {
    let fit = subject.chars().map(|char| if session_name_char(char) { char } else { '-' });
    let mut name: String = fit.take(64).collect();
    while name.len() < 2 {
        name.push('-');
    }
    name
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("alice", "alice")]
    #[case("alice@example.org", "alice@example.org")]
    #[case("auth0|5f7c8ec7c33c6c004bbafe82", "auth0-5f7c8ec7c33c6c004bbafe82")]
    #[case("CN=Jürgen, O=x y", "CN=J-rgen,-O=x-y")]
    #[case("a", "a-")]
    #[case("", "--")]
    fn examples(#[case] subject: &str, #[case] name: &str) {
        assert_eq!(session_name_from(subject), name);
    }

    proptest! {
        #[test]
        fn always_fit(subject in "\\PC{0,100}") {
            let name = session_name_from(&subject);
            prop_assert!((2..=64).contains(&name.len()) && name.chars().all(session_name_char));
            prop_assert_eq!(session_name_from(&name), name);
        }
    }
}
