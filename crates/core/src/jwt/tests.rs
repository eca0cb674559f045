//! Tokens and key sets, row by row of docs/sts.md's table, with keys of our own and one foreign certificate.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Map, Value, json};

use super::signing::SigningKey;
use super::*;

fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).unwrap()
}

fn claims() -> Map<String, Value> {
    object(json!({"iss": "https://idp.example", "sub": "alice", "n": 1}))
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn set(jwks: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": jwks }).to_string().as_bytes()).unwrap()
}

/// The key's JWK with members added, replaced or (by `null`) removed.
fn jwk(key: &SigningKey, changes: Value) -> Value {
    let mut jwk = object(key.public_jwk());
    for (name, value) in object(changes) {
        match value {
            Value::Null => drop(jwk.remove(&name)),
            value => drop(jwk.insert(name, value)),
        }
    }
    Value::Object(jwk)
}

fn all() -> AllowedAlgorithms {
    AllowedAlgorithms::only(Algorithm::ALL)
}

fn verify(token: &str, keys: &KeySet) -> Result<SignedToken, TokenError> {
    UnverifiedToken::parse(token)?.verify(keys, &all())
}

fn signed(key: &SigningKey, header: Value) -> String {
    key.sign(&object(header), &claims()).unwrap()
}

#[test]
fn every_algorithm_round_trips() {
    for algorithm in Algorithm::ALL {
        let key = key(algorithm);
        let keys = set(&[key.public_jwk()]);
        let token = signed(&key, json!({}));
        let verified = verify(&token, &keys).unwrap();
        assert_eq!(verified.claims().string("sub"), Some("alice"));
        assert_eq!(verified.algorithm(), algorithm);

        let reloaded = SigningKey::from_pkcs8(algorithm, &key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(reloaded.kid(), key.kid());
        assert!(verify(&signed(&reloaded, json!({})), &keys).is_ok());
    }
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    for algorithm in [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA] {
        let key = key(algorithm);
        let keys = set(&[key.public_jwk()]);
        let token = signed(&key, json!({}));
        let (rest, signature) = token.rsplit_once('.').unwrap();
        let (header, _) = rest.split_once('.').unwrap();
        let forged = object(json!({"iss": "https://idp.example", "sub": "admin"}));
        let other = key.sign(&Map::new(), &forged).unwrap();
        let payload = other.split('.').nth(1).unwrap();
        assert!(matches!(
            verify(&format!("{header}.{payload}.{signature}"), &keys),
            Err(TokenError::Signature)
        ));

        let mut cut = signature.to_owned();
        cut.replace_range(4..5, if &cut[4..5] == "A" { "B" } else { "A" });
        assert!(matches!(verify(&format!("{rest}.{cut}"), &keys), Err(TokenError::Signature)));
        assert!(matches!(verify(&format!("{rest}."), &keys), Err(TokenError::Signature)));
    }
}

#[rstest]
#[case::none("none")]
#[case::none_capital("None")]
#[case::hs256("HS256")]
#[case::hs384("HS384")]
#[case::hs512("HS512")]
#[case::invented("XX999")]
fn unsigned_and_symmetric_tokens_are_refused(#[case] alg: &str) {
    let key = key(Algorithm::RS256);
    let header = object(json!({"alg": alg, "kid": key.kid()}));
    let token = key.sign_payload(&header, &Value::Object(claims()).to_string()).unwrap();
    let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
    for token in [token, unsigned] {
        assert!(matches!(UnverifiedToken::parse(&token), Err(TokenError::AlgorithmRefused { .. })));
    }
}

/// Algorithm confusion: the provider's public key used as an HMAC secret.
#[test]
fn a_mac_made_with_the_public_key_is_refused() {
    use aws_lc_rs::hmac;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let key = key(Algorithm::RS256);
    let public = key.public_jwk()["n"].as_str().unwrap().to_owned();
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": key.kid()}).to_string());
    let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(Value::Object(claims()).to_string()));
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes()), input.as_bytes());
    let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(mac));
    assert!(matches!(verify(&token, &set(&[key.public_jwk()])), Err(TokenError::AlgorithmRefused { .. })));
}

#[test]
fn the_list_of_allowed_algorithms_is_binding() {
    for (algorithm, allowed) in
        [(Algorithm::PS256, false), (Algorithm::EdDSA, false), (Algorithm::ES512, true)]
    {
        let key = key(algorithm);
        let token = signed(&key, json!({}));
        let verified = UnverifiedToken::parse(&token)
            .unwrap()
            .verify(&set(&[key.public_jwk()]), &AllowedAlgorithms::aws());
        match verified {
            Ok(_) => assert!(allowed),
            Err(error) => assert!(!allowed && matches!(error, TokenError::AlgorithmNotAllowed(_))),
        }
    }
}

#[test]
fn another_providers_key_with_the_same_id_is_refused() {
    let (ours, theirs) = (key(Algorithm::ES256), key(Algorithm::ES256));
    let token = signed(&ours, json!({"kid": "1"}));
    let their_set = set(&[jwk(&theirs, json!({"kid": "1"}))]);
    assert!(matches!(verify(&token, &their_set), Err(TokenError::Signature)));
    assert!(verify(&token, &set(&[jwk(&ours, json!({"kid": "1"}))])).is_ok());
}

