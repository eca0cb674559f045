//! Objects copied onto themselves: the transfers that do it, which show no bar, since hardly a byte moves here.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use wigeon_client::transfer::{Silent, Transfers, Tuning};

/// Transfers for copies inside a store.
pub(crate) fn transfers() -> Transfers {
    Transfers::new(Tuning::default(), Arc::new(Silent), CancellationToken::new())
}
