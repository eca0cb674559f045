use rstest::rstest;
use serde_json::json;

use super::*;

fn refuse(text: &str, kind: Kind) -> DocumentError {
    Document::parse(text, kind).unwrap_err()
}

/// A document of one statement with these elements besides `"Effect": "Allow"`.
fn statement(elements: &str) -> String {
    format!(r#"{{"Version": "2012-10-17", "Statement": {{"Effect": "Allow", {elements}}}}}"#)
}

#[test]
fn the_text_survives_byte_for_byte() {
    let text = "{ \"Version\":\"2012-10-17\",\n\t\"Id\":\"é\", \"Statement\": [{\"Sid\":\"A1\",\"Effect\":\"Deny\",\
                \"NotAction\":[\"s3:*\",\"*\"],\"NotResource\":\"*\",\"Condition\":{\"Bool\":{\"k\":[true,\"false\"]},\
                \"NumericEquals\":{\"n\":1.50}}}]}\r\n";
    let document = Document::parse(text, Kind::Identity).unwrap();
    assert_eq!(document.text(), text);
    assert_eq!(document.kind(), Kind::Identity);
    assert_eq!(document.size(), text.chars().filter(|char| !" \n\t\r".contains(*char)).count());
    let [statement] = document.statements() else { panic!() };
    assert_eq!((statement.sid(), statement.effect()), (Some("A1"), Effect::Deny));
    let (actions, negated) = statement.actions();
    assert_eq!((actions.collect::<Vec<_>>(), negated), (vec!["s3:*", "*"], true));
    let (resources, negated) = statement.resources();
    assert_eq!((resources.collect::<Vec<_>>(), negated), (vec!["*"], true));
    let [flag, number] = statement.conditions() else { panic!() };
    assert_eq!(
        (flag.operator(), flag.key(), flag.values()),
        ("Bool", "k", &["true".into(), "false".into()][..])
    );
    assert_eq!(number.values(), ["1.50"]);
}

#[rstest]
#[case(Kind::Identity, r#""Action": "s3:*", "Resource": "*""#)]
#[case(Kind::Session, r#""Sid": "", "Action": "s3:*", "NotResource": ["arn:aws:s3:::b"]"#)]
#[case(Kind::Trust, r#""Action": "sts:AssumeRole", "Principal": "*""#)]
#[case(
    Kind::Trust,
    r#""Action": ["sts:*"], "Principal": {"AWS": ["111122223333"], "Service": "ec2.amazonaws.com"}"#
)]
#[case(Kind::Resource, r#""Sid": "with a space", "Action": "*", "Resource": "*", "Principal": {"AWS": "*"}"#)]
#[case(Kind::Resource, r#""Action": "*", "Resource": "*", "NotPrincipal": {"CanonicalUser": "abc"}"#)]
#[case(Kind::Identity, r#""Action": "*", "Resource": "arn:aws:s3", "Condition": {}"#)]
#[case(Kind::Identity, r#""Action": "*", "Resource": "*", "Condition": {"stringLike": {"k": []}}"#)]
fn accepted(#[case] kind: Kind, #[case] elements: &str) {
    Document::parse(&statement(elements), kind).unwrap();
}

const IDENTITY: &str = r#""Action": "s3:*", "Resource": "*""#;
const BUCKET: &str = r#""Action": "s3:*", "Resource": "*", "Principal": "*""#;