#[test]
fn kid_rules() {
    let (a, b) = (key(Algorithm::ES256), key(Algorithm::ES256));
    let one = set(&[a.public_jwk()]);
    let two = set(&[a.public_jwk(), b.public_jwk()]);
    let unnamed = signed(&a, json!({"kid": null}));
    assert!(verify(&unnamed, &one).is_ok());
    assert!(matches!(verify(&unnamed, &two), Err(TokenError::Key(KeyError::Ambiguous { usable: 2 }))));
    for kid in ["unknown", ""] {
        let token = signed(&a, json!({ "kid": kid }));
        assert!(matches!(verify(&token, &one), Err(TokenError::Key(KeyError::Unknown { .. }))), "{kid}");
        assert!(matches!(verify(&token, &two), Err(TokenError::Key(KeyError::Unknown { .. }))), "{kid}");
    }
    // A key without an id is no answer to a token that names one.
    let anonymous = set(&[jwk(&a, json!({"kid": null}))]);
    assert!(matches!(
        verify(&signed(&a, json!({})), &anonymous),
        Err(TokenError::Key(KeyError::Unknown { .. }))
    ));
    assert!(verify(&unnamed, &anonymous).is_ok());
    // An empty id in the set is no id either.
    let empty = set(&[jwk(&a, json!({"kid": ""}))]);
    assert!(verify(&signed(&a, json!({"kid": ""})), &empty).is_err());
}

#[test]
fn of_two_keys_with_one_id_the_last_counts() {
    let (a, b) = (key(Algorithm::ES256), key(Algorithm::ES256));
    let keys = set(&[jwk(&a, json!({"kid": "k"})), jwk(&b, json!({"kid": "k"}))]);
    assert_eq!(keys.len(), 1);
    assert!(verify(&signed(&b, json!({"kid": "k"})), &keys).is_ok());
    assert!(matches!(verify(&signed(&a, json!({"kid": "k"})), &keys), Err(TokenError::Signature)));
}

#[rstest]
#[case::encryption(json!({"use": "enc"}))]
#[case::unknown_use(json!({"use": "other"}))]
#[case::verify_operation(json!({"key_ops": ["verify"]}))]
#[case::no_operations(json!({"key_ops": []}))]
#[case::unknown_curve(json!({"crv": "secp256k1"}))]
#[case::off_the_curve(json!({"x": "AAAA"}))]
#[case::unknown_type(json!({"kty": "AKP"}))]
#[case::symmetric(json!({"kty": "oct", "k": "AAAA"}))]
#[case::kid_of_a_wrong_type(json!({"kid": 7}))]
#[case::certificate_that_is_none(json!({"x5c": ["AAAA"]}))]
#[case::empty_chain(json!({"x5c": []}))]
fn an_unusable_key_is_left_out_and_breaks_no_other(#[case] change: Value) {
    let (bad, good) = (key(Algorithm::ES256), key(Algorithm::ES256));
    let keys = set(&[jwk(&bad, change), json!("not a key"), good.public_jwk()]);
    assert_eq!(keys.len(), 1);
    assert!(verify(&signed(&good, json!({})), &keys).is_ok());
    assert!(matches!(
        verify(&signed(&bad, json!({})), &keys),
        Err(TokenError::Key(KeyError::Unknown { .. }))
    ));
}

#[test]
fn the_keys_own_alg_is_ignored_and_its_type_is_not() {
    let rsa = key(Algorithm::RS256);
    let keys = set(&[jwk(&rsa, json!({"alg": "ES256"}))]);
    assert!(verify(&signed(&rsa, json!({})), &keys).is_ok());

    let token = signed(&rsa, json!({"alg": "ES256"}));
    assert!(matches!(verify(&token, &keys), Err(TokenError::Key(KeyError::WrongType { .. }))));
    let token = signed(&rsa, json!({"alg": "PS256"}));
    assert!(matches!(verify(&token, &keys), Err(TokenError::Signature)));
}

#[test]
fn more_than_100_rsa_keys_stop_rsa_only() {
    let (rsa, ec) = (key(Algorithm::RS256), key(Algorithm::ES256));
    let many = |count: usize| {
        let mut jwks: Vec<_> = (0..count - 1).map(|n| jwk(&rsa, json!({"kid": n.to_string()}))).collect();
        jwks.extend([rsa.public_jwk(), ec.public_jwk()]);
        set(&jwks)
    };
    assert!(verify(&signed(&rsa, json!({})), &many(100)).is_ok());
    assert!(matches!(
        verify(&signed(&rsa, json!({})), &many(101)),
        Err(TokenError::Key(KeyError::TooManyRsaKeys { count: 101 }))
    ));
    assert!(verify(&signed(&ec, json!({})), &many(101)).is_ok());
}

