//! The person's browser on this desktop, or the address for one elsewhere; and the lines that they paste.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;
use url::Url;
use wigeon_client::profile::{OAuth, Redirect};
use wigeon_client::sign_in::Browser;

use crate::context::Context;
use crate::output::Output;

/// Lines of standard input, where a person may paste: at a terminal, without a browser, and where the browser
/// comes back to an address that is not ours.
pub(crate) fn pasted(context: &Context, oauth: &OAuth, browser: bool) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    let listens = matches!(oauth.redirect, Redirect::Loopback { .. });
    if context.environment.stdin_is_terminal || !browser || !listens {
        tokio::spawn(async move {
            let mut lines = BufReader::new(tokio::io::stdin()).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if sender.send(line).await.is_err() {
                    return;
                }
            }
        });
    }
    receiver
}

/// Opens the address in the person's browser where there is one, and prints it in any case.
pub(crate) struct DesktopBrowser<'a> {
    pub(crate) program: Option<PathBuf>,
    pub(crate) output: &'a Output,
    pub(crate) redirect: &'a Redirect,
}

impl Browser for DesktopBrowser<'_> {
    fn show(&self, address: &Url) {
        let opened = self.program.as_ref().is_some_and(|program| {
            // The browser outlives us, and what it says is not for this terminal.
            std::process::Command::new(program)
                .arg(address.as_str())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .is_ok()
        });
        let listens = matches!(self.redirect, Redirect::Loopback { .. });
        let text = match (opened, listens) {
            (true, true) => "Your browser opens for you to sign in. If it does not, open this address:",
            (true, false) => {
                "Your browser opens for you to sign in. Afterwards paste the address that it was sent back to here."
            }
            (false, true) => {
                "Open this address in a browser to sign in. If the browser is on another machine, paste the address that it was sent back to here."
            }
            (false, false) => {
                "Open this address in a browser to sign in. Afterwards paste the address that it was sent back to here."
            }
        };
        self.output.message(&format!("{text}\n\n  {address}\n"));
    }
}
