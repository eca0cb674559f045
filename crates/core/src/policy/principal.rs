//! The Principal and NotPrincipal elements: whom a trust or bucket policy speaks of.
//!
//! How a statement names someone matters as much as whether it does: see [`Naming`]. Refuses principals
//! that could never match, and wildcards within one.
//!
//! Source: AWS IAM User Guide, "AWS JSON policy elements: Principal" and "… : NotPrincipal".

use super::context::Principal;
use super::kind::Effect;
use crate::arn::Arn;

/// The principals that one element lists.
#[derive(Debug, Clone, Default)]
pub(super) struct Principals {
    negated: bool,
    everyone: bool,
    accounts: Vec<Box<str>>,
    arns: Vec<Box<str>>,
    federated: Vec<Box<str>>,
}

/// How closely a statement names the one who asks, from loose to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Naming {
    /// By the account: it leaves the decision to the account's own policies.
    Account,
    /// By the role, or as anyone: what limits the session still limits it.
    Role,
    /// As itself: by the ARN of the session or user, or as the provider of its token.
    Itself,
}

/// Why a text names no principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PrincipalError {
    #[error("`{0}` is not a kind of principal: use `AWS`, `Federated`, `Service` or `CanonicalUser`")]
    Kind(String),
    #[error("`{0}` has a wildcard: a principal is named in full, or is `*` alone")]
    Wildcard(String),
    #[error(
        "`{0}` is not an AWS principal: write an account's number, or the ARN of an account's root, of a \
         user, a role or a role's session"
    )]
    Aws(String),
    #[error("`{0}` is not an identity provider: write the provider's ARN, or the domain of a built-in one")]
    Federated(String),
    #[error("an empty text names nobody")]
    Empty,
}

impl Principals {
    /// Nobody yet; with `negated`, everybody.
    pub(super) fn new(negated: bool) -> Self {
        Self { negated, ..Self::default() }
    }

    /// Adds everyone: `"Principal": "*"`.
    pub(super) fn add_everyone(&mut self) {
        self.everyone = true;
    }

    /// Adds a value under a key of the element: `"AWS": "…"`.
    pub(super) fn add(&mut self, kind: &str, value: &str) -> Result<(), PrincipalError> {
        if value.is_empty() {
            return Err(PrincipalError::Empty);
        }
        let wildcard = value.contains(['*', '?']);
        match kind {
            "AWS" if value == "*" => self.everyone = true,
            "AWS" | "Federated" | "Service" | "CanonicalUser" if wildcard => {
                return Err(PrincipalError::Wildcard(value.to_owned()));
            }
            "AWS" => self.add_aws(value)?,
            "Federated" => {
                let named = value.parse::<Arn>().is_ok_and(|arn| arn.service() == "iam")
                    || (value.contains('.') && !value.contains([':', '/']));
                if !named {
                    return Err(PrincipalError::Federated(value.to_owned()));
                }
                self.federated.push(value.into());
            }
            // No service and no canonical user ever asks here: they are accepted, and match nobody.
            "Service" | "CanonicalUser" => {}
            other => return Err(PrincipalError::Kind(other.to_owned())),
        }
        Ok(())
    }

    fn add_aws(&mut self, value: &str) -> Result<(), PrincipalError> {
        if value.len() == 12 && value.bytes().all(|byte| byte.is_ascii_digit()) {
            self.accounts.push(value.into());
            return Ok(());
        }
        // What AWS leaves in a policy when the user or role it named is gone.
        let unique_id = value.len() >= 16
            && value.starts_with('A')
            && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if unique_id {
            return Ok(());
        }
        let arn: Arn = value.parse().map_err(|_| PrincipalError::Aws(value.to_owned()))?;
        let kind = arn.resource().split('/').next().unwrap_or_default();
        match (arn.service(), kind) {
            ("iam", "root") => self.accounts.push(arn.account().into()),
            ("iam", "user" | "role") | ("sts", "assumed-role" | "federated-user") => {
                self.arns.push(value.into())
            }
            // Ceph RGW's way to name a session, without an account.
            ("iam", "assumed-role") if arn.account().is_empty() => {
                self.arns.push(value.replacen(":iam:", ":sts:", 1).into())
            }
            _ => return Err(PrincipalError::Aws(value.to_owned())),
        }
        Ok(())
    }

    /// Whether it lists everyone.
    pub(super) fn everyone(&self) -> bool {
        self.everyone
    }

    /// The providers that it lists.
    pub(super) fn federated(&self) -> impl Iterator<Item = &str> {
        self.federated.iter().map(|name| &**name)
    }

