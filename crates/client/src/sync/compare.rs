//! Whether what both sides have under a name is the same.
//!
//! | comparison | the same is |
//! |---|---|
//! | `modified` | of one size, and not written later at the source than at the target; where it was, of one content |
//! | `mtime` | of one size, and of one time: the file's own, which rclone and this keep in the object's metadata; where there is none, when the object was written |
//! | `checksum` | of one size and one content |
//! | `size` | of one size |
//!
//! A glance is at what lists tell; a look may ask the store for an object's head, and read a file.

use serde::{Deserialize, Serialize};
use wigeon_core::time::{SignedDuration, Timestamp};

use super::digest::{head, same_content};
use super::found::Found;
use super::side::Side;
use crate::transfer::{MTIME, TransferError, mtime_of};

/// What makes two the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// Size, and when it was written; the content where that says nothing.
    #[default]
    Modified,
    /// Size, and the file's own time.
    Mtime,
    /// Size and content.
    Checksum,
    /// Size alone.
    Size,
}

/// Why something is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The target has none.
    Missing,
    /// Their sizes differ.
    Size,
    /// Their times differ.
    Time,
    /// Their contents differ.
    Content,
    /// Neither has a digest that the other has too.
    NothingToCompare,
}

/// What lists tell of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Glance {
    Same,
    Differs(Why),
    /// More has to be known.
    Look,
}

/// Times that differ by less were rounded on their way.
const ROUNDED: SignedDuration = SignedDuration::from_micros(1);

impl Comparison {
    /// For people: what a run holds to be the same.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Modified => "size and time of writing, and content where the source is newer",
            Self::Mtime => "size and modification time",
            Self::Checksum => "size and checksum",
            Self::Size => "size",
        }
    }

    pub(crate) fn glance(self, source: &Found, target: &Found) -> Glance {
        if source.size != target.size {
            return Glance::Differs(Why::Size);
        }
        let empty = source.size == 0;
        let one_tag = source.etag.is_some() && source.etag == target.etag;
        match self {
            Self::Size => Glance::Same,
            Self::Mtime => Glance::Look,
            Self::Modified | Self::Checksum if empty || one_tag => Glance::Same,
            Self::Checksum => Glance::Look,
            // Two tags that differ may be of one content (other parts, other keys).
            Self::Modified if source.etag.is_some() && target.etag.is_some() => Glance::Look,
            Self::Modified if is_newer(source, target) => Glance::Look,
            Self::Modified => Glance::Same,
        }
    }

    /// `None` where they are the same.
    pub(crate) async fn look(
        self,
        (source_side, source): (&Side, &Found),
        (target_side, target): (&Side, &Found),
    ) -> Result<Option<Why>, TransferError> {
        if self == Self::Mtime {
            let (one, other) =
                tokio::try_join!(file_time(source_side, source), file_time(target_side, target))?;
            let same = one.zip(other).is_some_and(|(one, other)| one.duration_since(other).abs() < ROUNDED);
            return Ok(if same { None } else { Some(Why::Time) });
        }
        let same = same_content((source_side, source), (target_side, target)).await?;
        Ok(match (self, same) {
            (_, Some(true)) => None,
            (Self::Modified, Some(false) | None) if is_newer(source, target) => Some(Why::Time),
            (_, Some(false)) => Some(Why::Content),
            (Self::Modified, None) => None,
            (_, None) => Some(Why::NothingToCompare),
        })
    }
}

/// Whether the source was written later, as far as both tell.
pub(crate) fn is_newer(source: &Found, target: &Found) -> bool {
    match (source.modified, target.modified) {
        (Some(source), Some(target)) => source > target,
        _ => true,
    }
}

/// The time of the file that an object came from, or else when it was written, to the second, as its head says.
async fn file_time(side: &Side, found: &Found) -> Result<Option<Timestamp>, TransferError> {
    if side.folder().is_some() {
        return Ok(found.modified);
    }
    let head = head(side, found).await?;
    let kept = head.metadata.iter().find(|(name, _)| name == MTIME);
    let kept = kept.and_then(|(_, text)| Timestamp::try_from(mtime_of(text)?).ok());
    Ok(kept.or(head.last_modified).or(found.modified))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(size: u64, at: &str, etag: Option<&str>) -> Found {
        let (name, etag) = ("a".to_owned(), etag.map(str::to_owned));
        Found { name, size, modified: Some(at.parse().unwrap()), etag, path: None }
    }

    #[test]
    fn what_lists_tell() {
        const EARLY: &str = "2026-01-01T00:00:00.1Z";
        const LATE: &str = "2026-01-01T00:00:00.2Z";
        let file = |size, at| found(size, at, None);
        let object = |size, at| found(size, at, Some("t"));
        use Comparison::{Checksum, Modified, Mtime, Size};
        for (comparison, source, target, glance) in [
            (Modified, file(1, EARLY), object(1, LATE), Glance::Same),
            (Modified, file(1, EARLY), object(1, EARLY), Glance::Same),
            (Modified, file(1, LATE), object(1, EARLY), Glance::Look),
            (Modified, file(2, EARLY), object(1, LATE), Glance::Differs(Why::Size)),
            (Modified, object(1, LATE), object(1, EARLY), Glance::Same),
            (Modified, object(1, EARLY), found(1, LATE, Some("other")), Glance::Look),
            (Modified, file(0, LATE), object(0, EARLY), Glance::Same),
            (Checksum, file(1, EARLY), object(1, LATE), Glance::Look),
            (Checksum, object(1, EARLY), object(1, LATE), Glance::Same),
            (Mtime, file(0, EARLY), object(0, EARLY), Glance::Look),
            (Size, file(1, LATE), object(1, EARLY), Glance::Same),
        ] {
            assert_eq!(comparison.glance(&source, &target), glance, "{comparison:?} {source:?} {target:?}");
        }
    }
}
