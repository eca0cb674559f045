//! Parameter rules in AWS's words: `1 validation error detected: Value 'x' at 'roleSessionName' failed to
//! satisfy constraint: Member must …`. All that is wrong is said at once.

use super::fault::{FaultCode, StsError};

/// Collects what is wrong with the members of one request.
#[derive(Default)]
pub(super) struct Constraints(Vec<String>);

/// One member under examination.
pub(super) struct Member<'a> {
    /// As AWS names it: `roleArn`.
    pub(super) name: &'static str,
    pub(super) value: &'a str,
    /// The value never goes into a message.
    pub(super) sensitive: bool,
}

impl Constraints {
    pub(super) fn missing(&mut self, name: &'static str) {
        self.0.push(format!("Value null at '{name}' failed to satisfy constraint: Member must not be null"));
    }

    /// Length in characters.
    pub(super) fn length(&mut self, member: &Member<'_>, min: usize, max: usize) {
        let length = member.value.chars().count();
        if length < min {
            self.failed(member, &format!("Member must have length greater than or equal to {min}"));
        }
        if length > max {
            self.failed(member, &format!("Member must have length less than or equal to {max}"));
        }
    }

    pub(super) fn pattern(&mut self, member: &Member<'_>, pattern: &str, allowed: impl Fn(char) -> bool) {
        if !member.value.chars().all(allowed) {
            self.failed(member, &format!("Member must satisfy regular expression pattern: {pattern}"));
        }
    }

    pub(super) fn range(&mut self, name: &'static str, value: i64, min: u32, max: u32) {
        let text = value.to_string();
        let member = Member { name, value: &text, sensitive: false };
        if value < i64::from(min) {
            self.failed(&member, &format!("Member must have value greater than or equal to {min}"));
        }
        if value > i64::from(max) {
            self.failed(&member, &format!("Member must have value less than or equal to {max}"));
        }
    }

    fn failed(&mut self, member: &Member<'_>, constraint: &str) {
        let Member { name, value, sensitive } = member;
        let value = match sensitive {
            true => "Value".to_owned(),
            false => format!("Value '{value}'"),
        };
        self.0.push(format!("{value} at '{name}' failed to satisfy constraint: {constraint}"));
    }

    /// Everything that failed, in one message.
    pub(super) fn finish(self) -> Result<(), StsError> {
        let errors = match self.0.len() {
            0 => return Ok(()),
            1 => "1 validation error".to_owned(),
            count => format!("{count} validation errors"),
        };
        Err(StsError::new(FaultCode::ValidationError, format!("{errors} detected: {}", self.0.join("; "))))
    }
}