#[rstest]
#[case(Kind::Identity, "", "Statement", "is missing")]
#[case(Kind::Identity, r#""Action": "s3:*""#, "Statement", "`Resource` is missing")]
#[case(Kind::Identity, r#""Resource": "*""#, "Statement", "`Action` is missing")]
#[case(Kind::Resource, IDENTITY, "Statement", "`Principal` is missing")]
#[case(Kind::Trust, r#""Action": "sts:*""#, "Statement", "`Principal` is missing")]
#[case(Kind::Identity, BUCKET, "Statement.Principal", "does not belong here")]
#[case(Kind::Session, BUCKET, "Statement.Principal", "does not belong here")]
#[case(Kind::Trust, BUCKET, "Statement.Action", "`sts:` actions only")]
#[case(Kind::Trust, r#""Action": "*", "Principal": "*""#, "Statement.Action", "`sts:` actions only")]
#[case(Kind::Trust, r#""Action": "sts:*", "Resource": "*""#, "Statement.Resource", "trust policy")]
#[case(Kind::Trust, r#""Action": "sts:*", "NotPrincipal": "*""#, "Statement.NotPrincipal", "everyone else")]
#[case(Kind::Identity, r#""Action": "s3:*", "NotAction": "s3:*""#, "Statement.NotAction", "not both")]
#[case(Kind::Identity, r#""Resource": "*", "NotResource": "*""#, "Statement.NotResource", "not both")]
#[case(Kind::Resource, r#""Principal": "*", "NotPrincipal": "*""#, "Statement.NotPrincipal", "not both")]
#[case(Kind::Identity, r#""action": "s3:*""#, "Statement.action", "`action` is not an element")]
#[case(Kind::Identity, r#""Sid": "a b""#, "Statement.Sid", "letters and digits")]
#[case(Kind::Identity, r#""Sid": 1"#, "Statement.Sid", "needs a text")]
#[case(Kind::Identity, r#""Action": []"#, "Statement.Action", "at least one")]
#[case(Kind::Identity, r#""Action": ["s3:*", null]"#, "Statement.Action[1]", "needs a text")]
#[case(Kind::Identity, r#""Action": "GetObject""#, "Statement.Action", "is not an action")]
#[case(Kind::Identity, r#""Action": ["s3:"]"#, "Statement.Action[0]", "is not an action")]
#[case(Kind::Identity, r#""Action": "s3:Get Object""#, "Statement.Action", "is not an action")]
#[case(Kind::Identity, r#""Resource": {}"#, "Statement.Resource", "needs a text")]
#[case(Kind::Identity, r#""Resource": "bucket/*""#, "Statement.Resource", "is not a resource")]
#[case(Kind::Resource, r#""Resource": "arn:aws:s3""#, "Statement.Resource", "is not a resource")]
#[case(Kind::Identity, r#""Resource": "arn:aws:s3:::${x""#, "Statement.Resource", "is not closed")]
#[case(Kind::Identity, r#""Resource": "arn:aws:s3::${x}:b""#, "Statement.Resource", "before its fifth colon")]
#[case(Kind::Resource, r#""Principal": "bob""#, "Statement.Principal", "write `\"*\"`")]
#[case(Kind::Resource, r#""Principal": {}"#, "Statement.Principal", "write `\"*\"`")]
#[case(Kind::Resource, r#""Principal": {"aws": "*"}"#, "Statement.Principal.aws", "not a kind of principal")]
#[case(
    Kind::Resource,
    r#""Principal": {"AWS": ["*", "x"]}"#,
    "Statement.Principal.AWS[1]",
    "not an AWS principal"
)]
#[case(Kind::Identity, r#""Condition": []"#, "Statement.Condition", "are an object")]
#[case(
    Kind::Identity,
    r#""Condition": {"StringLik": {}}"#,
    "Statement.Condition.StringLik",
    "not a condition operator"
)]
#[case(Kind::Identity, r#""Condition": {"Bool": "true"}"#, "Statement.Condition.Bool", "holds an object")]
#[case(
    Kind::Identity,
    r#""Condition": {"Bool": {"k": null}}"#,
    "Statement.Condition.Bool.k",
    "a truth value"
)]
#[case(
    Kind::Identity,
    r#""Condition": {"Bool": {"k": [[]]}}"#,
    "Statement.Condition.Bool.k[0]",
    "a truth value"
)]
#[case(
    Kind::Identity,
    r#""Condition": {"Bool": {"k": "1"}}"#,
    "Statement.Condition.Bool.k",
    "`1` is not `true`"
)]
#[case(
    Kind::Identity,
    r#""Condition": {"Bool": {"": true}}"#,
    "Statement.Condition.Bool.",
    "not a condition key"
)]
fn refused(#[case] kind: Kind, #[case] elements: &str, #[case] path: &str, #[case] reason: &str) {
    let text = statement(elements).replace(", }", "}");
    let error = refuse(&text, kind);
    assert_eq!(error.path, path, "{error}");
    assert!(error.reason.contains(reason), "{error}");
}

#[rstest]
#[case("[]", "", "a policy is an object")]
#[case("{}", "", "`Statement` is missing")]
#[case(r#"{"Statement": []}"#, "Statement", "at least one")]
#[case(r#"{"Statement": ["x"]}"#, "Statement[0]", "a statement is an object")]
#[case(r#"{"Version": "2012-10-18", "Statement": []}"#, "Version", "not a version")]
#[case(r#"{"Version": 2012, "Statement": []}"#, "Version", "needs a text")]
#[case(r#"{"Id": [], "Statement": []}"#, "Id", "needs a text")]
#[case(r#"{"Statements": []}"#, "Statements", "not an element")]
#[case(r#"{"Statement": [{"Effect": "allow"}]}"#, "Statement[0].Effect", "not an effect")]
#[case(r#"{"Statement": {"Effect": "Deny", "Effect": "Allow"}}"#, "Statement", "twice")]
fn refused_as_a_whole(#[case] text: &str, #[case] path: &str, #[case] reason: &str) {
    let error = refuse(text, Kind::Identity);
    assert_eq!(error.path, path, "{error}");
    assert!(error.reason.contains(reason), "{error}");
}

