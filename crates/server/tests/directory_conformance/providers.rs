//! How the server's own configuration reaches the providers of a database.

use std::sync::Arc;

use wigeon_core::jwt::Algorithm;
use wigeon_core::jwt::signing::SigningKey;
use wigeon_server::directory::{Connections, Directory, Keys, ProviderSettings};

use crate::fixture::{at, provider, role};
use crate::home::Home;

every_home! {
    providers_are_reached_as_configured
    built_in_providers_stand_beside
}

/// Google, which nobody registers, beside what the database has; policies know it by its name.
async fn built_in_providers_stand_beside(home: Home) {
    let folder = tempfile::tempdir().unwrap();
    let connections = |names: &[&str]| {
        let settings = names.iter().map(|name| toml::from_str(&format!("name = '{name}'")).unwrap());
        Connections::new(&folder.path().join("serve.toml"), Vec::new(), settings.collect())
    };
    let open = async || Arc::into_inner(home.open().await).unwrap();
    let google = "https://accounts.google.com";
    let plain = open().await;
    assert!(plain.snapshot().provider(google).is_none());
    let directory = open().await.reached(connections(&["accounts.google.com"])).unwrap();
    let there = || {
        directory
            .snapshot()
            .provider(google)
            .is_some_and(|known| known.principal() == "accounts.google.com" && known.any_audience)
    };
    assert!(there());
    directory.change(&provider(), at()).await.unwrap();
    plain.refresh().await.unwrap();
    plain.change(&role("reader"), at()).await.unwrap();
    directory.refresh().await.unwrap();
    assert!(there() && directory.snapshot().provider("https://idp.example").is_some());
    assert!(directory.snapshot().entries().providers.len() == 1, "it is in no database");
    for (names, reason) in
        [(&["accounts.gogle.com"][..], "no such provider"), (&["www.amazon.com", "www.amazon.com"], "twice")]
    {
        let error = open().await.reached(connections(names)).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// The keys of a provider that the API made, from a file that the configuration names and that changes.
async fn providers_are_reached_as_configured(home: Home) {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    let jwks = |keys: &[&SigningKey]| {
        let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
        std::fs::write(folder.path().join("keys.json"), serde_json::json!({"keys": keys}).to_string())
    };
    jwks(&[]).unwrap();
    let connections = |text: &str| {
        let settings: ProviderSettings = toml::from_str(text).unwrap();
        Connections::new(&folder.path().join("serve.toml"), vec![settings], Vec::new())
    };
    let open = async || Arc::into_inner(home.open().await).unwrap();
    let fixed = "url = 'https://idp.example'\njwks_file = 'keys.json'\nalgorithms = ['ES256']";
    let directory = open().await.reached(connections(fixed)).unwrap();
    let known = |directory: &Directory| {
        let snapshot = directory.snapshot();
        let provider = snapshot.provider("https://idp.example").cloned();
        provider.map(|provider| match &provider.keys {
            Keys::Fixed(keys) => keys.len(),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(known(&directory), None, "it is not there until the API makes it");
    directory.change(&provider(), at()).await.unwrap();
    assert_eq!(known(&directory), Some(0));
    let algorithms = |directory: &Directory, algorithm| {
        directory.snapshot().provider("https://idp.example").unwrap().algorithms.contains(algorithm)
    };
    assert!(algorithms(&directory, Algorithm::ES256) && !algorithms(&directory, Algorithm::RS256));
    // The file is looked at like a directory file; a faulty one changes nothing.
    std::fs::write(folder.path().join("keys.json"), "not a key set").unwrap();
    assert!(directory.reconnect_if_changed().await.is_err());
    assert!(!directory.reconnect_if_changed().await.unwrap(), "complained about once");
    assert_eq!(known(&directory), Some(0));
    jwks(&[&key]).unwrap();
    assert!(directory.reconnect_if_changed().await.unwrap());
    assert_eq!(known(&directory), Some(1));
    // Other changes leave it so, whoever makes them.
    directory.change(&role("reader"), at()).await.unwrap();
    home.open().await.change(&role("writer"), at()).await.unwrap();
    directory.refresh().await.unwrap();
    assert_eq!(known(&directory), Some(1));
    // It is this server's business: the database knows nothing of it.
    let elsewhere = home.open().await;
    let plain = elsewhere.snapshot().provider("https://idp.example").cloned().unwrap();
    assert!(matches!(plain.keys, Keys::Discovery) && plain.algorithms.contains(Algorithm::RS256));

    let by_url = "url = 'https://idp.example'\njwks_url = 'https://keys.example/jwks'";
    let directory = open().await.reached(connections(by_url)).unwrap();
    let provider = directory.snapshot().provider("https://idp.example").cloned().unwrap();
    assert!(matches!(&provider.keys, Keys::Url(url) if url == "https://keys.example/jwks"));
    for (text, reason) in [
        ("jwks_url = 'http://keys.example/jwks'", "unprotected"),
        ("jwks_url = 'https://keys.example/jwks'\njwks_file = 'keys.json'", "exclude each other"),
        ("jwks_file = 'none.json'", "none.json"),
        ("ca_file = 'keys.json'", "no PEM certificate"),
        ("algorithms = ['none']", "none"),
    ] {
        let text = format!("url = 'https://idp.example'\n{text}");
        let error = open().await.reached(connections(&text)).unwrap_err();
        assert!(error.to_string().contains(reason), "{text}: {error}");
    }
}
