//! A bucket's documents as the AWS CLI writes them in JSON, and as the store has them in XML.
//!
//! In XML a list is an element that comes again; in JSON it has a name in the plural. Numbers and truths are texts in
//! XML. Which is which is one table for all documents, since no name means two things.

use quick_xml::Reader;
use quick_xml::escape::{escape, resolve_predefined_entity};
use quick_xml::events::Event;
use serde_json::{Map, Value};
use wigeon_client::s3::BucketSetting;

/// Lists: the element around them (none: any), theirs in XML, theirs in JSON (none: the element around them is the list).
const LISTS: [(&str, &str, &str); 20] = [
    ("", "CORSRule", "CORSRules"),
    ("", "AllowedOrigin", "AllowedOrigins"),
    ("", "AllowedMethod", "AllowedMethods"),
    ("", "AllowedHeader", "AllowedHeaders"),
    ("", "ExposeHeader", "ExposeHeaders"),
    ("LifecycleConfiguration", "Rule", "Rules"),
    ("ServerSideEncryptionConfiguration", "Rule", "Rules"),
    ("OwnershipControls", "Rule", "Rules"),
    ("ReplicationConfiguration", "Rule", "Rules"),
    ("", "Transition", "Transitions"),
    ("", "NoncurrentVersionTransition", "NoncurrentVersionTransitions"),
    ("And", "Tag", "Tags"),
    ("", "TopicConfiguration", "TopicConfigurations"),
    ("", "QueueConfiguration", "QueueConfigurations"),
    ("", "CloudFunctionConfiguration", "LambdaFunctionConfigurations"),
    ("TopicConfiguration", "Event", "Events"),
    ("QueueConfiguration", "Event", "Events"),
    ("CloudFunctionConfiguration", "Event", "Events"),
    ("S3Key", "FilterRule", "FilterRules"),
    ("RoutingRules", "RoutingRule", ""),
];

/// One thing under another name in JSON.
const RENAMED: [(&str, &str, &str); 4] = [
    ("CloudFunctionConfiguration", "CloudFunction", "LambdaFunctionArn"),
    ("TopicConfiguration", "Topic", "TopicArn"),
    ("QueueConfiguration", "Queue", "QueueArn"),
    ("Filter", "S3Key", "Key"),
];

const NUMBERS: [&str; 9] = [
    "MaxAgeSeconds",
    "Days",
    "NoncurrentDays",
    "NewerNoncurrentVersions",
    "DaysAfterInitiation",
    "ObjectSizeGreaterThan",
    "ObjectSizeLessThan",
    "Priority",
    "Minutes",
];

const TRUTHS: [&str; 6] = [
    "BlockPublicAcls",
    "IgnorePublicAcls",
    "BlockPublicPolicy",
    "RestrictPublicBuckets",
    "ExpiredObjectDeleteMarker",
    "BucketKeyEnabled",
];

/// The store's document from a person's: JSON of the AWS CLI, or the store's own.
pub(super) fn to_store(setting: BucketSetting, text: &str) -> Result<String, String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if setting != BucketSetting::Policy && text.starts_with('<') {
        let found = of_store(setting, text.as_bytes())?;
        return if found.is_null() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) };
    }
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Value::Object(members) = &value else { return Err("it is not a JSON object".to_owned()) };
    if setting == BucketSetting::Policy {
        // What `aws s3api get-bucket-policy` prints has the policy as a text.
        return match members.get("Policy") {
            Some(Value::String(policy)) if members.len() == 1 => Ok(policy.clone()),
            _ => Ok(text.to_owned()),
        };
    }
    let root = setting.root();
    // The AWS CLI takes some with the outermost name, and some without.
    let members = match members.get(root) {
        Some(Value::Object(inner)) if members.len() == 1 => inner,
        _ => members,
    };
    let mut document = format!("<{root} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    write_members(&mut document, root, members)?;
    document.push_str(&format!("</{root}>"));
    Ok(document)
}

fn write_members(to: &mut String, parent: &str, members: &Map<String, Value>) -> Result<(), String> {
    for (name, value) in members {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(format!("`{name}` is not a name that a document has"));
        }
        let element = element_of(parent, name);
        match value {
            // An inner list of plain elements has the wrapper's name in JSON, too.
            Value::Array(items) if element == *name => {
                let inner = LISTS.iter().find(|(around, _, json)| around == name && json.is_empty());
                let Some((_, inner, _)) = inner else { return Err(format!("`{name}` is not a list")) };
                to.push_str(&format!("<{name}>"));
                for item in items {
                    write(to, inner, item)?;
                }
                to.push_str(&format!("</{name}>"));
            }
            Value::Array(items) => {
                for item in items {
                    write(to, element, item)?;
                }
            }
            other => write(to, element, other)?,
        }
    }
    Ok(())
}

