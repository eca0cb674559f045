//! What the process was given: places of files, variables, terminals, the clock.
//!
//! Enters: the process environment, once. Leaves: an [`Environment`] that everything else is handed. Only this
//! module and `main` look at the process itself.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use wigeon_client::surroundings::Surroundings;
use wigeon_core::time::{Clock, Timestamp};

/// The process's surroundings, read at its start.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    variables: BTreeMap<String, String>,
    /// Where the process was started; unknown where that place is gone.
    current_dir: Option<PathBuf>,
    /// Whether a person can answer a question.
    pub(crate) stdin_is_terminal: bool,
    /// Whether messages are read by a person.
    pub(crate) stderr_is_terminal: bool,
}

/// Why a place for files cannot be named.
#[derive(Debug, thiserror::Error)]
#[error("no place for {what}: neither `{variable}` nor `HOME` is set to an absolute path")]
pub(crate) struct NoPlace {
    what: &'static str,
    variable: &'static str,
}

impl Environment {
    /// What this process has.
    pub(crate) fn of_process() -> Self {
        Self {
            // A variable that is not Unicode is none of ours.
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            current_dir: std::env::current_dir().ok(),
            stdin_is_terminal: std::io::stdin().is_terminal(),
            stderr_is_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// A variable; `None` when it is unset or empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// `$XDG_CONFIG_HOME/wigeon`, by default `~/.config/wigeon`: profiles and settings.
    pub(crate) fn config_dir(&self) -> Result<PathBuf, NoPlace> {
        self.place("configuration", "XDG_CONFIG_HOME", ".config")
    }

    /// `$XDG_STATE_HOME/wigeon`, by default `~/.local/state/wigeon`: sessions.
    pub(crate) fn state_dir(&self) -> Result<PathBuf, NoPlace> {
        self.place("state", "XDG_STATE_HOME", ".local/state")
    }

    /// `$XDG_DATA_HOME/wigeon`, by default `~/.local/share/wigeon`: what the demonstration stores.
    pub(crate) fn data_dir(&self) -> Result<PathBuf, NoPlace> {
        self.place("data", "XDG_DATA_HOME", ".local/share")
    }

    /// `$XDG_RUNTIME_DIR/wigeon`, without it `run/` in the state directory: sockets, and files of one run.
    pub(crate) fn runtime_dir(&self) -> Result<PathBuf, NoPlace> {
        match self.variable("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()) {
            Some(base) => Ok(base.join("wigeon")),
            None => Ok(self.state_dir()?.join("run")),
        }
    }

    /// `$XDG_DATA_HOME/applications`: what the desktop can start for this person.
    pub(crate) fn applications_dir(&self) -> Result<PathBuf, NoPlace> {
        Ok(self.data_dir()?.with_file_name("applications"))
    }

    /// The desktop's name for what opens addresses of a scheme with this program.
    pub(crate) fn handler_of(scheme: &str) -> String {
        format!("wigeon-{scheme}.desktop")
    }

    /// The person's home.
    pub(crate) fn home_dir(&self) -> Result<PathBuf, NoPlace> {
        let home = self.variable("HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        home.ok_or(NoPlace { what: "home", variable: "HOME" })
    }

    /// The directory of the process, then those above it.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.current_dir.iter().flat_map(|dir| dir.ancestors())
    }

    /// What the client may see of this.
    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings::new(self.variables.clone())
    }

    /// All variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// XDG Base Directory Specification: a relative path in a variable is to be ignored.
    fn place(&self, what: &'static str, variable: &'static str, in_home: &str) -> Result<PathBuf, NoPlace> {
        let absolute = |name| self.variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        absolute(variable)
            .or_else(|| absolute("HOME").map(|home| home.join(in_home)))
            .map(|base| base.join("wigeon"))
            .ok_or(NoPlace { what, variable })
    }

    /// Whether there may be a keychain: where the Secret Service is, there is a session bus.
    pub(crate) fn may_have_keychain(&self) -> bool {
        let bus = || self.variable("XDG_RUNTIME_DIR").is_some_and(|dir| Path::new(dir).join("bus").exists());
        cfg!(any(target_os = "macos", target_os = "windows"))
            || self.variable("DBUS_SESSION_BUS_ADDRESS").is_some()
            || bus()
    }

    /// What tells this machine from others (machine-id(5)); empty where it has no such name.
    pub(crate) fn machine_id() -> String {
        std::fs::read_to_string("/etc/machine-id").unwrap_or_default().trim().to_owned()
    }

    /// Whether messages may be colored: <https://no-color.org>, and a terminal that can.
    pub(crate) fn color(&self) -> bool {
        self.stderr_is_terminal
            && self.variable("NO_COLOR").is_none()
            && self.variable("TERM").is_some_and(|terminal| terminal != "dumb")
    }

    /// The program that opens an address in the person's browser, if there is a person at a desktop here:
    /// `BROWSER` wins; over SSH, or without a display, there is none.
    pub(crate) fn browser_program(&self) -> Option<PathBuf> {
        if let Some(chosen) = self.variable("BROWSER") {
            // A list separated by colons, the first of which is preferred.
            let first = chosen.split(':').next().unwrap_or(chosen);
            return (first != "none").then(|| PathBuf::from(first));
        }
        if self.variable("SSH_CONNECTION").is_some() || self.variable("SSH_TTY").is_some() {
            return None;
        }
        if cfg!(target_os = "macos") {
            return Some(PathBuf::from("open"));
        }
        let display = self.variable("DISPLAY").is_some() || self.variable("WAYLAND_DISPLAY").is_some();
        (display && self.finds("xdg-open")).then(|| PathBuf::from("xdg-open"))
    }

    /// Whether `PATH` has a program of this name.
    fn finds(&self, program: &str) -> bool {
        self.variable("PATH")
            .is_some_and(|path| std::env::split_paths(path).any(|place| is_file(&place.join(program))))
    }

    /// An environment of given variables, without a terminal.
    #[cfg(test)]
    pub(crate) fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self {
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            current_dir: None,
            stdin_is_terminal: false,
            stderr_is_terminal: false,
        }
    }
}

fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_xdg() {
        let home = Environment::of([("HOME", "/home/ada"), ("XDG_STATE_HOME", "/var/ada")]);
        assert_eq!(home.config_dir().unwrap(), Path::new("/home/ada/.config/wigeon"));
        assert_eq!(home.state_dir().unwrap(), Path::new("/var/ada/wigeon"));
        let relative = Environment::of([("HOME", "/home/ada"), ("XDG_CONFIG_HOME", "here")]);
        assert_eq!(relative.config_dir().unwrap(), Path::new("/home/ada/.config/wigeon"));
        assert!(Environment::of([]).config_dir().is_err());
    }

    #[test]
    fn no_browser_where_nobody_sees_it() {
        assert_eq!(Environment::of([("DISPLAY", ":0"), ("SSH_TTY", "/dev/pts/1")]).browser_program(), None);
        assert_eq!(
            Environment::of([("BROWSER", "firefox:lynx")]).browser_program(),
            Some(PathBuf::from("firefox"))
        );
        assert_eq!(Environment::of([("BROWSER", "none"), ("DISPLAY", ":0")]).browser_program(), None);
        #[cfg(target_os = "linux")]
        assert_eq!(Environment::of([("PATH", "/usr/bin")]).browser_program(), None);
    }
}
