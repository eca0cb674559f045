use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::super::context::{Context, Principal};
use super::super::document::Document;
use super::super::kind::Kind;
use super::*;

const SESSION: Principal<'_> = Principal::Session {
    account: "111122223333",
    role: "arn:aws:iam::111122223333:role/reader",
    session: "arn:aws:sts::111122223333:assumed-role/reader/alice",
    provider: None,
};

fn policy(name: &str, kind: Kind, statement: Json) -> Arc<Policy> {
    let text = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
    Arc::new(Document::parse(&text, kind).unwrap().named(name))
}

fn say(policies: &Policies<'_>, principal: Principal<'_>, action: &str, resource: &str) -> String {
    let mut context = Context::new();
    context.set("s3:prefix", "home/bob/");
    context.set("amr", vec!["pwd", "otp"]);
    let request = Request { principal, action, resource, account: "111122223333", context: &context };
    explain(policies, &request).to_string()
}

#[test]
fn decisions_in_words() {
    let identity = [
        policy(
            "home",
            Kind::Identity,
            json!([
                {"Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::home",
                 "Condition": {"StringLike": {"s3:prefix": ["home/alice/*"]}, "Null": {"s3:delimiter": "false"}}},
                {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::home/*"},
                {"Sid": "NoAcl", "Effect": "Deny", "Action": "s3:*Acl", "Resource": "*"},
            ]),
        ),
        policy(
            "multi",
            Kind::Identity,
            json!({"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::home/*",
                   "Condition": {"StringEquals": {"amr": "otp"}}}),
        ),
    ];
    let policies = Policies { identity: &identity, ..Policies::default() };
    let say = |action, resource| say(&policies, SESSION, action, resource);
    assert_eq!(
        say("s3:GetObject", "arn:aws:s3:::home/x"),
        "allowed by `Statement[1]` of the permission policy `home`"
    );
    assert_eq!(
        say("s3:GetObjectAcl", "arn:aws:s3:::home/x"),
        "denied by `NoAcl` of the permission policy `home`: an explicit deny wins over every allow"
    );
    assert_eq!(
        say("s3:ListBucket", "arn:aws:s3:::home"),
        "denied: no permission policy allows `s3:ListBucket` on `arn:aws:s3:::home`; `List` of the permission \
         policy `home` comes nearest, but `StringLike` on `s3:prefix` expects `home/alice/*` and the request has \
         `home/bob/`; and `Null` on `s3:delimiter` expects `false` and the request has no such key"
    );
    assert_eq!(
        say("s3:PutObject", "arn:aws:s3:::shared/x"),
        "denied: no permission policy allows `s3:PutObject` on `arn:aws:s3:::shared/x`; `Statement[1]` of the \
         permission policy `home` comes nearest, but its resources are `arn:aws:s3:::home/*`"
    );
    assert_eq!(
        say("s3:DeleteObject", "arn:aws:s3:::home/x"),
        "denied: no permission policy allows `s3:DeleteObject` on `arn:aws:s3:::home/x`; `Statement[0]` of the \
         permission policy `multi` comes nearest, but `StringEquals` on `amr` expects `otp` and the request has \
         `pwd`, `otp` (the key may have many values: write `ForAnyValue:` before the operator)"
    );
    assert_eq!(
        say("iam:CreateUser", "arn:aws:s3:::home/x"),
        "denied: no permission policy allows `iam:CreateUser` on `arn:aws:s3:::home/x`; `Statement[1]` of the \
         permission policy `home` comes nearest, but its actions are `s3:GetObject`, `s3:PutObject`"
    );
}

#[test]
fn who_was_not_named() {
    let trust = policy(
        "trust",
        Kind::Trust,
        json!({"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
               "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/idp.example"}}),
    );
    let policies = Policies { resource: Some(&trust), ..Policies::default() };
    let google = Principal::WebIdentity { provider: "accounts.google.com" };
    assert_eq!(
        say(&policies, google, "sts:AssumeRoleWithWebIdentity", "arn:aws:iam::111122223333:role/reader"),
        "denied: no trust policy allows `sts:AssumeRoleWithWebIdentity` on \
         `arn:aws:iam::111122223333:role/reader`; `Statement[0]` of the trust policy `trust` comes nearest, but \
         it does not speak of `accounts.google.com`"
    );
}

#[test]
fn nothing_attached_and_root() {
    let policies = Policies::default();
    assert_eq!(
        say(&policies, SESSION, "s3:GetObject", "*"),
        "denied: there is no permission policy that could allow `s3:GetObject` on `*`"
    );
    let root = Principal::Root { account: "111122223333" };
    assert_eq!(
        say(&policies, root, "s3:GetObject", "*"),
        "allowed: `arn:aws:iam::111122223333:root` owns the account"
    );
}
