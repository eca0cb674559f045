//! A provider on a listener of its own: loopback, or nothing.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use wigeon_core::time::Clock;

use crate::config::Config;
use crate::provider::{Provider, ProviderError};

/// Why a provider did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration, or the key.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The address is taken, or not this machine's.
    #[error("the development provider cannot listen on `{address}`")]
    Bind {
        /// Where it should have.
        address: SocketAddr,
        /// Why it could not.
        #[source]
        source: io::Error,
    },
}

/// A provider that is answering. It stops when this is dropped, and in good order with
/// [`Running::shutdown`].
#[derive(Debug)]
pub struct Running {
    /// The issuer identifier.
    pub issuer: String,
    /// Where it listens.
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// How long open connections get to end by themselves.
const GRACE: Duration = Duration::from_secs(2);

impl Provider {
    /// Listens and answers until the [`Running`] is dropped.
    ///
    /// # Errors
    /// A configuration that is refused (an address off loopback among others), or an address in use.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
        config.check().map_err(ProviderError::from)?;
        let bind_error = |source| StartError::Bind { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let issuer = config.issuer.clone().unwrap_or_else(|| format!("http://{address}"));
        let provider = Self::new(config, &issuer, clock)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = axum::serve(listener, provider.router()).with_graceful_shutdown(async {
            // A dropped sender means the same as a signal.
            let _ = stopped.await;
        });
        let task = tokio::spawn(async {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the development provider stopped");
            }
        });
        tracing::info!(%issuer, %address, "the development provider answers");
        Ok(Running { issuer, address, stop, task })
    }
}

impl Running {
    /// Stops listening, and waits for open requests to end, two seconds at most.
    pub async fn shutdown(self) {
        let Self { stop, mut task, .. } = self;
        let _ = stop.send(());
        if tokio::time::timeout(GRACE, &mut task).await.is_err() {
            task.abort();
        }
    }
}
