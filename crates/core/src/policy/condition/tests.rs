use super::super::context::Context;
use std::net::IpAddr;

use rstest::rstest;

use super::*;

fn context() -> Context<'static> {
    let mut context = Context::new();
    context.set("aws:username", "bob");
    context.set("aws:PrincipalTag/Team", "Blue");
    context.set("star", "*");
    context.set("empty", "");
    context.set("amr", vec!["pwd", "otp"]);
    context.set("one", vec!["pwd"]);
    context.set("none", Vec::<&str>::new());
    context.set("s3:max-keys", 100);
    context.set("text-number", "100.0");
    context.set("aws:CurrentTime", "2026-11-23T20:07:00Z".parse::<Timestamp>().unwrap());
    context.set("aws:EpochTime", 1_795_464_420);
    context.set("text-date", "2026-11-23");
    context.set("aws:SecureTransport", true);
    context.set("text-flag", "FALSE");
    context.set("aws:SourceIp", "203.0.113.7".parse::<IpAddr>().unwrap());
    context.set("mapped", "::ffff:203.0.113.7".parse::<IpAddr>().unwrap());
    context.set("text-ip", "2001:db8::7");
    context.set("aws:PrincipalArn", "arn:aws:iam::111122223333:role/team/reader");
    context.set("binary", "AQID");
    context
}

fn holds(operator: &str, key: &str, values: &[&str]) -> bool {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    let operator = Operator::parse(operator).unwrap();
    Condition::parse(operator, key, values, true).unwrap().holds(&context())
}

#[rstest]
#[case("StringEquals", "aws:username", &["bob"], true)]
#[case("StringEquals", "AWS:USERNAME", &["bob"], true)]
#[case("StringEquals", "aws:username", &["alice", "bob"], true)]
#[case("StringEquals", "aws:username", &["Bob"], false)]
#[case("StringEquals", "aws:username", &["b*"], false)]
#[case("StringEquals", "star", &["*"], true)]
#[case("StringEquals", "star", &["${*}"], true)]
#[case("StringEquals", "empty", &[""], true)]
#[case("StringEquals", "aws:username", &[], false)]
#[case("StringEquals", "aws:username", &["${aws:username}"], true)]
#[case("StringEquals", "aws:username", &["${missing}", "bob"], true)]
#[case("StringEquals", "s3:max-keys", &["100"], true)]
#[case("StringEquals", "aws:SecureTransport", &["true"], true)]
#[case("StringEquals", "aws:SourceIp", &["203.0.113.7"], true)]
#[case("StringEquals", "aws:CurrentTime", &["2026-11-23T20:07:00Z"], true)]
#[case("stringequals", "aws:username", &["bob"], true)]
#[case("StringNotEquals", "aws:username", &["alice"], true)]
#[case("StringNotEquals", "aws:username", &["alice", "bob"], false)]
#[case("StringNotEquals", "aws:username", &["${missing}"], false)]
#[case("StringNotEquals", "aws:username", &[], true)]
#[case("StringEqualsIgnoreCase", "aws:username", &["BOB"], true)]
#[case("StringEqualsIgnoreCase", "aws:username", &["BO"], false)]
#[case("StringNotEqualsIgnoreCase", "aws:username", &["BOB"], false)]
#[case("StringNotEqualsIgnoreCase", "aws:username", &["BO"], true)]
#[case("StringLike", "aws:username", &["b?b"], true)]
#[case("StringLike", "aws:username", &["B*"], false)]
#[case("StringLike", "aws:username", &["${star}"], false)]
#[case("StringLike", "aws:username", &["${aws:PrincipalTag/team}*", "b*"], true)]
#[case("StringLike", "star", &["${*}"], true)]
#[case("StringNotLike", "aws:username", &["a*", "c*"], true)]
#[case("StringNotLike", "aws:username", &["a*", "b*"], false)]
fn texts(#[case] operator: &str, #[case] key: &str, #[case] values: &[&str], #[case] expected: bool) {
    assert_eq!(holds(operator, key, values), expected);
}

