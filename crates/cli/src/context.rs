//! What a command is given: its surroundings, and the way from a profile's name to a session.

use std::sync::Arc;

use wigeon_core::time::Clock;

use crate::args::GlobalOptions;
use crate::environment::{Environment, SystemClock};
use crate::output::Output;

/// Everything a command may use besides its own arguments.
pub(crate) struct Context {
    pub(crate) options: GlobalOptions,
    pub(crate) environment: Environment,
    pub(crate) output: Output,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Context {
    /// The surroundings of this process.
    pub(crate) fn new(options: GlobalOptions, environment: Environment, output: Output) -> Self {
        Self { options, environment, output, clock: Arc::new(SystemClock) }
    }
}