fn write(to: &mut String, element: &str, value: &Value) -> Result<(), String> {
    to.push_str(&format!("<{element}>"));
    match value {
        Value::Object(members) => write_members(to, element, members)?,
        Value::String(text) => to.push_str(&escape(text.as_str())),
        Value::Number(number) => to.push_str(&number.to_string()),
        Value::Bool(truth) => to.push_str(&truth.to_string()),
        Value::Null => {}
        Value::Array(_) => return Err(format!("a list in the list of `{element}`")),
    }
    to.push_str(&format!("</{element}>"));
    Ok(())
}

/// The element of a name in JSON.
fn element_of<'a>(parent: &str, name: &'a str) -> &'a str {
    let renamed = RENAMED.iter().find(|(around, _, json)| *around == parent && *json == name);
    let listed =
        LISTS.iter().find(|(around, _, json)| *json == name && (around.is_empty() || *around == parent));
    renamed.map(|(_, xml, _)| *xml).or(listed.map(|(_, xml, _)| *xml)).unwrap_or(name)
}

/// A person's document from the store's; null where the store's has nothing in it.
pub(super) fn of_store(setting: BucketSetting, body: &[u8]) -> Result<Value, String> {
    if setting == BucketSetting::Policy {
        return serde_json::from_slice(body).map_err(|error| error.to_string());
    }
    let text = std::str::from_utf8(body).map_err(|_| "it is not UTF-8".to_owned())?;
    let (name, node) = Node::read(text)?;
    if name != setting.root()
        && !(setting == BucketSetting::Lifecycle && name.ends_with("LifecycleConfiguration"))
    {
        return Err(format!("it is a {name}"));
    }
    if node.children.is_empty() { Ok(Value::Null) } else { Ok(node.value(setting.root())) }
}

/// An element.
#[derive(Default)]
struct Node {
    text: String,
    children: Vec<(String, Node)>,
}

impl Node {
    /// The outermost element and its name.
    fn read(text: &str) -> Result<(String, Self), String> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let mut open: Vec<(String, Self)> = Vec::new();
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(element) => {
                    open.push((element.local_name().as_ref().to_owned(), Self::default()));
                }
                Event::End(_) => {
                    let Some(closed) = open.pop() else { return Err("it is not XML".to_owned()) };
                    match open.last_mut() {
                        Some((_, outer)) => outer.children.push(closed),
                        None => return Ok(closed),
                    }
                }
                Event::Text(piece) => text_into(&mut open, &piece),
                Event::CData(piece) => text_into(&mut open, &piece),
                Event::GeneralRef(reference) => {
                    let letter = reference.resolve_char_ref().map_err(|error| error.to_string())?;
                    match letter {
                        Some(letter) => text_into(&mut open, letter.encode_utf8(&mut [0; 4])),
                        None => text_into(
                            &mut open,
                            resolve_predefined_entity(&reference).ok_or("it has an entity of its own")?,
                        ),
                    }
                }
                Event::Eof | Event::DocType(_) => return Err("it is not a whole document".to_owned()),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }

    fn value(self, name: &str) -> Value {
        if self.children.is_empty() {
            return plain(name, self.text);
        }
        let mut members = Map::new();
        for (child, node) in self.children {
            let list =
                LISTS.iter().find(|(around, xml, _)| *xml == child && (around.is_empty() || *around == name));
            match list {
                Some((_, _, "")) => {
                    let wrapper = members.entry(String::new()).or_insert_with(|| Value::Array(Vec::new()));
                    if let Value::Array(items) = wrapper {
                        items.push(node.value(&child));
                    }
                }
                Some((_, _, json)) => {
                    let items = members.entry(*json).or_insert_with(|| Value::Array(Vec::new()));
                    if let Value::Array(items) = items {
                        items.push(node.value(&child));
                    }
                }
                _ => {
                    let renamed = RENAMED.iter().find(|(around, xml, _)| *around == name && *xml == child);
                    let json = renamed.map_or(child.as_str(), |(_, _, json)| json).to_owned();
                    members.insert(json, node.value(&child));
                }
            }
        }
        // A list in a wrapper of its own is a list under the wrapper's name.
        match members.remove("") {
            Some(items) if members.is_empty() => items,
            _ => Value::Object(members),
        }
    }
}

