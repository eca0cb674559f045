//! `wigeon manual`: man pages, made of the same words as the help.

use std::path::{Path, PathBuf};

use clap::Command;
use clap_mangen::{Man, generate_to};

use crate::context::Context;
use crate::errors::{Failure, Kind};

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon manual | man -l -
  wigeon manual --write ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// Write the pages of all commands into this folder, in place of printing the first one
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

/// Runs the command; `program` is the whole command line.
pub(crate) fn run(args: &Args, program: Command, context: &Context) -> Result<(), Failure> {
    let Some(folder) = &args.write else {
        let mut page = Vec::new();
        Man::new(program).render(&mut page).map_err(|error| Failure::because(Kind::Error, &error))?;
        return context.output.bytes(&page);
    };
    std::fs::create_dir_all(folder).map_err(|error| not_written(folder, &error))?;
    generate_to(program, folder).map_err(|error| not_written(folder, &error))?;
    context.output.note(&format!("Wrote the pages into {}.", folder.display()));
    Ok(())
}

fn not_written(path: &Path, error: &std::io::Error) -> Failure {
    Failure {
        causes: vec![error.to_string()],
        ..Failure::error(format!("cannot write `{}`", path.display()))
    }
}
