//! What tests of several crates need: a clock that stands still, and a person with a browser.
//!
//! The modules stand in flow order, and each imports only from those above it.

pub mod clock;

mod html;

pub mod browser;