#[rstest]
#[case("NumericEquals", "s3:max-keys", &["100"], true)]
#[case("NumericEquals", "s3:max-keys", &["1e2"], true)]
#[case("NumericEquals", "text-number", &["100"], true)]
#[case("NumericEquals", "s3:max-keys", &["99", "100"], true)]
#[case("NumericNotEquals", "s3:max-keys", &["99"], true)]
#[case("NumericNotEquals", "s3:max-keys", &["99", "100"], false)]
#[case("NumericNotEquals", "aws:username", &["99"], false)]
#[case("NumericLessThan", "s3:max-keys", &["100"], false)]
#[case("NumericLessThan", "s3:max-keys", &["100.5"], true)]
#[case("NumericLessThanEquals", "s3:max-keys", &["100"], true)]
#[case("NumericGreaterThan", "s3:max-keys", &["100"], false)]
#[case("NumericGreaterThan", "s3:max-keys", &["-1"], true)]
#[case("NumericGreaterThanEquals", "s3:max-keys", &["100"], true)]
#[case("NumericLessThan", "aws:username", &["100"], false)]
#[case("NumericEquals", "aws:CurrentTime", &["1795464420"], false)]
#[case("DateEquals", "aws:CurrentTime", &["2026-11-23T20:07:00Z"], true)]
#[case("DateEquals", "aws:CurrentTime", &["1795464420"], true)]
#[case("DateEquals", "aws:EpochTime", &["2026-11-23T21:07:00+01:00"], true)]
#[case("DateNotEquals", "aws:CurrentTime", &["2026-11-23T20:07:00Z"], false)]
#[case("DateNotEquals", "aws:CurrentTime", &["2026-11-23T20:07:01Z"], true)]
#[case("DateLessThan", "aws:CurrentTime", &["2026-11-24"], true)]
#[case("DateLessThan", "aws:CurrentTime", &["2026-11-23T20:07:00Z"], false)]
#[case("DateLessThanEquals", "aws:CurrentTime", &["2026-11-23T20:07:00Z"], true)]
#[case("DateGreaterThan", "text-date", &["2026-11-22"], true)]
#[case("DateGreaterThan", "text-date", &["2026-11-23"], false)]
#[case("DateGreaterThanEquals", "text-date", &["2026-11-23"], true)]
#[case("DateGreaterThan", "aws:username", &["1970-01-01"], false)]
#[case("Bool", "aws:SecureTransport", &["true"], true)]
#[case("Bool", "aws:SecureTransport", &["True"], true)]
#[case("bool", "aws:SecureTransport", &["false"], false)]
#[case("Bool", "text-flag", &["false"], true)]
#[case("Bool", "aws:username", &["false"], false)]
#[case("Bool", "aws:username", &["true", "false"], false)]
#[case("BinaryEquals", "binary", &["AQID"], true)]
#[case("BinaryEquals", "binary", &["AQIE"], false)]
#[case("IpAddress", "aws:SourceIp", &["203.0.113.0/24"], true)]
#[case("IpAddress", "mapped", &["203.0.113.0/24"], true)]
#[case("IpAddress", "aws:SourceIp", &["10.0.0.0/8", "203.0.113.7"], true)]
#[case("IpAddress", "aws:SourceIp", &["::/0"], false)]
#[case("IpAddress", "text-ip", &["2001:db8::/32"], true)]
#[case("IpAddress", "aws:username", &["0.0.0.0/0"], false)]
#[case("NotIpAddress", "aws:SourceIp", &["203.0.113.0/24"], false)]
#[case("NotIpAddress", "aws:SourceIp", &["10.0.0.0/8", "::/0"], true)]
#[case("NotIpAddress", "aws:username", &["10.0.0.0/8"], false)]
#[case("ArnEquals", "aws:PrincipalArn", &["arn:aws:iam::*:role/team/*"], true)]
#[case("ArnLike", "aws:PrincipalArn", &["arn:aws:iam::111122223333:role/*"], true)]
#[case("ArnLike", "aws:PrincipalArn", &["arn:aws:*:role/team/reader"], false)]
#[case("ArnLike", "aws:PrincipalArn", &["*"], false)]
#[case("ArnLike", "aws:username", &["arn:*:*:*:*:*"], false)]
#[case("ArnNotEquals", "aws:PrincipalArn", &["arn:aws:iam::*:role/other"], true)]
#[case("ArnNotLike", "aws:PrincipalArn", &["arn:aws:iam::*:role/team/*"], false)]
#[case("ArnNotLike", "aws:username", &["arn:aws:iam::*:role/team/*"], false)]
#[case("Null", "missing", &["true"], true)]
#[case("Null", "missing", &["false"], false)]
#[case("Null", "none", &["true"], true)]
#[case("Null", "empty", &["true"], false)]
#[case("Null", "amr", &["false"], true)]
#[case("Null", "missing", &["true", "false"], true)]
fn other_operands(
    #[case] operator: &str,
    #[case] key: &str,
    #[case] values: &[&str],
    #[case] expected: bool,
) {
    assert_eq!(holds(operator, key, values), expected);
}

