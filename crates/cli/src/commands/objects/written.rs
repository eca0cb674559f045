//! What goes with the objects that a command writes, the same for `cp`, `mv`, `run`, `sync` and `watch`.

use wigeon_client::s3::{CannedAcl, PutOptions};

use super::metadata::{pair, put};
use crate::errors::Failure;

/// What the command line says. Of objects that are copied, what is not said here stays as it is at the source.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "What goes with each object")]
pub(crate) struct WrittenArgs {
    /// The media type of what is uploaded, in place of the one that the name suggests
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,

    /// The storage class: `STANDARD_IA`, GLACIER, … or what the store has
    #[arg(long, value_name = "CLASS")]
    storage_class: Option<String>,

    /// Metadata, or a standard header by its name (cache-control=no-cache), as of `wigeon meta`
    #[arg(long = "meta", value_name = "META=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,

    /// A tag; all of them take the place of those that a copied object has
    #[arg(long = "tag", value_name = "TAG=VALUE", value_parser = pair)]
    tags: Vec<(String, String)>,

    /// A canned access control list, as of `wigeon acl`; most buckets refuse any
    #[arg(long, value_name = "ACL")]
    acl: Option<CannedAcl>,
}

impl WrittenArgs {
    /// What goes with each object.
    pub(crate) fn put(&self) -> PutOptions {
        let mut options = PutOptions {
            storage_class: self.storage_class.clone(),
            tags: self.tags.clone(),
            acl: self.acl,
            ..PutOptions::default()
        };
        for (name, value) in &self.metadata {
            put(&mut options, name, Some(value));
        }
        options.content_type = self.content_type.clone().or(options.content_type);
        options
    }

    /// Refuses what nothing can come of where files are written.
    pub(crate) fn for_files(&self) -> Result<(), Failure> {
        if self.put() == PutOptions::default() {
            return Ok(());
        }
        Err(Failure::usage(
            "--content-type, --storage-class, --meta, --tag and --acl go with objects, and files are written here",
        ))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        written: WrittenArgs,
    }

    fn put(line: &str) -> PutOptions {
        let words = std::iter::once("cp").chain(line.split_whitespace());
        Line::try_parse_from(words).unwrap().written.put()
    }

    #[test]
    fn everything_goes_with_the_object() {
        let options = put(
            "--meta owner=ada --meta Cache-Control=no-store --meta content-type=a/b --tag x=1 --tag y=2 --storage-class COLD --acl private",
        );
        assert_eq!(options.metadata, [("owner".to_owned(), "ada".to_owned())]);
        assert_eq!(options.content_headers, [("cache-control".to_owned(), "no-store".to_owned())]);
        assert_eq!(options.content_type.as_deref(), Some("a/b"));
        assert_eq!(options.tags.len(), 2);
        assert_eq!((options.storage_class.as_deref(), options.acl), (Some("COLD"), Some(CannedAcl::Private)));
        assert_eq!(put("--content-type x/y --meta content-type=a/b").content_type.as_deref(), Some("x/y"));
    }

    #[test]
    fn files_have_none_of_it() {
        let written = |line: &[&str]| Line::try_parse_from(line).unwrap().written;
        assert!(written(&["cp"]).for_files().is_ok());
        assert!(written(&["cp", "--tag", "a=b"]).for_files().is_err());
        assert!(Line::try_parse_from(["cp", "--acl", "everybody"]).is_err());
    }
}