#[test]
fn a_condition_that_is_lost_is_refused() {
    let text = statement(
        r#""Action": "*", "Resource": "*", "Condition": {"Bool": {"a": true}}, "Condition": {"Bool": {"b": true}}"#,
    );
    assert!(refuse(&text, Kind::Identity).reason.contains("twice"));
}

#[test]
fn a_sid_stands_once() {
    let one = json!({"Sid": "A", "Effect": "Allow", "Action": "*", "Resource": "*"});
    let error = refuse(&json!({"Statement": [one, one]}).to_string(), Kind::Identity);
    assert_eq!((error.path.as_str(), error.reason.contains("earlier statement")), ("Statement[1]", true));
    let none = json!({"Sid": "", "Effect": "Allow", "Action": "*", "Resource": "*"});
    Document::parse(&json!({"Statement": [none, none]}).to_string(), Kind::Identity).unwrap();
}

#[test]
fn an_error_says_where_it_is() {
    let text = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\n    \"Effect\": \"Allow\",\n    \"Action\": \
                \"s3:*\",\n    \"Resource\": \"*\",\n    \"Condition\": {\"StringLik\": {\"aws:username\": \"x\"}}\n  }]\n}";
    let error = refuse(text, Kind::Identity);
    assert_eq!(
        error.to_string(),
        "`StringLik` is not a condition operator (line 7, column 32, at `Statement[0].Condition.StringLik`)"
    );
    assert_eq!(
        refuse("{\"Version\"}", Kind::Identity).to_string(),
        "not JSON: expected `:` (line 1, column 11)"
    );
}

#[test]
fn variables_came_with_2012() {
    let text = |version: &str| {
        format!(
            r#"{{{version}"Statement": {{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::b/${{"}}}}"#
        )
    };
    assert!(refuse(&text(r#""Version": "2012-10-17", "#), Kind::Identity).reason.contains("not closed"));
    Document::parse(&text(""), Kind::Identity).unwrap();
    Document::parse(&text(r#""Version": "2008-10-17", "#), Kind::Identity).unwrap();
}

#[rstest]
#[case(r#""Resource":"*""#, false)]
#[case(r#""Resource":"*","Condition":{"StringEquals":{"S3:existingObjectTag/a":"b"}}"#, true)]
#[case(r#""Resource":"*","Condition":{"StringEquals":{"s3:\u0045xistingObjectTag/a":"b"}}"#, true)]
#[case(r#""Resource":"*","Condition":{"StringEquals":{"aws:userid":"${s3:ExistingObjectTag/owner}"}}"#, true)]
#[case(r#""Resource":"arn:aws:s3:::b/${s3:ExistingObjectTag/x, 'y'}""#, true)]
#[case(r#""Resource":"*","Condition":{"StringEquals":{"s3:ResourceTag/a":"b"}}"#, true)]
fn who_reads_the_tags_of_objects(#[case] rest: &str, #[case] expected: bool) {
    let text =
        format!(r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Action":"s3:*",{rest}}}}}"#);
    assert_eq!(Document::parse(&text, Kind::Identity).unwrap().reads_object_tags(), expected);
}

#[test]
fn the_keys_that_a_decision_may_depend_on() {
    let reads = |statement: &str| {
        let text = format!(r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow",{statement}}}]}}"#);
        Document::parse(&text, Kind::Identity).unwrap()
    };
    let some = reads(
        r#""Action":"*","Resource":"*","Condition":{"StringEquals":{"IDP.example/realms:Aud":"a"},"Null":{"idp.example/realms:sub":"false"}}"#,
    );
    assert!(some.may_read("idp.example/realms", "aud") && some.may_read("IDP.example/realms", "SUB"));
    for (service, name) in
        [("idp.example/realms", "amr"), ("idp.example", "realms:aud"), ("idp.example/real", "ms:aud")]
    {
        assert!(!some.may_read(service, name), "{service}:{name}");
    }
    assert!(!reads(r#""Action":"*","Resource":"*""#).may_read("aws", "userid"));
    // A variable may be of any key, wherever it stands.
    for statement in [
        r#""Action":"*","Resource":"arn:aws:s3:::home/${idp.example:sub}/*""#,
        r#""Action":"*","NotResource":"arn:aws:s3:::home/${idp.example:sub}/*""#,
        r#""Action":"*","Resource":"*","Condition":{"StringLike":{"s3:prefix":"${idp.example:sub}/*"}}"#,
    ] {
        assert!(reads(statement).may_read("idp.example", "sub"), "{statement}");
    }
}