#[rstest]
#[case("StringEquals", "x", false)]
#[case("StringEqualsIgnoreCase", "x", false)]
#[case("StringLike", "*", false)]
#[case("NumericEquals", "1", false)]
#[case("NumericLessThan", "1", false)]
#[case("DateGreaterThan", "2026", false)]
#[case("Bool", "false", false)]
#[case("BinaryEquals", "AQID", false)]
#[case("IpAddress", "0.0.0.0/0", false)]
#[case("ArnLike", "arn:*:*:*:*:*", false)]
#[case("StringNotEquals", "x", true)]
#[case("StringNotEqualsIgnoreCase", "x", true)]
#[case("StringNotLike", "*", true)]
#[case("NumericNotEquals", "1", true)]
#[case("DateNotEquals", "2026", true)]
#[case("NotIpAddress", "0.0.0.0/0", true)]
#[case("ArnNotEquals", "arn:*:*:*:*:*", true)]
#[case("ArnNotLike", "arn:*:*:*:*:*", true)]
#[case("StringEqualsIfExists", "x", true)]
#[case("NumericLessThanIfExists", "1", true)]
#[case("BoolIfExists", "false", true)]
#[case("NotIpAddressIfExists", "0.0.0.0/0", true)]
#[case("ForAllValues:StringEquals", "x", true)]
#[case("ForAllValues:StringNotEquals", "x", true)]
#[case("ForAnyValue:StringEquals", "x", false)]
#[case("ForAnyValue:StringNotEquals", "x", false)]
#[case("ForAnyValue:StringEqualsIfExists", "x", true)]
#[case("ForAllValues:StringEqualsIfExists", "x", true)]
fn absent_keys(#[case] operator: &str, #[case] value: &str, #[case] expected: bool) {
    assert_eq!(holds(operator, "missing", &[value]), expected, "absent");
    assert_eq!(holds(operator, "none", &[value]), expected, "without values");
}

#[rstest]
#[case("ForAnyValue:StringEquals", "amr", &["otp"], true)]
#[case("ForAnyValue:StringEquals", "amr", &["sms"], false)]
#[case("ForAnyValue:StringLike", "amr", &["o*"], true)]
#[case("ForAllValues:StringEquals", "amr", &["otp"], false)]
#[case("ForAllValues:StringEquals", "amr", &["otp", "pwd", "sms"], true)]
#[case("ForAllValues:StringLike", "amr", &["*"], true)]
#[case("ForAnyValue:StringNotEquals", "amr", &["otp"], true)]
#[case("ForAnyValue:StringNotEquals", "amr", &["otp", "pwd"], false)]
#[case("ForAllValues:StringNotEquals", "amr", &["sms"], true)]
#[case("ForAllValues:StringNotEquals", "amr", &["otp"], false)]
#[case("ForAnyValue:StringEquals", "aws:username", &["bob"], true)]
#[case("ForAllValues:StringEquals", "aws:username", &["alice"], false)]
#[case("ForAnyValue:NumericLessThan", "s3:max-keys", &["101"], true)]
#[case("foranyvalue:stringequals", "amr", &["otp"], true)]
// A key that may have many values needs a quantifier, however many it has.
#[case("StringEquals", "amr", &["pwd"], false)]
#[case("StringEquals", "one", &["pwd"], false)]
#[case("StringNotEquals", "amr", &["sms"], false)]
#[case("StringNotEqualsIfExists", "one", &["sms"], false)]
fn many_values(#[case] operator: &str, #[case] key: &str, #[case] values: &[&str], #[case] expected: bool) {
    assert_eq!(holds(operator, key, values), expected);
}

#[test]
fn an_if_exists_still_looks_at_what_exists() {
    assert!(!holds("StringEqualsIfExists", "aws:username", &["alice"]));
    assert!(!holds("BoolIfExists", "aws:SecureTransport", &["false"]));
    assert!(!holds("StringNotEqualsIfExists", "aws:username", &["bob"]));
}

#[test]
fn every_operator_is_known_with_its_decorations() {
    for (name, base, _) in OPERATORS {
        assert!(Operator::parse(name).is_some());
        for decorated in
            [format!("{name}IfExists"), format!("ForAllValues:{name}"), format!("ForAnyValue:{name}")]
        {
            assert_eq!(Operator::parse(&decorated).is_some(), base != Base::Null, "{decorated}");
        }
    }
}

#[rstest]
#[case("")]
#[case("StringEqual")]
#[case("IfExists")]
#[case("ForAllValues:")]
#[case("ForSomeValues:StringEquals")]
#[case("ForAnyValue:ForAllValues:StringEquals")]
#[case("StringEqualsIfExistsIfExists")]
#[case(" StringEquals")]
fn operators_that_do_not_exist(#[case] name: &str) {
    assert!(Operator::parse(name).is_none());
}

#[rstest]
#[case("NumericEquals", "ten")]
#[case("DateLessThan", "tomorrow")]
#[case("Bool", "yes")]
#[case("Null", "1")]
#[case("IpAddress", "10.0.0.0/33")]
#[case("NotIpAddress", "10.*")]
#[case("BinaryEquals", "?")]
#[case("StringLike", "${")]
#[case("ArnLike", "arn:aws:iam::${}:role/x")]
#[case("NumericEquals", "${s3:max-keys}")]
fn values_that_an_operator_cannot_read(#[case] operator: &str, #[case] value: &str) {
    let operator = Operator::parse(operator).unwrap();
    assert!(Condition::parse(operator, "key", vec![value.to_owned()], true).is_err());
}
