//! `wigeon setup`: the exact configuration of a tool, written, shown or taken back.
//!
//! What was there before stays: ours is a marked block, or a file of its own. What was changed by hand, or has our
//! name and is not ours, is refused and left alone. The first time, a file is copied to `FILE.before-wigeon`.

mod block;

mod mime_default;

mod recipe;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::json;
use wigeon_client::durable;

use self::block::{Refused, diff};
use self::recipe::{Ingredients, Opens, Piece, Recipe, Tool, is_ours};
use super::surroundings::Surroundings;
use crate::brokered;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon setup aws lab              then: aws --profile lab s3 ls
  wigeon setup rclone lab --diff    what would change
  wigeon setup rclone lab --undo")]
pub(crate) struct Args {
    /// What to set up
    #[arg(value_enum)]
    tool: Tool,

    /// The profile
    #[arg(value_name = "PROFILE")]
    name: Option<String>,

    /// The name that the tool is to know the profile by
    #[arg(long = "as", value_name = "NAME")]
    alias: Option<String>,

    /// Print the configuration, and write nothing
    #[arg(long, conflicts_with_all = ["diff", "undo"])]
    print: bool,

    /// Show what would change, and write nothing; with --undo, what that would change
    #[arg(long)]
    diff: bool,

    /// Take back what was written
    #[arg(long)]
    undo: bool,

    /// Write to this file, and not to the tool's own
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// A file, as it is and as it is to be.
struct Edit {
    file: PathBuf,
    old: Option<String>,
    /// `None`: the file goes.
    new: Option<String>,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let recipe = recipe_of(&args, context).await?;
    if args.print {
        return print(&recipe, context);
    }
    let mut edits = Vec::new();
    for piece in &recipe.pieces {
        let edit = if args.undo { undone(piece) } else { done(piece) }?;
        edits.extend(edit.filter(|edit| edit.old != edit.new));
    }
    if args.diff {
        let differences: String = edits.iter().map(shown).collect();
        return context.output.bytes(differences.as_bytes());
    }
    for edit in &edits {
        write(edit)?;
    }
    report(&args, &recipe, &edits, context)
}

async fn recipe_of(args: &Args, context: &Context) -> Result<Recipe, Failure> {
    let settings = context.settings_of(context.stored(args.name.as_deref())?)?;
    let seen = Surroundings::of(&settings, context)?;
    let program =
        std::env::current_exe().map_err(|error| cannot("find", Path::new("this program"), &error))?;
    let alias = args.alias.clone().unwrap_or_else(|| seen.profile.clone());
    if !alias.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) || alias.is_empty() {
        return Err(Failure::usage(format!("`{alias}` cannot be a tool's name for a profile"))
            .hint("use letters, digits, `-`, `_` and `.`"));
    }
    let credentials = match args.tool {
        Tool::Mc if !args.undo => Some(brokered::credentials(context, &seen.profile).await?),
        _ => None,
    };
    let ingredients = Ingredients {
        tool: args.tool,
        seen: &seen,
        environment: &context.environment,
        alias: &alias,
        program: &program.to_string_lossy(),
        file: args.file.as_ref().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone())),
        credentials: credentials.as_deref(),
        scheme: settings.oauth()?.redirect.scheme().map(str::to_owned),
    };
    ingredients.recipe()
}

fn print(recipe: &Recipe, context: &Context) -> Result<(), Failure> {
    let mut text = String::new();
    for piece in &recipe.pieces {
        let (file, body) = match piece {
            Piece::Block(file, block) => (file, block.body.clone()),
            Piece::Whole(file, body) => (file, body.clone()),
            Piece::Opens(opens) => (&opens.file, mime_default::put("", &opens.kind, &opens.application)),
        };
        context.output.note(&format!("For {}:", file.display()));
        text.push_str(&body);
    }
    text.extend(recipe.snippet.as_deref());
    context.output.bytes(text.as_bytes())
}

fn done(piece: &Piece) -> Result<Option<Edit>, Failure> {
    match piece {
        Piece::Block(file, block) => {
            let old = read(file)?;
            let new =
                block.put_into(old.as_deref().unwrap_or_default()).map_err(|error| refused(file, &error))?;
            Ok(Some(Edit { file: file.clone(), old, new: Some(new) }))
        }
        Piece::Whole(file, text) => match read(file)? {
            Some(old) if old != *text && !is_ours(&old) => Err(foreign(file)),
            old => Ok(Some(Edit { file: file.clone(), old, new: Some(text.clone()) })),
        },
        Piece::Opens(Opens { file, kind, application }) => {
            let old = read(file)?;
            let new = mime_default::put(old.as_deref().unwrap_or_default(), kind, application);
            Ok(Some(Edit { file: file.clone(), old, new: Some(new) }))
        }
    }
}

