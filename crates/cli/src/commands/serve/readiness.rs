//! Whether a server that runs is ready: for container engines and scripts, which have no HTTP client at hand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::context::Context;
use crate::errors::{Failure, Kind};

/// How long it may take to say so.
const LONGEST_ANSWER: Duration = Duration::from_secs(5);

/// Asks at the address of the metrics, which says why not. Exit code 0 where it is ready, 6 where it may become so.
pub(super) async fn ask(metrics: Option<SocketAddr>, context: &Context) -> Result<(), Failure> {
    let Some(mut address) = metrics else {
        return Err(Failure::error(
            "the configuration has no metrics.listen, where a server says whether it is ready",
        ));
    };
    // An address that stands for all of the machine is no place to connect to.
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let unanswered = |error: reqwest::Error| Failure::because(Kind::Retry, &error);
    let client = reqwest::Client::builder().no_proxy().timeout(LONGEST_ANSWER).build().map_err(unanswered)?;
    let answer = client.get(format!("http://{address}/readyz")).send().await.map_err(unanswered)?;
    let ready = answer.status().is_success();
    let text = answer.text().await.map_err(unanswered)?;
    match ready {
        true => {
            context.output.note("The server is ready.");
            Ok(())
        }
        false => Err(Failure::new(Kind::Retry, text.trim().to_owned())),
    }
}
