//! What systemd is told of a service: that it is ready, reloads, stops, and is alive.
//!
//! Enters: `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` of the environment. Leaves: datagrams. Without a service
//! manager nothing is sent, and what cannot be sent is no reason to stop. Source: sd_notify(3), sd_watchdog_enabled(3).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::environment::Environment;

/// The service manager, if there is one.
#[derive(Debug)]
pub(crate) struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How long it may hear nothing.
    watchdog: Option<Duration>,
}

impl Notify {
    /// Of the environment.
    pub(crate) fn of(environment: &Environment) -> Self {
        let address = environment.variable("NOTIFY_SOCKET").and_then(address);
        let socket = address.and_then(|address| Some((UnixDatagram::unbound().ok()?, address)));
        let number = |name: &str| environment.variable(name).and_then(|text| text.parse::<u64>().ok());
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog =
            number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0).map(Duration::from_micros);
        Self { socket, watchdog }
    }

    /// The service is ready, or has finished reloading.
    pub(crate) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// It reloads; [`Notify::ready`] ends that.
    pub(crate) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// It stops, and may take so long.
    pub(crate) fn stopping(&self, at_most: Duration) {
        let micros = at_most.as_micros();
        self.tell(&format!(
            "STOPPING=1\nSTATUS=Requests under way are finished\nEXTEND_TIMEOUT_USEC={micros}"
        ));
    }

    /// Says that the service is alive as long as `alive` says so, often enough, for ever.
    pub(crate) async fn keep_alive(&self, alive: impl AsyncFn() -> bool) {
        let Some(watchdog) = self.watchdog else { return std::future::pending().await };
        loop {
            if alive().await {
                self.tell("WATCHDOG=1");
            }
            tokio::time::sleep(watchdog / 2).await;
        }
    }

    fn tell(&self, message: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(message.as_bytes(), address)
        {
            tracing::warn!(%error, "the service manager could not be told: {message}");
        }
    }
}

/// A path, or behind `@` a name in the abstract name space.
fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name).ok(),
        None => SocketAddr::from_pathname(text).ok(),
    }
}