fn undone(piece: &Piece) -> Result<Option<Edit>, Failure> {
    match piece {
        Piece::Block(file, block) => {
            let Some(old) = read(file)? else { return Ok(None) };
            let new = block.take_out_of(&old).map_err(|error| refused(file, &error))?;
            Ok(new.map(|new| Edit {
                file: file.clone(),
                old: Some(old),
                // One that was empty before was not there before.
                new: Some(new).filter(|new| !new.is_empty()),
            }))
        }
        Piece::Whole(file, _) => match read(file)? {
            None => Ok(None),
            Some(old) if is_ours(&old) => Ok(Some(Edit { file: file.clone(), old: Some(old), new: None })),
            Some(_) => Err(foreign(file)),
        },
        Piece::Opens(Opens { file, kind, application }) => {
            let Some(old) = read(file)? else { return Ok(None) };
            let new = mime_default::take(&old, kind, application);
            Ok(new.map(|new| Edit {
                file: file.clone(),
                old: Some(old),
                new: Some(new).filter(|new| !new.is_empty()),
            }))
        }
    }
}

fn shown(edit: &Edit) -> String {
    let (old, new) = (edit.old.as_deref().unwrap_or_default(), edit.new.as_deref().unwrap_or_default());
    diff(&edit.file.display().to_string(), old, new)
}

/// Writes in place of a link's target, with the mode that the file had.
fn write(edit: &Edit) -> Result<(), Failure> {
    let file = std::fs::canonicalize(&edit.file).unwrap_or_else(|_| edit.file.clone());
    let kept = backup_of(&file);
    let Some(new) = &edit.new else {
        durable::remove(&file).map_err(|error| cannot("remove", &file, &error))?;
        return durable::remove(&kept).map(|_| ()).map_err(|error| cannot("remove", &kept, &error));
    };
    let permissions = std::fs::metadata(&file).ok().map(|metadata| metadata.permissions());
    if let Some(old) = edit.old.as_ref().filter(|old| !old.contains(">>> wigeon ") && !kept.exists()) {
        durable::replace(&kept, old.as_bytes()).map_err(|error| cannot("write", &kept, &error))?;
    }
    durable::replace(&file, new.as_bytes()).map_err(|error| cannot("write", &file, &error))?;
    if let Some(permissions) = permissions {
        std::fs::set_permissions(&file, permissions).map_err(|error| cannot("write", &file, &error))?;
    }
    // As it was before: there is nothing left to go back to.
    if std::fs::read_to_string(&kept).is_ok_and(|before| before == *new) {
        durable::remove(&kept).map_err(|error| cannot("remove", &kept, &error))?;
    }
    Ok(())
}

fn report(args: &Args, recipe: &Recipe, edits: &[Edit], context: &Context) -> Result<(), Failure> {
    let files: Vec<_> = edits.iter().map(|edit| edit.file.display().to_string()).collect();
    let document = json!({ "changed": files, "snippet": recipe.snippet, "then": recipe.afterwards });
    if args.undo {
        return context.output.result(&document, |_| match files.as_slice() {
            [] => "There was nothing to undo.".to_owned(),
            files => format!("Taken back: {}.", files.join(", ")),
        });
    }
    if let Some(snippet) = recipe.snippet.as_ref().filter(|_| !context.output.is_json()) {
        context.output.bytes(snippet.as_bytes())?;
    }
    let text = if recipe.pieces.is_empty() {
        String::new()
    } else if files.is_empty() {
        "It is set up already. ".to_owned()
    } else {
        format!("Written: {}. ", files.join(", "))
    };
    let text = format!("{text}Then: {}", recipe.afterwards);
    match recipe.snippet {
        // Standard output is for the snippet alone.
        Some(_) if !context.output.is_json() => {
            context.output.note(&text);
            Ok(())
        }
        _ => context.output.result(&document, |_| text),
    }
}

fn read(file: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("read", file, &error)),
    }
}

fn backup_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".before-wigeon");
    file.with_file_name(name)
}

fn refused(file: &Path, error: &Refused) -> Failure {
    let hint = match error {
        Refused::Edited(_) => "remove the block yourself, or keep it; --print shows what would be written",
        Refused::Taken(_) => {
            "give the tool another name for it: --as NAME; --print shows what would be written"
        }
    };
    let mut failure = Failure::error(format!("`{}` is left as it is", file.display()));
    failure.causes.push(error.to_string());
    failure.hint(hint)
}

fn foreign(file: &Path) -> Failure {
    let mut failure = Failure::error(format!("`{}` is left as it is", file.display()));
    failure.causes.push("Wigeon did not write it, or it was changed since".to_owned());
    failure.hint("move it away, or write elsewhere with --file FILE; --print shows what would be written")
}

fn cannot(what: &str, file: &Path, error: &std::io::Error) -> Failure {
    let mut failure = Failure::error(format!("cannot {what} `{}`", file.display()));
    failure.causes.push(error.to_string());
    failure
}
