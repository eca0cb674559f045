//! What is written to directories.

use std::time::{Duration, Instant};

use wigeon_core::time::Timestamp;
use wigeon_server::directory::{Change, Owner, Tagged};

pub(crate) const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::000000000000:oidc-provider/idp.example"},"Action":"sts:AssumeRoleWithWebIdentity"}]}"#;
pub(crate) const READ: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
pub(crate) const WRITE: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}]}"#;
pub(crate) const ACCOUNT: &str = "000000000000";

pub(crate) fn at() -> Timestamp {
    "2026-11-23T20:07:00.5Z".parse().unwrap()
}

pub(crate) fn role(name: &str) -> Change {
    Change::CreateRole {
        name: name.into(),
        path: "/team/".into(),
        trust: TRUST.into(),
        description: Some("d".into()),
        max_session_duration: 7200,
        boundary: None,
        tags: vec![("a".into(), "b".into())],
    }
}

pub(crate) fn policy(name: &str) -> Change {
    let path = "/".into();
    Change::CreatePolicy { name: name.into(), path, document: READ.into(), description: None, tags: vec![] }
}

pub(crate) fn user(name: &str) -> Change {
    Change::CreateUser { name: name.into(), path: "/".into(), boundary: None, tags: vec![] }
}

pub(crate) fn provider() -> Change {
    Change::CreateProvider {
        url: "https://idp.example".into(),
        client_ids: vec!["app".into()],
        thumbprints: vec!["a".repeat(40)],
        tags: vec![],
    }
}

pub(crate) fn arn(kind: &str, name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:{kind}/{name}")
}

/// One change of every kind.
pub(crate) fn every_change() -> Vec<Change> {
    let reader = || Owner::Role("reader".into());
    let managed = arn("policy", "managed");
    let idp = arn("oidc-provider", "idp.example");
    vec![
        provider(),
        Change::SetThumbprints { arn: idp.clone(), thumbprints: vec!["b".repeat(40)] },
        Change::AddClientId { arn: idp.clone(), client_id: "web".into() },
        Change::RemoveClientId { arn: idp.clone(), client_id: "app".into() },
        policy("managed"),
        Change::CreatePolicyVersion { arn: managed.clone(), document: WRITE.into(), set_as_default: false },
        Change::SetDefaultPolicyVersion { arn: managed.clone(), version: "v2".into() },
        Change::DeletePolicyVersion { arn: managed.clone(), version: "v1".into() },
        role("reader"),
        Change::UpdateRole { name: "reader".into(), description: None, max_session_duration: Some(3600) },
        Change::UpdateTrust {
            name: "reader".into(),
            document: TRUST.replace("idp.example", "other.example"),
        },
        Change::PutPolicy { owner: reader(), name: "inline".into(), document: READ.into() },
        Change::Attach { owner: reader(), arn: managed.clone() },
        Change::SetBoundary {
            owner: reader(),
            arn: Some("arn:aws:iam::aws:policy/AmazonS3FullAccess".into()),
        },
        Change::Tag { what: Tagged::Role("reader".into()), tags: vec![("A".into(), "c".into())] },
        Change::Untag { what: Tagged::Policy(managed), keys: vec!["none".into()] },
        Change::CreateGroup { name: "all".into(), path: "/".into() },
        Change::PutPolicy { owner: Owner::Group("all".into()), name: "g".into(), document: WRITE.into() },
        Change::CreateUser { name: "robot".into(), path: "/".into(), boundary: None, tags: vec![] },
        Change::AddToGroup { group: "all".into(), user: "robot".into() },
        Change::CreateAccessKey { user: "robot".into(), id: "AKIA1".into(), sealed_secret: "s".into() },
        Change::UpdateAccessKey { user: "robot".into(), id: "AKIA1".into(), active: true },
        Change::ResealAccessKeys { sealed: vec![("AKIA1".into(), "t".into())] },
        Change::UpdateUser { name: "robot".into(), new_name: Some("machine".into()), new_path: None },
        Change::UpdateGroup { name: "all".into(), new_name: Some("everyone".into()), new_path: None },
        Change::RevokeSession { access_key_id: "ASIA1".into(), until: at() },
        Change::RevokeRole { name: "reader".into(), before: at() },
        Change::RevokeProvider { arn: idp, before: at() },
    ]
}

/// What one node did is seen by another within a second.
pub(crate) async fn seen(condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < Duration::from_secs(1), "not seen within a second");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
