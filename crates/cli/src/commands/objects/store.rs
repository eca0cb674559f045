//! From a profile's name to a store: its settings, its session, its endpoint.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use wigeon_client::connect::RateLimit;
use wigeon_client::s3::{Client, Endpoint};

use super::address::StorePlace;
use crate::context::Context;
use crate::errors::Failure;

/// The stores of one command: each profile is opened once, so that a copy knows when both its sides are one.
#[derive(Default)]
pub(crate) struct Stores {
    opened: Mutex<HashMap<String, Client>>,
    limit: Option<Arc<RateLimit>>,
}

impl Stores {
    /// Stores that share a limit of bytes per second.
    pub(crate) fn limited(limit: Option<Arc<RateLimit>>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// The store of the profile that an address names, or of the one in use.
    pub(crate) fn open(&self, context: &Context, place: &StorePlace) -> Result<Client, Failure> {
        let name = context.profile_name(place.profile.as_deref())?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = opened.get(&name) {
            return Ok(client.clone());
        }
        let client = of_profile(context, Some(&name))?.limited(self.limit.clone());
        opened.insert(name, client.clone());
        Ok(client)
    }
}

/// The store of the profile that an address names, or of the one in use.
pub(crate) fn open(context: &Context, place: &StorePlace) -> Result<Client, Failure> {
    of_profile(context, place.profile.as_deref())
}

/// The store of a profile.
pub(crate) fn of_profile(context: &Context, profile: Option<&str>) -> Result<Client, Failure> {
    let settings = context.settings_of(context.stored(profile)?)?;
    let session = context.session_of(&settings)?;
    let connector = session.connector()?.clone();
    let client =
        Client::new(connector, Endpoint::of_profile(&settings)?, session, Arc::clone(&context.clock));
    Ok(client.remembering(context.environment.state_dir()?.join("stores.json")))
}
