//! The local store: buckets and objects on this machine's file system, whole after any crash.
//!
//! **What enters** are typed operations ([`Store`]); **what leaves** are typed answers ([`ObjectInfo`](object::ObjectInfo),
//! [`Content`](content::Content), [`ObjectPage`](request::ObjectPage), …). The store knows nothing of HTTP, XML, policies or who asks; it refuses
//! with [`StoreError`], one variant per decision of its caller.
//!
//! # Where things are
//!
//! ```text
//! DIR/lock                      held while a process has the store open
//! DIR/index.sqlite{,-wal,-shm}  every bucket, key, attribute, part; and the content of small objects
//! DIR/incoming/ID               content files that are being written, or have just been committed
//! DIR/content/XX/ID             committed content files
//! ```
//!
//! A content file is named by a number that this store gave it. Nothing a client says becomes a path, so
//! any S3 key is storable and none can point elsewhere.
//!
//! # Why a crash tears nothing
//!
//! 1. Content is written to `incoming/ID` and synced: the file by its writer, the directory once per
//!    commit.
//! 2. One index transaction (WAL, `synchronous=FULL`) makes the object point to it. This is the moment at
//!    which a write is durable, visible and answered. Small content lies in the index itself, so that a
//!    small PUT is that one commit and nothing else.
//! 3. Afterwards, and in no hurry, the file is renamed to `content/XX/ID`.
//! 4. Whatever the transaction replaced or deleted is entered in the `garbage` table by that same
//!    transaction; the files are unlinked later, and the entries forgotten once the unlinking is on disk.
//!
//! A crash before 2 leaves an unreferenced file in `incoming/`; after 2, a referenced one there; after 4,
//! garbage entries. So opening the store looks at `incoming/` and `garbage` only: recovery costs what was in
//! flight, not what is stored. Readers look in `content/`, then in `incoming/`, and once more in `content/`.
//!
//! # One writer, many readers
//!
//! One thread owns the writing connection. It takes all mutations that are waiting, applies them in one
//! transaction (a savepoint each, so that one refusal does not touch its neighbours), commits once and
//! answers all: sixteen clients share one sync. Conditions (`If-Match`, `If-None-Match`) are evaluated there,
//! next to the write they guard. Readers use a small pool of connections on the blocking threads; WAL lets
//! them read beside the writer.
//!
//! # Content is shared, never copied
//!
//! A content is `inline` (bytes in the index), a `file`, or a `composite`: a list of slices of the other two.
//! Contents count their references, so a copy costs one commit whatever its size; completing a multipart
//! upload makes a composite of the parts' files and rewrites nothing; and a part copied from a range of
//! another object is a slice of it (unless that would keep a large file alive for a small slice).
//!
//! # Reading while it is deleted
//!
//! A reader pins the contents it was given, so that unlinking waits for it; between the look-up and the pin
//! it holds a read lock that unlinking passes through first. A missing file is therefore always corruption,
//! never a race, and a week-long download of thousands of parts holds one open file, not thousands.
//!
//! # Settings
//!
//! A bucket's configuration (policy, CORS, lifecycle, …) is one document per subject in the `setting` table, and
//! in a snapshot in memory that is renewed before whoever changed it is answered: requests read it for nothing.
//!
//! # Versions
//!
//! `object` holds the current version of each key. Older versions and delete markers are rows of `version`, so that
//! listing the objects of a versioned bucket never steps over them; see `versions` for how they change places.

pub mod etag;

pub mod checksum;

pub mod version;

pub mod error;

pub mod object_lock;

pub mod attributes;

pub mod lifecycle;

pub mod object;

pub mod conditions;

pub mod request;

mod cached;

mod places;

mod schema;

mod pins;

mod index;

mod usage;

pub mod settings;

mod keeper;

mod commit;

mod contents;

pub mod content;

pub mod staging;

mod versions;

mod locks;

mod objects;

pub mod uploads;

mod completing;

mod completed;

pub mod expire;

mod buckets;

mod listing;

mod recovery;

pub mod verify;

pub mod figures;

pub mod inspect;

pub mod repair;

pub mod store;

pub mod calls;

#[cfg(test)]
mod tests;

pub use self::error::StoreError;
pub use self::figures::Figures as StoreFigures;
pub use self::store::{Options, Store};