    /// Whether it lists whom the statement does not speak of.
    pub(super) fn negated(&self) -> bool {
        self.negated
    }

    /// How a statement of this effect names the principal; `None` if it does not speak of it.
    pub(super) fn naming(&self, principal: &Principal<'_>, effect: Effect) -> Option<Naming> {
        let listed = self.listed(principal);
        if !self.negated {
            // `"*"` does not admit the bearer of a token: its provider must be named. It does deny it.
            let denied = self.everyone && effect == Effect::Deny;
            return listed.or_else(|| denied.then_some(Naming::Role));
        }
        // To escape a denial one must be listed as oneself; to miss a grant, in whatever way.
        let excepted = self.everyone
            || match effect {
                Effect::Deny => listed == Some(Naming::Itself),
                Effect::Allow => listed.is_some(),
            };
        let anyone = match principal {
            Principal::Anonymous => Naming::Itself,
            Principal::WebIdentity { .. } if effect == Effect::Allow => return None,
            _ => Naming::Role,
        };
        (!excepted).then_some(anyone)
    }

    fn listed(&self, principal: &Principal<'_>) -> Option<Naming> {
        let has = |list: &[Box<str>], name: &str| list.iter().any(|listed| **listed == *name);
        let account = |account: &str| has(&self.accounts, account).then_some(Naming::Account);
        let everyone = self.everyone.then_some(Naming::Role);
        let arn = |arn: &str, naming: Naming| has(&self.arns, arn).then_some(naming);
        match *principal {
            Principal::Anonymous => self.everyone.then_some(Naming::Itself),
            Principal::WebIdentity { provider } => has(&self.federated, provider).then_some(Naming::Itself),
            Principal::Session { account: of, role, session, provider } => {
                let federated = provider.filter(|provider| has(&self.federated, provider));
                arn(session, Naming::Itself)
                    .or(arn(role, Naming::Role))
                    .or(federated.map(|_| Naming::Role))
                    .or(everyone)
                    .or(account(of))
            }
            Principal::User { account: of, arn: user } => {
                arn(user, Naming::Itself).or(everyone).or(account(of))
            }
            Principal::Root { account: of } => account(of).map(|_| Naming::Itself).or(everyone),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const SESSION: Principal<'_> = Principal::Session {
        account: "111122223333",
        role: "arn:aws:iam::111122223333:role/team/reader",
        session: "arn:aws:sts::111122223333:assumed-role/reader/alice",
        provider: Some("arn:aws:iam::111122223333:oidc-provider/idp.example"),
    };
    const USER: Principal<'_> =
        Principal::User { account: "111122223333", arn: "arn:aws:iam::111122223333:user/bob" };
    const ROOT: Principal<'_> = Principal::Root { account: "111122223333" };
    const TOKEN: Principal<'_> =
        Principal::WebIdentity { provider: "arn:aws:iam::111122223333:oidc-provider/idp.example" };

    fn naming(
        negated: bool,
        effect: Effect,
        kind: &str,
        value: &str,
        principal: Principal<'_>,
    ) -> Option<Naming> {
        let mut principals = Principals::new(negated);
        principals.add(kind, value).unwrap();
        principals.naming(&principal, effect)
    }

    #[rstest]
    #[case("AWS", "*", SESSION, Some(Naming::Role))]
    #[case("AWS", "*", USER, Some(Naming::Role))]
    #[case("AWS", "*", Principal::Anonymous, Some(Naming::Itself))]
    #[case("AWS", "*", TOKEN, None)]
    #[case("AWS", "111122223333", SESSION, Some(Naming::Account))]
    #[case("AWS", "111122223333", ROOT, Some(Naming::Itself))]
    #[case("AWS", "111122223333", TOKEN, None)]
    #[case("AWS", "111122223333", Principal::Anonymous, None)]
    #[case("AWS", "999999999999", SESSION, None)]
    #[case("AWS", "arn:aws:iam::111122223333:root", USER, Some(Naming::Account))]
    #[case("AWS", "arn:aws:iam::111122223333:role/team/reader", SESSION, Some(Naming::Role))]
    #[case("AWS", "arn:aws:iam::111122223333:role/reader", SESSION, None)]
    #[case("AWS", "arn:aws:sts::111122223333:assumed-role/reader/alice", SESSION, Some(Naming::Itself))]
    #[case("AWS", "arn:aws:sts::111122223333:assumed-role/reader/bob", SESSION, None)]
    #[case("AWS", "arn:aws:iam::111122223333:user/bob", USER, Some(Naming::Itself))]
    #[case("AWS", "AROAEXAMPLEEXAMPLE123", SESSION, None)]
    #[case("Federated", "arn:aws:iam::111122223333:oidc-provider/idp.example", TOKEN, Some(Naming::Itself))]
    #[case("Federated", "arn:aws:iam::111122223333:oidc-provider/idp.example", SESSION, Some(Naming::Role))]
    #[case("Federated", "accounts.google.com", SESSION, None)]
    #[case("Federated", "arn:aws:iam::111122223333:oidc-provider/idp.example/", TOKEN, None)]
    #[case("Federated", "accounts.google.com", TOKEN, None)]
    #[case("Service", "ec2.amazonaws.com", SESSION, None)]
    #[case("CanonicalUser", "79a59df900b949e55d96a1e698f", SESSION, None)]
    fn principals(
        #[case] kind: &str,
        #[case] value: &str,
        #[case] principal: Principal<'_>,
        #[case] expected: Option<Naming>,
    ) {
        assert_eq!(naming(false, Effect::Allow, kind, value, principal), expected);
    }

    /// Ceph RGW's way; with an account it is nobody's way.
    #[test]
    fn a_session_under_iam() {
        let session = Principal::Session {
            account: "111122223333",
            role: "arn:aws:iam:::role/reader",
            session: "arn:aws:sts:::assumed-role/reader/alice",
            provider: None,
        };
        let named = "arn:aws:iam:::assumed-role/reader/alice";
        assert_eq!(naming(false, Effect::Allow, "AWS", named, session), Some(Naming::Itself));
        assert_eq!(naming(false, Effect::Allow, "AWS", named, SESSION), None);
        let with_account = "arn:aws:iam::111122223333:assumed-role/reader/alice";
        let refused = Principals::new(false).add("AWS", with_account);
        assert_eq!(refused, Err(PrincipalError::Aws(with_account.to_owned())));
    }

    #[test]
    fn everyone_is_denied_but_not_everyone_is_admitted() {
        for principal in [SESSION, USER, ROOT, TOKEN, Principal::Anonymous] {
            assert!(naming(false, Effect::Deny, "AWS", "*", principal).is_some(), "{principal}");
        }
        assert_eq!(naming(false, Effect::Allow, "AWS", "*", TOKEN), None);
    }

    #[rstest]
    #[case(Effect::Deny, "arn:aws:sts::111122223333:assumed-role/reader/alice", SESSION, None)]
    #[case(Effect::Deny, "arn:aws:iam::111122223333:role/team/reader", SESSION, Some(Naming::Role))]
    #[case(Effect::Deny, "111122223333", SESSION, Some(Naming::Role))]
    #[case(Effect::Deny, "111122223333", TOKEN, Some(Naming::Role))]
    #[case(Effect::Deny, "*", SESSION, None)]
    #[case(Effect::Allow, "arn:aws:iam::111122223333:role/team/reader", SESSION, None)]
    #[case(Effect::Allow, "111122223333", SESSION, None)]
    #[case(Effect::Allow, "999999999999", SESSION, Some(Naming::Role))]
    #[case(Effect::Allow, "999999999999", Principal::Anonymous, Some(Naming::Itself))]
    #[case(Effect::Allow, "999999999999", TOKEN, None)]
    fn not_principals(
        #[case] effect: Effect,
        #[case] value: &str,
        #[case] principal: Principal<'_>,
        #[case] expected: Option<Naming>,
    ) {
        assert_eq!(naming(true, effect, "AWS", value, principal), expected);
    }

    #[rstest]
    #[case("aws", "*", PrincipalError::Kind("aws".into()))]
    #[case("AWS", "", PrincipalError::Empty)]
    #[case("AWS", "bob", PrincipalError::Aws("bob".into()))]
    #[case("AWS", "12345", PrincipalError::Aws("12345".into()))]
    #[case("AWS", "arn:aws:iam::1:group/x", PrincipalError::Aws("arn:aws:iam::1:group/x".into()))]
    #[case("AWS", "arn:aws:iam::1:role/*", PrincipalError::Wildcard("arn:aws:iam::1:role/*".into()))]
    #[case("Federated", "*", PrincipalError::Wildcard("*".into()))]
    #[case("Federated", "https://idp.example", PrincipalError::Federated("https://idp.example".into()))]
    #[case("Service", "*", PrincipalError::Wildcard("*".into()))]
    fn what_names_nobody_is_refused(#[case] kind: &str, #[case] value: &str, #[case] error: PrincipalError) {
        assert_eq!(Principals::new(false).add(kind, value), Err(error));
    }
}
