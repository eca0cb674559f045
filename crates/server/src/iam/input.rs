//! The parameters of an IAM request, read by the rules of the IAM API and refused in its words.
//!
//! Source: AWS IAM API Reference, "Request parameters" of each action. A missing parameter is
//! `ValidationError`, like one of a wrong length, pattern or value.

use wigeon_core::sts::Parameters;
use wigeon_core::time::{Timestamp, parse_iso8601};

use super::fault::Fault;
use crate::directory::entry::Tags;
use crate::directory::{is_name_byte, is_path};

/// The longest document that is read at all.
const LONGEST_DOCUMENT: usize = 131_072;

const NAME_PATTERN: &str = r"[\w+=,.@-]+";

/// The parameters of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a>(pub(super) &'a Parameters);

impl<'a> Input<'a> {
    /// A parameter as it is; an empty one counts as absent.
    pub(super) fn optional(&self, name: &str) -> Option<&'a str> {
        self.0.value(name).filter(|value| !value.is_empty())
    }

    /// A parameter that has to be there.
    pub(super) fn required(&self, name: &str) -> Result<&'a str, Fault> {
        self.optional(name).ok_or_else(|| {
            let rule = "failed to satisfy constraint: Member must not be null";
            Fault::validation(format!("1 validation error detected: Value null at '{}' {rule}", member(name)))
        })
    }

    /// The name of a role, user, group or policy.
    pub(super) fn name(&self, name: &str, longest: usize) -> Result<&'a str, Fault> {
        let value = self.required(name)?;
        length(name, value, 1, longest)?;
        match value.bytes().all(is_name_byte) {
            true => Ok(value),
            false => Err(broken(
                name,
                value,
                &format!("Member must satisfy regular expression pattern: {NAME_PATTERN}"),
            )),
        }
    }

    /// A name that may be left out.
    pub(super) fn optional_name(&self, name: &str, longest: usize) -> Result<Option<&'a str>, Fault> {
        self.optional(name).map(|_| self.name(name, longest)).transpose()
    }

    /// A path; `/` where there is none.
    pub(super) fn path(&self, name: &str) -> Result<&'a str, Fault> {
        Ok(self.optional_path(name)?.unwrap_or("/"))
    }

    /// A path that may be left out.
    pub(super) fn optional_path(&self, name: &str) -> Result<Option<&'a str>, Fault> {
        let Some(value) = self.optional(name) else { return Ok(None) };
        length(name, value, 1, 512)?;
        let pattern =
            r"Member must satisfy regular expression pattern: (\u002F)|(\u002F[\u0021-\u007E]+\u002F)";
        if is_path(value) { Ok(Some(value)) } else { Err(broken(name, value, pattern)) }
    }

    /// The beginning of paths; `/` where there is none.
    pub(super) fn path_prefix(&self) -> Result<&'a str, Fault> {
        let value = self.optional("PathPrefix").unwrap_or("/");
        length("PathPrefix", value, 1, 512)?;
        match value.starts_with('/') && value.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(value),
            false => {
                let pattern = r"Member must satisfy regular expression pattern: \u002F[\u0021-\u007F]*";
                Err(broken("PathPrefix", value, pattern))
            }
        }
    }

    /// A policy document. Whether it is one is for the directory to say.
    pub(super) fn document(&self, name: &str) -> Result<&'a str, Fault> {
        let value = self.required(name)?;
        check_document(name, value)?;
        Ok(value)
    }

    /// An ARN, by its length.
    pub(super) fn arn(&self, name: &str) -> Result<&'a str, Fault> {
        let value = self.required(name)?;
        length(name, value, 20, 2048)?;
        Ok(value)
    }

    /// An ARN that may be left out.
    pub(super) fn optional_arn(&self, name: &str) -> Result<Option<&'a str>, Fault> {
        self.optional(name).map(|_| self.arn(name)).transpose()
    }

    /// The id of an access key.
    pub(super) fn access_key_id(&self) -> Result<&'a str, Fault> {
        let value = self.required("AccessKeyId")?;
        length("AccessKeyId", value, 16, 128)?;
        match value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            true => Ok(value),
            false => {
                Err(broken("AccessKeyId", value, r"Member must satisfy regular expression pattern: [\w]+"))
            }
        }
    }

    /// A text for people.
    pub(super) fn description(&self) -> Result<Option<&'a str>, Fault> {
        // An empty description is one: it takes the old one away.
        let Some(value) = self.0.value("Description") else { return Ok(None) };
        length("Description", value, 0, 1000)?;
        let allowed = |char: char| matches!(char, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}');
        match value.chars().all(allowed) {
            true => Ok(Some(value)),
            false => {
                let pattern = r"Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*";
                Err(broken("Description", value, pattern))
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, name: &str, least: u32, most: u32) -> Result<Option<u32>, Fault> {
        let Some(value) = self.optional(name) else { return Ok(None) };
        let number: i64 = value
            .parse()
            .map_err(|_| Fault::new("MalformedInput", 400, format!("{name} is not a whole number")))?;
        match u32::try_from(number) {
            Ok(number) if number > most => {
                Err(broken(name, value, &format!("Member must have value less than or equal to {most}")))
            }
            Ok(number) if number >= least => Ok(Some(number)),
            _ => {
                Err(broken(name, value, &format!("Member must have value greater than or equal to {least}")))
            }
        }
    }

    /// A truth value; false where it is left out.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.optional(name).map(str::to_ascii_lowercase).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Fault::new("MalformedInput", 400, format!("{name} is neither true nor false"))),
        }
    }

    /// One of some words.
    pub(super) fn word(&self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Fault> {
        let Some(value) = self.optional(name) else { return Ok(None) };
        let found = words.iter().find(|word| **word == value).copied();
        let rule = || format!("Member must satisfy enum value set: [{}]", words.join(", "));
        found.map(Some).ok_or_else(|| broken(name, value, &rule()))
    }

    /// A time that may be left out.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Fault> {
        let Some(value) = self.optional(name) else { return Ok(None) };
        let read = parse_iso8601(value);
        read.map(Some).ok_or_else(|| Fault::new("MalformedInput", 400, format!("{name} is not a time")))
    }

    /// A list of texts.
    pub(super) fn list(&self, name: &str) -> Vec<&'a str> {
        let members = self.0.numbered(name);
        members.iter().filter_map(|member| member.get("").copied()).collect()
    }

    /// A list of documents.
    pub(super) fn documents(&self, name: &str) -> Result<Vec<&'a str>, Fault> {
        let documents = self.list(name);
        documents.iter().try_for_each(|document| check_document(name, document))?;
        Ok(documents)
    }

    /// `Tags`.
    pub(super) fn tags(&self) -> Result<Tags, Fault> {
        let mut tags = Tags::new();
        for member in self.0.numbered("Tags") {
            let (Some(key), Some(value)) = (member.get("Key"), member.get("Value")) else {
                return Err(Fault::validation("A tag needs a Key and a Value"));
            };
            length("tags.member.key", key, 1, 128)?;
            length("tags.member.value", value, 0, 256)?;
            tags.push(((*key).to_owned(), (*value).to_owned()));
        }
        match tags.len() <= 50 {
            true => Ok(tags),
            false => Err(broken("Tags", "", "Member must have length less than or equal to 50")),
        }
    }
}

