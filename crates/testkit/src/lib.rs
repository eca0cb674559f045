//! What tests of several crates need: a clock that stands still, the faults of networks and stores, and a person
//! with a browser.
//!
//! The modules stand in flow order, and each imports only from those above it.

pub mod clock;

pub mod faults;

mod html;

pub mod browser;
