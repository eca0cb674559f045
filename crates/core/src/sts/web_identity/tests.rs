//! sts.md, "The token", row by row, at a fixed time.

use rstest::rstest;
use serde_json::json;

use super::*;
use crate::jwt::signing::SigningKey;
use crate::jwt::{Algorithm, AllowedAlgorithms, KeySet};

const ISSUER: &str = "https://idp.example/realms/x";
const NOW: i64 = 1_790_000_000;

fn key() -> &'static (SigningKey, KeySet) {
    static KEY: std::sync::OnceLock<(SigningKey, KeySet)> = std::sync::OnceLock::new();
    KEY.get_or_init(|| {
        let key = SigningKey::generate(Algorithm::ES256).unwrap();
        let set = json!({"keys": [key.public_jwk()]}).to_string();
        (key, KeySet::parse(set.as_bytes()).unwrap())
    })
}

/// The good token's payload with changes: a value replaces or adds, `"REMOVE"` removes.
fn payload(changes: Value) -> String {
    let mut claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "s3-cli", "iat": NOW, "exp": NOW + 600,
    });
    for (name, value) in changes.as_object().unwrap() {
        if value == "REMOVE" {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims.to_string()
}

fn check_payload(payload: &str) -> Result<VerifiedToken, IdentityError> {
    let (key, keys) = key();
    let header = json!({"alg": "ES256", "kid": key.kid()});
    let text = key.sign_payload(header.as_object().unwrap(), payload).unwrap();
    let signed = UnverifiedToken::parse(&text).unwrap().verify(keys, &AllowedAlgorithms::aws()).unwrap();
    let client_ids = ["s3-cli".to_owned(), "s3-web".to_owned()];
    verify_identity(signed, ISSUER, &IdentityRules::aws(&client_ids), Timestamp::from_second(NOW).unwrap())
}

fn check(changes: Value) -> Result<VerifiedToken, IdentityError> {
    check_payload(&payload(changes))
}

#[rstest]
#[case::plain(json!({}), "alice", "s3-cli")]
#[case::one_character(json!({"sub": "a"}), "a", "s3-cli")]
#[case::empty_subject(json!({"sub": ""}), "", "s3-cli")]
#[case::number(json!({"sub": 123}), "123", "s3-cli")]
#[case::array_of_one(json!({"aud": ["s3-web"]}), "alice", "s3-web")]
#[case::authorized_party(json!({"aud": "other", "azp": "s3-cli"}), "alice", "s3-cli")]
#[case::many_with_party(json!({"aud": ["other", "s3-web"], "azp": "s3-cli"}), "alice", "s3-cli")]
#[case::exp_within_skew(json!({"exp": NOW - 300}), "alice", "s3-cli")]
#[case::iat_within_skew(json!({"iat": NOW + 300}), "alice", "s3-cli")]
#[case::nbf_within_skew(json!({"nbf": NOW + 300}), "alice", "s3-cli")]
#[case::integer_strings(json!({"exp": (NOW + 1).to_string(), "iat": NOW.to_string(), "nbf": "0"}), "alice", "s3-cli")]
fn accepted(#[case] changes: Value, #[case] subject: &str, #[case] audience: &str) {
    let token = check(changes).unwrap();
    assert_eq!((token.subject(), token.audience(), token.issuer()), (subject, audience, ISSUER));
}

#[rstest]
#[case::no_iss(json!({"iss": "REMOVE"}), "InvalidIdentityToken", "Missing a required claim: iss")]
#[case::no_sub(json!({"sub": "REMOVE"}), "InvalidIdentityToken", "Missing a required claim: sub")]
#[case::no_aud(json!({"aud": "REMOVE"}), "InvalidIdentityToken", "Missing a required claim: aud")]
#[case::no_iat(json!({"iat": "REMOVE"}), "InvalidIdentityToken", "Missing a required claim: iat")]
#[case::no_exp(json!({"exp": "REMOVE"}), "InvalidIdentityToken", "Missing a required claim: exp")]
#[case::null_sub(json!({"sub": null}), "InternalFailure", "The token could not be processed")]
#[case::object_sub(json!({"sub": {}}), "InvalidIdentityToken", "Claim has an unexpected type: sub")]
#[case::two_audiences(json!({"aud": ["s3-cli", "s3-web"]}), "InvalidIdentityToken", "Token audience contains more than one audience while authorized party is not present")]
#[case::unregistered_party(json!({"azp": "other"}), "InvalidIdentityToken", "Incorrect token audience")]
#[case::empty_party(json!({"azp": ""}), "InvalidIdentityToken", "Incorrect token audience")]
#[case::odd_party(json!({"azp": ["s3-cli"]}), "InvalidIdentityToken", "Claim has an unexpected type: azp")]
#[case::unregistered_audience(json!({"aud": "other"}), "InvalidIdentityToken", "Incorrect token audience")]
#[case::audience_in_another_case(json!({"aud": "S3-CLI"}), "InvalidIdentityToken", "Incorrect token audience")]
#[case::empty_aud(json!({"aud": []}), "InvalidIdentityToken", "Claim is not allowed to be empty: aud")]
#[case::odd_aud(json!({"aud": [1]}), "InvalidIdentityToken", "Claim has an unexpected type: aud")]
#[case::expired(json!({"exp": NOW - 301}), "ExpiredTokenException", "Token expired: current date/time 1790000000 must be before the expiration date/time 1789999699")]
#[case::issued_ahead(json!({"iat": NOW + 301}), "InvalidIdentityToken", "Token issued in the future: current date/time 1790000000 must be after the issue date/time 1790000301")]
#[case::not_yet(json!({"nbf": NOW + 301}), "InvalidIdentityToken", "Token not yet valid: current date/time 1790000000 must be after the not-before date/time 1790000301")]
#[case::null_exp(json!({"exp": null}), "InvalidIdentityToken", "Invalid timestamp in token claims.")]
#[case::fraction(json!({"iat": 1_789_999_999.5}), "InvalidIdentityToken", "Invalid timestamp in token claims.")]
#[case::text(json!({"nbf": "soon"}), "InvalidIdentityToken", "Invalid timestamp in token claims.")]
#[case::another_issuer(json!({"iss": "https://idp.example/realms/y"}), "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")]
#[case::issuer_with_a_slash(json!({"iss": "https://idp.example/realms/x/"}), "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")]
#[case::issuer_over_http(json!({"iss": "http://idp.example/realms/x"}), "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")]
#[case::bare_tag(json!({"https://aws.amazon.com/tags": {"principal_tags": {"a": "b"}}}), "InvalidIdentityToken", "principal_tags passed in claim is not in correct format.")]
#[case::source_identity(json!({"https://aws.amazon.com/source_identity": "a b"}), "InvalidIdentityToken", "source_identity passed in claim is not in correct format.")]
fn refused(#[case] changes: Value, #[case] code: &str, #[case] message: &str) {
    let error = StsError::from(&check(changes).unwrap_err());
    assert_eq!((error.code.as_str(), error.message.as_str()), (code, message));
}

#[test]
fn a_long_subject_is_accepted() {
    let long = "x".repeat(300);
    assert_eq!(check(json!({ "sub": long })).unwrap().subject(), long);
}

#[test]
fn of_a_duplicate_claim_the_last_counts() {
    let payload = payload(json!({})).replace(r#""sub":"alice""#, r#""sub":"alice","sub":"bob""#);
    assert_eq!(check_payload(&payload).unwrap().subject(), "bob");
}

#[test]
fn no_client_ids_accept_no_audience() {
    let (key, keys) = key();
    let text = key.sign(&serde_json::Map::new(), &payload_map()).unwrap();
    let signed = UnverifiedToken::parse(&text).unwrap().verify(keys, &AllowedAlgorithms::aws()).unwrap();
    let refused =
        verify_identity(signed, ISSUER, &IdentityRules::aws(&[]), Timestamp::from_second(NOW).unwrap());
    assert_eq!(refused.unwrap_err(), IdentityError::Audience);
}

fn payload_map() -> serde_json::Map<String, Value> {
    serde_json::from_str(&payload(json!({}))).unwrap()
}

const ROLE: &str = "arn:aws:iam::000000000000:role/reader";

#[rstest]
#[case::absent(json!({}), Ok(false))]
#[case::null(json!({ROLES: null}), Ok(false))]
#[case::array(json!({ROLES: ["junk", ROLE]}), Ok(true))]
#[case::trimmed(json!({ROLES: [format!("  {ROLE}\n")]}), Ok(true))]
#[case::text(json!({ROLES: format!("x; {ROLE} ;y")}), Ok(true))]
#[case::another_case(json!({ROLES: [ROLE.to_uppercase()]}), Err(IdentityError::RoleNotListed))]
#[case::prefix(json!({ROLES: [format!("{ROLE}s")]}), Err(IdentityError::RoleNotListed))]
#[case::wildcard(json!({ROLES: ["arn:aws:iam::000000000000:role/*"]}), Err(IdentityError::RoleNotListed))]
#[case::empty(json!({ROLES: []}), Err(IdentityError::RoleNotListed))]
#[case::empty_text(json!({ROLES: ""}), Err(IdentityError::RoleNotListed))]
#[case::number(json!({ROLES: 1}), Err(IdentityError::RoleNotListed))]
fn the_roles_claim(#[case] changes: Value, #[case] expected: Result<bool, IdentityError>) {
    assert_eq!(check(changes).unwrap().authorizes_role(ROLE), expected);
}

#[test]
fn token_errors_do_not_tell_whether_an_issuer_is_known() {
    use crate::jwt::KeyError;
    let unknown_key = TokenError::Key(KeyError::Unknown { kid: "k".to_owned() });
    for error in [unknown_key, TokenError::Signature, TokenError::AlgorithmNotAllowed(Algorithm::EdDSA)] {
        assert_eq!(StsError::from(&error), StsError::no_verification_key());
    }
    assert_eq!(StsError::from(&IdentityError::WrongIssuer), StsError::no_verification_key());
    let malformed = StsError::from(&TokenError::NotCompact);
    assert_eq!(malformed.code, FaultCode::InvalidIdentityToken);
}

#[test]
fn the_rest_of_the_token_is_at_hand() {
    let token = check(json!({
        "amr": ["pwd", "otp"], "https://aws.amazon.com/source_identity": "alice",
        "https://aws.amazon.com/tags": {"principal_tags": {"team": ["x"]}}, "email": "a@example.org",
    }))
    .unwrap();
    assert_eq!(token.amr(), ["pwd", "otp"]);
    assert_eq!(token.source_identity(), Some("alice"));
    assert_eq!(token.tags().principal, [("team".to_owned(), "x".to_owned())]);
    assert_eq!(token.expires_at().as_second(), NOW + 600);
    assert_eq!(token.original_audiences(), ["s3-cli"]);
    assert!(!format!("{token:?}").contains("a@example.org"));
}
