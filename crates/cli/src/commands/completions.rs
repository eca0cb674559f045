//! `wigeon completions`: what a shell has to be told, once, to complete words by asking this program.

use clap::ValueEnum;

use crate::context::Context;
use crate::errors::{Failure, Kind};

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bash        echo 'source <(wigeon completions bash)' >> ~/.bashrc
  zsh         echo 'source <(wigeon completions zsh)' >> ~/.zshrc
  fish        echo 'wigeon completions fish | source' >> ~/.config/fish/config.fish
  PowerShell  wigeon completions powershell | Out-String | Invoke-Expression")]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

impl Shell {
    fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
            Self::Elvish => "elvish",
            Self::Powershell => "powershell",
        }
    }
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::because(Kind::Error, &error))?;
    let program = program.to_string_lossy();
    let shells = clap_complete::env::Shells::builtins();
    let Some(completer) = shells.completer(args.shell.name()) else {
        return Err(Failure::usage(format!("no completions for {}", args.shell.name())));
    };
    let mut script = Vec::new();
    if args.shell == Shell::Bash {
        // bash cuts words at colons, which addresses have.
        script.extend_from_slice(b"COMP_WORDBREAKS=\"${COMP_WORDBREAKS//:}\"\n");
    }
    completer
        .write_registration("COMPLETE", "wigeon", "wigeon", &program, &mut script)
        .map_err(|error| Failure::because(Kind::Error, &error))?;
    context.output.bytes(&script)
}
