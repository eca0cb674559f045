//! The person's browser on this desktop, or the address for one elsewhere; and the lines that they paste.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;
use url::Url;
use wigeon_client::profile::{OAuth, Redirect};
use wigeon_client::sign_in::{Browser, WaitingTab};

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

/// A tab that waits already is sent on; the address is printed in case it has gone.
pub(crate) struct InTab<'a> {
    pub(crate) tab: &'a WaitingTab,
    pub(crate) output: &'a Output,
}

impl Browser for InTab<'_> {
    fn show(&self, address: &Url) {
        self.tab.show(address);
        self.output.message(&format!(
            "Sign in there. If the page does not go on, open this address:\n\n  {address}\n"
        ));
    }
}

/// Opens the address in the person's browser where there is one, and prints it in any case.
pub(crate) struct DesktopBrowser<'a> {
    pub(crate) program: Option<PathBuf>,
    pub(crate) output: &'a Output,
    pub(crate) back: Back<'a>,
}

/// How the person gets back.
#[derive(Clone, Copy)]
pub(crate) enum Back<'a> {
    /// By a redirect that this program awaits, or that has to be pasted.
    Redirect(&'a Redirect),
    /// By the desktop's handler.
    Handler,
    /// They are only asked which provider is theirs.
    Choice,
}

impl<'a> DesktopBrowser<'a> {
    /// For the page of providers.
    pub(crate) fn for_choosing(context: &'a Context) -> Self {
        Self { program: context.environment.browser_program(), output: &context.output, back: Back::Choice }
    }
}

/// Opens an address; whether the browser could be started. It outlives us, and what it says is not for this terminal.
pub(crate) fn open_in(program: &Path, address: &str) -> bool {
    std::process::Command::new(program)
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .is_ok()
}

impl Browser for DesktopBrowser<'_> {
    fn show(&self, address: &Url) {
        let opened = self.program.as_ref().is_some_and(|program| open_in(program, address.as_str()));
        let awaited = match self.back {
            Back::Redirect(redirect) => matches!(redirect, Redirect::Loopback { .. }),
            Back::Handler => true,
            Back::Choice => {
                let text =
                    "Your browser opens for you to choose your provider. If it does not, open this address:";
                return self.output.message(&format!("{text}\n\n  {address}\n"));
            }
        };
        let text = match (opened, awaited) {
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
