//! From a profile's name to a store: its settings, its session, its endpoint.

use std::sync::Arc;

use wigeon_client::s3::{Client, Endpoint};

use super::address::StorePlace;
use crate::context::Context;
use crate::errors::Failure;

/// The store of the profile that an address names, or of the one in use.
pub(crate) fn open(context: &Context, place: &StorePlace) -> Result<Client, Failure> {
    of_profile(context, place.profile.as_deref())
}

/// The store of a profile.
pub(crate) fn of_profile(context: &Context, profile: Option<&str>) -> Result<Client, Failure> {
    let settings = context.settings_of(context.stored(profile)?)?;
    let session = context.session_of(&settings)?;
    let connector = session.connector()?.clone();
    Ok(Client::new(connector, Endpoint::of_profile(&settings)?, session, Arc::clone(&context.clock)))
}
