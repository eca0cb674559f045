//! Connection profiles: where to sign in, where to exchange, where the buckets are.
//!
//! Enters: Cyberduck's property lists (`.cyberduckprofile`, `.duck` bookmarks) or Wigeon's TOML, which is the same
//! thing in another notation. Leaves: [`Settings`], in which every value remembers where it came from. Refused:
//! what is not a property list, and a profile without `Protocol` or `Vendor`; an unknown key is kept and listed.
//!
//! ```text
//! file ─► property_list | toml_form ─► document ─► shelf (stored by name, with the saved answers)
//!                                                    └─► settings: bookmark > profile > configuration > default
//!                                                          └─► check: what would not work, and what to do
//! ```

mod keys;

mod binary_list;

mod property_list;

mod toml_form;

mod document;

mod configuration;

mod shelf;

mod redirect;

mod values;

mod overlay;

mod settings;

mod place;

mod providers;

mod source;

mod console;

mod way;

mod shown;

mod check;

pub use check::{Finding, Severity, check};
pub use configuration::Configuration;
pub use console::ConsolePlace;
pub use document::{Bookmark, Document, Profile, ProfileError, UnknownKey};
pub use providers::ProviderChoice;
pub use redirect::Redirect;
pub use settings::Settings;
pub use shelf::{Shelf, ShelfError, Stored, slug};
pub use shown::Shown;
pub use source::{IdentityCenter, KeySource, TokenSource};
pub use values::{ClientCredential, Exchanged, Flow, OAuth, Origin, Role, SettingsError, Sts, Valued};
pub use way::Way;

#[cfg(test)]
mod tests;
