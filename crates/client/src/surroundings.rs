//! What the caller lets the client see of its surroundings: the variables of the environment. The client itself
//! never looks at the process; without [`Surroundings`] it sees none.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Variables of an environment. Some of them are secrets: nothing shows their values.
#[derive(Clone, Default)]
pub struct Surroundings {
    variables: BTreeMap<String, String>,
}

impl Surroundings {
    /// The variables that the client may look at.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().collect() }
    }

    /// A variable; `None` when it is unset or empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A file that a variable names, else one under the home directory.
    pub(crate) fn file(&self, variable: &str, in_home: &str) -> Option<PathBuf> {
        self.variable(variable)
            .map(PathBuf::from)
            .or_else(|| self.variable("HOME").map(|home| PathBuf::from(home).join(in_home)))
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_shown() {
        let one = |value: &str| Surroundings::new([("TOKEN".to_owned(), value.to_owned())]);
        assert_eq!(format!("{:?}", one("hunter2")), r#"{"TOKEN"}"#);
        assert_eq!((one("x").variable("TOKEN"), one("").variable("TOKEN")), (Some("x"), None));
    }
}
