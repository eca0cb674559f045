//! The versions of one key after the other, each key's together.

use wigeon_client::s3::{Client, S3Error, VersionSummary};

use super::super::objects::meant::{Found, Many, Meant, VersionsOfOne, versions_of};

/// All versions of a key, the newest first.
pub(super) type History = Vec<VersionSummary>;

/// The histories of the objects that are meant, in the order of their keys.
pub(super) struct Histories<'a> {
    source: Source<'a>,
    ahead: Option<VersionSummary>,
}

enum Source<'a> {
    One(VersionsOfOne),
    Many(Found<'a, VersionSummary>),
}

impl<'a> Histories<'a> {
    pub(super) fn of(meant: &'a Meant, client: &Client) -> Self {
        let source = match meant {
            Meant::One(object) => Source::One(versions_of(client, object)),
            Meant::Many(many) => Source::Many(many.versions(client)),
        };
        Self { source, ahead: None }
    }

    /// The next key's.
    pub(super) async fn next(&mut self) -> Result<Option<History>, S3Error> {
        let mut history: History = self.ahead.take().into_iter().collect();
        while let Some(version) = self.source.next().await? {
            if history.first().is_some_and(|first| first.key != version.key) {
                self.ahead = Some(version);
                break;
            }
            history.push(version);
        }
        Ok(Some(history).filter(|history| !history.is_empty()))
    }
}

impl Source<'_> {
    async fn next(&mut self) -> Result<Option<VersionSummary>, S3Error> {
        match self {
            Self::One(versions) => versions.next().await,
            Self::Many(versions) => versions.next().await,
        }
    }
}

/// Whether it may well have no versions at all.
pub(super) fn may_be_empty(meant: &Meant) -> bool {
    matches!(meant, Meant::Many(many) if Many::is_whole_bucket(many))
}
