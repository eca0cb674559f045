//! What of an agent outlives it: the port of its endpoint and the key of its tokens, so that a shell that was given
//! them goes on working when the agent comes back. A port that someone else has taken in between makes both new: a
//! token is never sent to an address under a key that still opens something.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use wigeon_core::secret::Secret;

use super::admission::TokenKey;
use super::endpoint::Endpoint;
use crate::durable;

#[derive(Serialize, Deserialize)]
struct Kept {
    port: u16,
    key: Secret,
}

/// Listens at the port of last time, or at another under a new key.
pub(super) async fn endpoint(file: &Path) -> io::Result<Endpoint> {
    if let Some(kept) = read(file)
        && let Ok(endpoint) = Endpoint::bind(kept.port, TokenKey::kept(kept.key)).await
    {
        return Ok(endpoint);
    }
    let key = TokenKey::random();
    let endpoint = Endpoint::bind(0, key.clone()).await?;
    keep(file, endpoint.address().port(), &key)?;
    Ok(endpoint)
}

/// The key for a listener that was handed to us: the kept one if it is the same port.
pub(super) fn endpoint_on(listener: tokio::net::TcpListener, file: &Path) -> io::Result<Endpoint> {
    let port = listener.local_addr()?.port();
    if let Some(kept) = read(file).filter(|kept| kept.port == port) {
        return Endpoint::on(listener, TokenKey::kept(kept.key));
    }
    let key = TokenKey::random();
    keep(file, port, &key)?;
    Endpoint::on(listener, key)
}

fn read(file: &Path) -> Option<Kept> {
    let text = zeroize::Zeroizing::new(std::fs::read_to_string(file).ok()?);
    serde_json::from_str(&text).ok().filter(|kept: &Kept| kept.key.expose().len() >= 64 && kept.port != 0)
}

fn keep(file: &Path, port: u16, key: &TokenKey) -> io::Result<()> {
    let text = serde_json::to_string(&Kept { port, key: key.text().clone() }).map_err(io::Error::other)?;
    durable::replace(file, zeroize::Zeroizing::new(text).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_port_and_the_tokens_come_back_together() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("endpoint.json");
        let first = endpoint(&file).await.unwrap().access("lab");
        assert_eq!(endpoint(&file).await.unwrap().access("lab"), first);

        let port = read(&file).unwrap().port;
        let _taken = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let other = endpoint(&file).await.unwrap().access("lab");
        assert_ne!(other.url, first.url);
        assert_ne!(other.token, first.token);
    }
}
