//! What the operations of the token service work with.

use std::sync::Arc;

use wigeon_core::time::Clock;

use crate::directory::Directory;
use crate::issue::Sealer;
use crate::verify::Verifier;

/// The parts of a token service.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) directory: Arc<Directory>,
    pub(super) verifier: Arc<Verifier>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) clock: Arc<dyn Clock>,
}