fn check_document(name: &str, value: &str) -> Result<(), Fault> {
    length(name, value, 1, LONGEST_DOCUMENT)?;
    match value.chars().all(|char| matches!(char, '\t' | '\n' | '\r' | ' '..='\u{ff}')) {
        true => Ok(()),
        false => {
            let pattern =
                r"Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+";
            Err(Fault::validation(format!(
                "1 validation error detected: Value at '{}' failed to satisfy constraint: {pattern}",
                member(name)
            )))
        }
    }
}

fn length(name: &str, value: &str, least: usize, most: usize) -> Result<(), Fault> {
    let length = value.chars().count();
    // A value that is much too long is not repeated.
    let value: String = value.chars().take(512).collect();
    if length < least {
        let rule = format!("Member must have length greater than or equal to {least}");
        return Err(broken(name, &value, &rule));
    }
    if length > most {
        let rule = format!("Member must have length less than or equal to {most}");
        return Err(broken(name, &value, &rule));
    }
    Ok(())
}

fn broken(name: &str, value: &str, rule: &str) -> Fault {
    let place = member(name);
    Fault::validation(format!(
        "1 validation error detected: Value '{value}' at '{place}' failed to satisfy constraint: {rule}"
    ))
}

/// AWS names members with a small first letter.
fn member(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(body: &str, read: impl Fn(&Input<'_>) -> Result<(), Fault>) -> String {
        let parameters = Parameters::parse("", body).unwrap();
        let fault = read(&Input(&parameters)).unwrap_err();
        assert_eq!((fault.code, fault.status), ("ValidationError", 400));
        fault.message
    }

    #[test]
    fn rules_in_awss_words() {
        assert_eq!(
            fault("RoleName=a%20b", |input| input.name("RoleName", 64).map(drop)),
            r"1 validation error detected: Value 'a b' at 'roleName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]+"
        );
        let absent = fault("RoleName=", |input| input.name("RoleName", 64).map(drop));
        assert!(absent.contains("Value null at 'roleName'") && absent.ends_with("must not be null"));
        let long = format!("RoleName={}", "x".repeat(65));
        assert!(
            fault(&long, |input| input.name("RoleName", 64).map(drop)).contains("less than or equal to 64")
        );
        let number = |input: &Input<'_>| input.number("MaxItems", 1, 1000).map(drop);
        assert!(fault("MaxItems=0", number).contains("greater than or equal to 1"));
        assert!(fault("MaxItems=-5", number).contains("greater than or equal to 1"));
        assert!(fault("MaxItems=1001", number).contains("less than or equal to 1000"));
        assert!(fault("Path=x", |input| input.path("Path").map(drop)).contains("'path'"));
        assert!(fault("PolicyArn=x", |input| input.arn("PolicyArn").map(drop)).contains("equal to 20"));
        let snow = "PolicyDocument=%E2%98%83";
        assert!(fault(snow, |input| input.document("PolicyDocument").map(drop)).contains("policyDocument"));
        assert!(fault("Tags.member.1.Key=k", |input| input.tags().map(drop)).contains("Value"));
        let word = |input: &Input<'_>| input.word("Scope", &["All", "Local"]).map(drop);
        assert!(fault("Scope=x", word).contains("[All, Local]"));
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let parameters = Parameters::parse("", "ThumbprintList=&Description=").unwrap();
        let input = Input(&parameters);
        assert_eq!((input.path("Path").unwrap(), input.path_prefix().unwrap()), ("/", "/"));
        assert!(input.list("ThumbprintList").is_empty() && !input.flag("SetAsDefault").unwrap());
        assert_eq!(input.description().unwrap(), Some(""));
        assert_eq!(input.number("MaxItems", 1, 1000).unwrap(), None);
    }
}
