//! Values in the words of a shell, which nothing in them can leave.

use clap::ValueEnum;

use crate::errors::Failure;

/// The shells that we can write for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// bash, zsh, dash, ksh
    Sh,
    /// fish
    Fish,
    /// PowerShell
    #[value(alias = "pwsh")]
    Powershell,
}

impl Shell {
    /// The shell of a `SHELL` variable; a POSIX one where it says nothing.
    pub(crate) fn of(program: Option<&str>) -> Self {
        match program.and_then(|path| path.rsplit(['/', '\\']).next()) {
            Some("fish") => Self::Fish,
            Some(name) if name.starts_with("pwsh") || name.starts_with("powershell") => Self::Powershell,
            _ => Self::Sh,
        }
    }

    /// A line that exports a variable. Refused: what no variable can hold.
    pub(crate) fn set(self, name: &str, value: &str) -> Result<String, Failure> {
        if value.contains('\0') {
            return Err(Failure::error(format!("the value of {name} has a null character")));
        }
        let quoted = self.quoted(value);
        Ok(match self {
            Self::Sh => format!("export {name}={quoted}\n"),
            Self::Fish => format!("set -gx {name} {quoted}\n"),
            Self::Powershell => format!("$Env:{name} = {quoted}\n"),
        })
    }

    /// A line that removes a variable, whether or not it is there.
    pub(crate) fn unset(self, name: &str) -> String {
        match self {
            Self::Sh => format!("unset {name}\n"),
            Self::Fish => format!("set -e {name}\n"),
            Self::Powershell => format!("Remove-Item Env:{name} -ErrorAction SilentlyContinue\n"),
        }
    }

    /// One word.
    pub(crate) fn quoted(self, value: &str) -> String {
        match self {
            // Nothing is special between single quotes.
            Self::Sh => format!("'{}'", value.replace('\'', r"'\''")),
            // fish: `\\` and `\'` alone are special between single quotes.
            Self::Fish => format!("'{}'", value.replace('\\', r"\\").replace('\'', r"\'")),
            // PowerShell takes the typographic quotes for the plain one, too; each is doubled.
            Self::Powershell => {
                let mut quoted = String::from("'");
                for c in value.chars() {
                    if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
                        quoted.push(c);
                    }
                    quoted.push(c);
                }
                quoted.push('\'');
                quoted
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What fish and PowerShell make of a single-quoted word, by their own descriptions; `None` where it ends early.
    fn read_back(shell: Shell, word: &str) -> Option<String> {
        let inner = word.strip_prefix('\'')?.strip_suffix('\'')?;
        let mut read = String::new();
        let mut characters = inner.chars().peekable();
        while let Some(c) = characters.next() {
            match shell {
                Shell::Fish if c == '\\' && matches!(characters.peek(), Some('\\' | '\'')) => {
                    read.extend(characters.next())
                }
                Shell::Fish if c == '\'' => return None,
                Shell::Powershell
                    if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') =>
                {
                    read.push(characters.next().filter(|next| *next == c)?);
                }
                _ => read.push(c),
            }
        }
        Some(read)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn a_posix_shell_reads_back_what_was_quoted(value in r#"[ -~\n\t'"$`\\!ü‘’🦆]{0,40}"#) {
            let script = format!("{}printf %s \"$V\"", Shell::Sh.set("V", &value).unwrap());
            let read = std::process::Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(String::from_utf8(read.stdout).unwrap(), value);
        }

        #[test]
        fn fish_and_powershell_read_back_what_was_quoted(value in r#"[ -~\n\t'"$`\\!ü‘’‚‛🦆]{0,60}"#) {
            for shell in [Shell::Fish, Shell::Powershell] {
                let read = read_back(shell, &shell.quoted(&value));
                prop_assert_eq!(read.as_deref(), Some(value.as_str()));
            }
        }
    }

    #[test]
    fn shells_by_their_programs() {
        assert_eq!(Shell::of(Some("/usr/bin/fish")), Shell::Fish);
        assert_eq!(Shell::of(Some("C:\\x\\pwsh.exe")), Shell::Powershell);
        assert_eq!(Shell::of(Some("/bin/zsh")), Shell::Sh);
        assert_eq!(Shell::of(None), Shell::Sh);
        assert!(Shell::Sh.set("V", "a\0b").is_err());
    }
}
