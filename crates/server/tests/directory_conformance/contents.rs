//! What is written is there again, and what is refused changes nothing.

use wigeon_server::directory::{Change, ChangeError, Owner};

use crate::fixture::{READ, WRITE, arn, at, every_change, policy, provider, role};
use crate::home::Home;

every_home! {
    everything_is_there_again
    refusals_change_nothing
}

async fn everything_is_there_again(home: Home) {
    let directory = home.open().await;
    for change in every_change() {
        directory.change(&change, at()).await.unwrap_or_else(|error| panic!("{change:?}: {error}"));
    }
    let before = directory.snapshot();
    let role = before.role(&arn("role", "team/reader")).unwrap();
    assert_eq!((role.policies.len(), role.max_session_duration), (2, 3600));
    assert!(role.boundary.is_some() && role.revoked_before == Some(at()));
    assert_eq!(role.tags, [("A".to_owned(), "c".to_owned())]);
    assert_eq!(before.policy(&arn("policy", "managed")).unwrap().document.text(), WRITE);
    let (key, user) = before.access_key("AKIA1").unwrap();
    assert_eq!((user.name.as_str(), user.policies.len(), key.sealed_secret.as_str()), ("machine", 1, "t"));
    assert!(before.is_revoked("ASIA1") && !before.is_revoked("ASIA2"));
    let provider = before.provider("https://idp.example").unwrap();
    assert_eq!(
        (provider.client_ids.as_slice(), provider.revoked_before),
        (&["web".to_owned()][..], Some(at()))
    );

    // Another process reads the same, byte for byte, and compiles it to the same.
    let after = home.open().await.snapshot();
    assert_eq!(format!("{:?}", after.entries()), format!("{:?}", before.entries()));
    assert_eq!(after.revision(), before.revision());
    assert_eq!(after.role(&arn("role", "team/reader")).unwrap().policies.len(), 2);
    assert_eq!(after.access_key("AKIA1").unwrap().1.policies.len(), 1);

    // And everything goes again.
    let everyone = || Owner::Group("everyone".into());
    for change in [
        Change::DeleteAccessKey { user: "machine".into(), id: "AKIA1".into() },
        Change::RemoveFromGroup { group: "everyone".into(), user: "machine".into() },
        Change::DeleteUser { name: "machine".into() },
        Change::RemovePolicy { owner: everyone(), name: "g".into() },
        Change::DeleteGroup { name: "everyone".into() },
        Change::RemovePolicy { owner: Owner::Role("reader".into()), name: "inline".into() },
        Change::Detach { owner: Owner::Role("reader".into()), arn: arn("policy", "managed") },
        Change::DeleteRole { name: "reader".into() },
        Change::DeletePolicy { arn: arn("policy", "managed") },
        Change::DeleteProvider { arn: arn("oidc-provider", "idp.example") },
        // The revocation has served its time.
        Change::RevokeSession { access_key_id: "ASIA2".into(), until: at() },
    ] {
        let later = at() + wigeon_core::time::SignedDuration::from_hours(1);
        directory.change(&change, later).await.unwrap_or_else(|error| panic!("{change:?}: {error}"));
    }
    for snapshot in [directory.snapshot(), home.open().await.snapshot()] {
        let entries = snapshot.entries();
        assert!(entries.roles.is_empty() && entries.users.is_empty() && entries.groups.is_empty());
        assert!(entries.providers.is_empty() && entries.access_keys.is_empty());
        assert!(entries.policies.values().all(|policy| policy.built_in));
        assert!(snapshot.role(&arn("role", "team/reader")).is_none());
        assert!(snapshot.provider("https://idp.example").is_none());
        assert_eq!(entries.revoked.keys().collect::<Vec<_>>(), ["ASIA2"]);
    }
}

async fn refusals_change_nothing(home: Home) {
    let directory = home.open().await;
    for change in [provider(), policy("managed"), role("reader")] {
        directory.change(&change, at()).await.unwrap();
    }
    let attach = Change::Attach { owner: Owner::Role("reader".into()), arn: arn("policy", "managed") };
    directory.change(&attach, at()).await.unwrap();
    let before = directory.snapshot().revision();
    type Expected = fn(&ChangeError) -> bool;
    let refused: Vec<(Change, Expected)> = vec![
        (role("READER"), |error| matches!(error, ChangeError::EntityAlreadyExists(_))),
        (policy("Managed"), |error| matches!(error, ChangeError::EntityAlreadyExists(_))),
        (provider(), |error| matches!(error, ChangeError::EntityAlreadyExists(_))),
        (role("a b"), |error| matches!(error, ChangeError::InvalidInput(_))),
        (Change::DeleteRole { name: "reader".into() }, |error| {
            matches!(error, ChangeError::DeleteConflict(_))
        }),
        (Change::DeletePolicy { arn: arn("policy", "managed") }, |error| {
            matches!(error, ChangeError::DeleteConflict(_))
        }),
        (Change::DeleteRole { name: "none".into() }, |error| matches!(error, ChangeError::NoSuchEntity(_))),
        (Change::UpdateTrust { name: "reader".into(), document: READ.into() }, |error| {
            matches!(error, ChangeError::MalformedPolicyDocument(_))
        }),
        (
            Change::PutPolicy {
                owner: Owner::Role("reader".into()),
                name: "long".into(),
                document: READ.replace("\"*\"", &format!("\"arn:aws:s3:::{}\"", "x".repeat(10_240))),
            },
            |error| matches!(error, ChangeError::LimitExceeded(_)),
        ),
        (
            Change::SetDefaultPolicyVersion {
                arn: "arn:aws:iam::aws:policy/AdministratorAccess".into(),
                version: "v1".into(),
            },
            |error| matches!(error, ChangeError::Unmodifiable(_)),
        ),
    ];
    for (change, expected) in refused {
        let error = directory.change(&change, at()).await.unwrap_err();
        assert!(expected(&error), "{change:?}: {error:?}");
    }
    assert_eq!(directory.snapshot().revision(), before);
    assert_eq!(home.open().await.snapshot().revision(), before);
    // What is so already is no change.
    directory.change(&attach, at()).await.unwrap();
    assert_eq!(directory.snapshot().revision(), before);
}