fn text_into(open: &mut [(String, Node)], piece: &str) {
    if let Some((_, node)) = open.last_mut() {
        node.text.push_str(piece);
    }
}

fn plain(name: &str, text: String) -> Value {
    if NUMBERS.contains(&name)
        && let Ok(number) = text.trim().parse::<u64>()
    {
        return number.into();
    }
    match text.trim() {
        "true" if TRUTHS.contains(&name) => true.into(),
        "false" if TRUTHS.contains(&name) => false.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(BucketSetting::Cors, r#"{"CORSRules":[{"ID":"a","AllowedOrigins":["*","https://x"],"AllowedMethods":["GET"],"ExposeHeaders":["ETag"],"MaxAgeSeconds":60}]}"#)]
    #[case(BucketSetting::Lifecycle, r#"{"Rules":[{"ID":"old & <gone>","Status":"Enabled","Filter":{"And":{"Prefix":"a/","Tags":[{"Key":"k","Value":"v"}],"ObjectSizeGreaterThan":5}},"Expiration":{"Days":3},"Transitions":[{"Days":1,"StorageClass":"GLACIER"}],"NoncurrentVersionExpiration":{"NoncurrentDays":9},"AbortIncompleteMultipartUpload":{"DaysAfterInitiation":2}}]}"#)]
    #[case(BucketSetting::Lifecycle, r#"{"Rules":[{"Status":"Disabled","Filter":{"Tag":{"Key":"k","Value":"1"}},"Expiration":{"ExpiredObjectDeleteMarker":true}}]}"#)]
    #[case(BucketSetting::Encryption, r#"{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms","KMSMasterKeyID":"x"},"BucketKeyEnabled":false}]}"#)]
    #[case(BucketSetting::PublicAccessBlock, r#"{"BlockPublicAcls":true,"IgnorePublicAcls":true,"BlockPublicPolicy":false,"RestrictPublicBuckets":false}"#)]
    #[case(BucketSetting::OwnershipControls, r#"{"Rules":[{"ObjectOwnership":"BucketOwnerEnforced"}]}"#)]
    #[case(BucketSetting::Website, r#"{"IndexDocument":{"Suffix":"index.html"},"RoutingRules":[{"Condition":{"KeyPrefixEquals":"a"},"Redirect":{"HostName":"b"}}]}"#)]
    #[case(BucketSetting::Notification, r#"{"TopicConfigurations":[{"Id":"t","TopicArn":"arn:x","Events":["s3:ObjectCreated:*"],"Filter":{"Key":{"FilterRules":[{"Name":"prefix","Value":"a"}]}}}],"LambdaFunctionConfigurations":[{"LambdaFunctionArn":"arn:y","Events":["s3:ObjectRemoved:*"]}]}"#)]
    fn documents_come_back_as_they_went(#[case] setting: BucketSetting, #[case] json: &str) {
        let xml = to_store(setting, json).unwrap();
        let back = of_store(setting, xml.as_bytes()).unwrap();
        assert_eq!(back, serde_json::from_str::<Value>(json).unwrap(), "{xml}");
        // The store's own form is taken as it is.
        assert_eq!(to_store(setting, &xml).unwrap(), xml);
    }

    #[test]
    fn the_stores_form() {
        let xml =
            to_store(BucketSetting::Cors, r#"{"CORSRules":[{"AllowedMethods":["GET","PUT"]}]}"#).unwrap();
        assert_eq!(
            xml,
            "<CORSConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><CORSRule><AllowedMethod>GET\
             </AllowedMethod><AllowedMethod>PUT</AllowedMethod></CORSRule></CORSConfiguration>"
        );
        let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
        assert_eq!(to_store(BucketSetting::Policy, policy).unwrap(), policy);
        let printed = serde_json::json!({"Policy": policy}).to_string();
        assert_eq!(to_store(BucketSetting::Policy, &printed).unwrap(), policy);
    }

    #[test]
    fn refused() {
        for bad in [
            "",
            "[]",
            "{\"a b\":1}",
            "{\"CORSRules\":[[1]]}",
            "{\"Other\":[1]}",
            "<LifecycleConfiguration/>",
            "<a",
        ] {
            assert!(to_store(BucketSetting::Cors, bad).is_err(), "{bad}");
        }
        assert_eq!(of_store(BucketSetting::Logging, b"<BucketLoggingStatus/>").unwrap(), Value::Null);
    }
}
