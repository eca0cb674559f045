//! What cannot be undone is asked about, where there is a person to ask.

use inquire::Confirm;

use crate::context::Context;
use crate::errors::{Failure, Kind};

/// Asks at the terminal; without one, or with `yes`, it is meant as it was said.
pub(crate) fn confirm(context: &Context, yes: bool, question: &str) -> Result<(), Failure> {
    let person = context.environment.stdin_is_terminal && context.environment.stderr_is_terminal;
    if yes || !person {
        return Ok(());
    }
    match Confirm::new(question).with_default(false).prompt() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::error("nothing was done").hint("without the question: --yes")),
        Err(error) => Err(Failure::because(Kind::Usage, &error)),
    }
}
