//! The person's browser, as the sign-in sees it.

use url::Url;

/// Shows an address to the person. Implementations open a browser, print the address, or play the person in tests.
pub trait Browser: Send + Sync {
    /// Shows the address at which to sign in. It must return at once; a browser that cannot be opened is not an
    /// error, as long as the person can still see the address.
    fn show(&self, address: &Url);
}
