//! Whose directory it is, and of which ways.

use wigeon_server::directory::{AccountSettings, Change, ChangeError, Owner, StoredError};

use crate::fixture::{ACCOUNT, READ, at, policy, role};
use crate::home::Home;

every_home! {
    the_account_is_kept
    ceph_ways_are_kept
}

fn said(number: &str, ceph: Option<bool>) -> AccountSettings {
    AccountSettings { number: Some(number.into()), ceph }
}

async fn the_account_is_kept(home: Home) {
    let directory = home.open_as(&said("123456789012", None)).await.unwrap();
    assert_eq!(directory.snapshot().account(), "123456789012");
    let unsaid = home.open_as(&AccountSettings::default()).await.unwrap();
    assert_eq!(unsaid.snapshot().account(), "123456789012");
    let refused = home.open_as(&said("999999999999", None)).await.unwrap_err();
    assert!(matches!(refused, StoredError::Account { .. }), "{refused:?}");
    let refused = home.open_as(&said("123456789012", Some(true))).await.unwrap_err();
    assert!(matches!(refused, StoredError::Ways { stored: false }), "{refused:?}");
}

/// ARNs without an account, in what is answered and in what is kept; providers without client ids; issuers over http.
async fn ceph_ways_are_kept(home: Home) {
    let directory = home.open_as(&said(ACCOUNT, Some(true))).await.unwrap();
    let provider = |client_ids: &[&str]| Change::CreateProvider {
        url: "http://idp.example:8080/realms/people".into(),
        client_ids: client_ids.iter().map(ToString::to_string).collect(),
        thumbprints: Vec::new(),
        tags: Vec::new(),
    };
    for change in [provider(&[]), policy("managed"), role("reader")] {
        directory.change(&change, at()).await.unwrap_or_else(|error| panic!("{change:?}: {error}"));
    }
    let reader = || Owner::Role("reader".into());
    let attach = |account: &str| Change::Attach {
        owner: reader(),
        arn: format!("arn:aws:iam::{account}:policy/managed"),
    };
    let error = directory.change(&attach(ACCOUNT), at()).await.unwrap_err();
    assert!(matches!(error, ChangeError::NoSuchEntity(_)), "{error:?}");
    directory.change(&attach(""), at()).await.unwrap();
    let inline = Change::PutPolicy { owner: reader(), name: "inline".into(), document: READ.into() };
    directory.change(&inline, at()).await.unwrap();

    let unsaid = home.open_as(&AccountSettings::default()).await.unwrap();
    for snapshot in [directory.snapshot(), unsaid.snapshot()] {
        assert!(snapshot.is_ceph() && snapshot.account() == ACCOUNT);
        let role = snapshot.role("arn:aws:iam:::role/team/reader").unwrap();
        assert_eq!((role.arn.as_str(), role.policies.len()), ("arn:aws:iam:::role/team/reader", 2));
        let provider = snapshot.provider("http://idp.example:8080/realms/people").unwrap();
        assert!(provider.any_audience);
        assert_eq!(provider.arn.as_str(), "arn:aws:iam:::oidc-provider/idp.example:8080/realms/people");
    }

    // A client id ends that, and its removal brings it back; other nodes see both.
    let arn = || "arn:aws:iam:::oidc-provider/idp.example:8080/realms/people".to_owned();
    let any = || unsaid.snapshot().provider("http://idp.example:8080/realms/people").unwrap().any_audience;
    let change = Change::AddClientId { arn: arn(), client_id: "app".into() };
    directory.change(&change, at()).await.unwrap();
    unsaid.refresh().await.unwrap();
    assert!(!any());
    let change = Change::RemoveClientId { arn: arn(), client_id: "app".into() };
    directory.change(&change, at()).await.unwrap();
    unsaid.refresh().await.unwrap();
    assert!(any());

    let refused = home.open_as(&said(ACCOUNT, Some(false))).await.unwrap_err();
    assert!(matches!(refused, StoredError::Ways { stored: true }), "{refused:?}");
}