/// An RSA key and its self-signed certificate, made with OpenSSL.
const RSA_PRIVATE_KEY: &[u8] = include_bytes!("testdata/rsa.p8");
const RSA_CERTIFICATE: &str = include_str!("testdata/rsa.x5c");
const EC_PRIVATE_KEY: &[u8] = include_bytes!("testdata/p256.p8");
const EC_CERTIFICATE: &str = include_str!("testdata/p256.x5c");

#[rstest]
#[case::rsa(Algorithm::RS256, RSA_PRIVATE_KEY, RSA_CERTIFICATE, EC_CERTIFICATE)]
#[case::ec(Algorithm::ES256, EC_PRIVATE_KEY, EC_CERTIFICATE, RSA_CERTIFICATE)]
fn certificates(
    #[case] algorithm: Algorithm,
    #[case] private: &[u8],
    #[case] own: &str,
    #[case] others: &str,
) {
    let key = SigningKey::from_pkcs8(algorithm, private).unwrap();
    let stranger = self::key(algorithm);
    let (own, others) = (own.trim(), others.trim());
    assert_eq!(set(&[jwk(&key, json!({"x5c": [own]}))]).len(), 1, "agrees");
    assert_eq!(set(&[jwk(&key, json!({"x5c": [own, others]}))]).len(), 1, "only the first is the key's");
    assert_eq!(set(&[jwk(&key, json!({"x5c": [others]}))]).len(), 0, "another type");
    assert_eq!(set(&[jwk(&stranger, json!({"x5c": [own]}))]).len(), 0, "another key");
    let alone = jwk(&key, json!({"x5c": [own], "n": null, "e": null, "x": null, "y": null}));
    assert_eq!(set(&[alone]).len(), 0, "the certificate is all there is");
}

#[test]
fn malformed_tokens_are_refused() {
    let key = key(Algorithm::ES256);
    let token = signed(&key, json!({}));
    assert!(matches!(UnverifiedToken::parse(""), Err(TokenError::NotCompact)));
    assert!(matches!(UnverifiedToken::parse("a.b"), Err(TokenError::NotCompact)));
    assert!(matches!(UnverifiedToken::parse(&format!("{token}.x")), Err(TokenError::NotCompact)));
    assert!(matches!(UnverifiedToken::parse("a.b.c.d.e"), Err(TokenError::Encrypted)));
    assert!(matches!(UnverifiedToken::parse(&token.replace('.', "=.")), Err(TokenError::NotCompact)));
    assert!(matches!(UnverifiedToken::parse(&format!(" {token}")), Err(TokenError::NotCompact)));
    assert!(matches!(UnverifiedToken::parse("bm90.bm90.bm90"), Err(TokenError::Header(_))));
    let long = "x".repeat(MAX_TOKEN_LEN + 1);
    assert!(matches!(UnverifiedToken::parse(&long), Err(TokenError::TooLong { len: 20_001 })));
    for crit in [json!(["exp"]), json!([])] {
        assert!(matches!(
            UnverifiedToken::parse(&signed(&key, json!({ "crit": crit }))),
            Err(TokenError::Critical)
        ));
    }
    let header = object(json!({"alg": "ES256", "crit": null}));
    let token = key.sign_payload(&header, "{}").unwrap();
    assert!(matches!(UnverifiedToken::parse(&token), Err(TokenError::Critical)));
    let token = key.sign_payload(&object(json!({"alg": "ES256"})), "[1]").unwrap();
    assert!(matches!(UnverifiedToken::parse(&token), Err(TokenError::Claims(_))));
}

#[test]
fn documents_that_are_no_key_sets() {
    for json in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
        assert!(KeySet::parse(json.as_bytes()).is_err(), "{json}");
    }
    assert!(KeySet::parse(br#"{"keys":[]}"#).unwrap().is_empty());
}

#[test]
fn debug_shows_neither_token_nor_claims_nor_key() {
    let key = key(Algorithm::ES256);
    let text = signed(&key, json!({}));
    let token = UnverifiedToken::parse(&text).unwrap();
    let shown = format!("{token:?} {key:?}");
    let signature = text.rsplit_once('.').unwrap().1;
    assert!(!shown.contains("alice") && !shown.contains(signature), "{shown}");
    let token = token.verify(&set(&[key.public_jwk()]), &all()).unwrap();
    assert!(!format!("{token:?}").contains("alice"));
}

proptest! {
    #[test]
    fn any_text_as_a_token_or_a_key_set_ends_without_a_panic(
        text in "[A-Za-z0-9_.=-]{0,120}", json in "\\PC{0,120}"
    ) {
        let _ = UnverifiedToken::parse(&text);
        let _ = UnverifiedToken::parse(&json);
        let _ = KeySet::parse(json.as_bytes());
    }

    #[test]
    fn any_members_of_a_key_end_without_a_panic(
        kty in "RSA|EC|OKP", crv in "P-256|P-384|P-521|Ed25519", x in "[A-Za-z0-9_-]{0,100}", n in "[A-Za-z0-9_-]{340,350}"
    ) {
        let jwk = json!({"kty": kty, "crv": crv, "x": x, "y": x, "n": n, "e": "AQAB", "x5c": [n]});
        prop_assert_eq!(set(&[jwk]).len(), 0);
    }
}
