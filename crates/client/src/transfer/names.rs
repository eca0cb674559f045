//! From keys to file names, and back, for every key that S3 allows.
//!
//! A key's segments become folders and a file. What cannot be a name here is escaped with `‛` (U+201B), so that
//! nothing leaves the target folder or means another file there, and the way back gives the same key:
//!
//! | in the key | as a file name |
//! |---|---|
//! | an empty segment | `‛-` |
//! | the segments `.` and `..` | `‛.` and `‛..` |
//! | a byte that no name may hold (NUL; on Windows also `\ : * ? " < > \|` and controls) | `‛` and two hexadecimal digits |
//! | `‛` itself | `‛‛` |
//! | a segment beyond 255 bytes | folders whose names end in `‛`, then the rest |
//! | the folder `a` of `a/b`, where `a` is an object, too | `a‛d` |
//!
//! A file whose name only looks escaped, and is nothing that this would have written, keeps its name as its key.

use std::path::{Component, Path, PathBuf};

const ESCAPE: char = '‛';
/// Of a file system's names, in bytes.
const LONGEST_NAME: usize = 255;
/// A folder that has the name of a file beside it.
const BESIDE_A_FILE: char = 'd';
/// What its name ends in.
pub(crate) const BESIDE: &str = "‛d";

/// Why a file has no place among keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameRefused {
    /// A key without any name.
    #[error("the key is empty")]
    Empty,
    /// Keys are UTF-8.
    #[error("the file name `{0}` is not UTF-8, and keys are")]
    NotUtf8(String),
}

/// The path of a key below a folder; `relative` is the key without the prefix that the folder stands for.
///
/// # Errors
/// [`NameRefused::Empty`] where there is no name at all.
pub fn local_path(folder: &Path, relative: &str) -> Result<PathBuf, NameRefused> {
    Placer::new(folder).place(relative)
}

/// Gives places to keys that come in their order, also to a key that is the folder of others.
#[derive(Debug, Clone)]
pub struct Placer {
    folder: PathBuf,
    /// The objects that the last key begins with, itself included.
    objects: Vec<String>,
}

impl Placer {
    /// Below a folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), objects: Vec::new() }
    }

    /// The path of an object.
    ///
    /// # Errors
    /// [`NameRefused::Empty`] where there is no name at all.
    pub fn place(&mut self, relative: &str) -> Result<PathBuf, NameRefused> {
        let path = self.path(relative)?;
        self.objects.push(relative.to_owned());
        Ok(path)
    }

    /// The path of the folder that an empty object with a `/` at its end stands for.
    ///
    /// # Errors
    /// Never for a name that is not empty.
    pub fn place_folder(&mut self, relative: &str) -> Result<PathBuf, NameRefused> {
        let path = self.path(&format!("{}/-", relative.trim_end_matches('/')))?;
        Ok(path.parent().map_or(path.clone(), Path::to_owned))
    }

    fn path(&mut self, relative: &str) -> Result<PathBuf, NameRefused> {
        if relative.is_empty() {
            return Err(NameRefused::Empty);
        }
        self.objects.retain(|object| relative.starts_with(object.as_str()));
        let mut path = self.folder.clone();
        let (mut end, mut segments) = (0, relative.split('/').peekable());
        while let Some(segment) = segments.next() {
            end += segment.len();
            let is_folder = segments.peek().is_some();
            let mut name = escaped(segment);
            if is_folder && self.objects.iter().any(|object| object.len() == end) {
                name.push_str(BESIDE);
            }
            push_pieces(&mut path, &name);
            end += 1;
        }
        Ok(path)
    }
}

/// The key of a file below a folder: its names joined by `/`.
///
/// # Errors
/// [`NameRefused::NotUtf8`].
pub fn relative_key(folder: &Path, file: &Path) -> Result<String, NameRefused> {
    let below = file.strip_prefix(folder).unwrap_or(file);
    let mut names = Vec::new();
    for component in below.components() {
        if let Component::Normal(name) = component {
            let name = name.to_str();
            names.push(name.ok_or_else(|| NameRefused::NotUtf8(file.to_string_lossy().into_owned()))?);
        }
    }
    Ok(unescaped(&names).unwrap_or_else(|| names.join("/")))
}

fn escaped(segment: &str) -> String {
    match segment {
        "" => return format!("{ESCAPE}-"),
        "." | ".." => return format!("{ESCAPE}{segment}"),
        _ => {}
    }
    let mut name = String::with_capacity(segment.len());
    for c in segment.chars() {
        if c == ESCAPE {
            name.push(ESCAPE);
            name.push(ESCAPE);
        } else if cannot_stand(c) {
            name.push_str(&format!("{ESCAPE}{:02x}", u32::from(c)));
        } else {
            name.push(c);
        }
    }
    // Windows drops these at the end of a name.
    if cfg!(windows) && name.ends_with(['.', ' ']) {
        let last = name.pop().map_or(0, u32::from);
        name.push_str(&format!("{ESCAPE}{last:02x}"));
    }
    name
}

fn cannot_stand(c: char) -> bool {
    c == '\0' || (cfg!(windows) && (c < ' ' || "\\:*?\"<>|".contains(c)))
}

/// A name that is too long becomes folders, each ending in the escape, and the rest.
fn push_pieces(path: &mut PathBuf, name: &str) {
    let mut left = name;
    while left.len() > LONGEST_NAME {
        let mut at = left.floor_char_boundary(LONGEST_NAME - ESCAPE.len_utf8());
        // Not between an escape and what belongs to it.
        while escape_is_open(left.get(..at).unwrap_or_default()) {
            at = left.floor_char_boundary(at.saturating_sub(1));
        }
        let (head, tail) = left.split_at(at);
        path.push(format!("{head}{ESCAPE}"));
        left = tail;
    }
    path.push(left);
}

/// Whether a text ends in the middle of an escape.
fn escape_is_open(text: &str) -> bool {
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != ESCAPE {
            continue;
        }
        match characters.next() {
            None => return true,
            Some('0'..='7') => {
                if characters.next().is_none() {
                    return true;
                }
            }
            Some(_) => {}
        }
    }
    false
}

/// The key of escaped names; `None` where these are none that we would have written.
fn unescaped(names: &[&str]) -> Option<String> {
    if !names.iter().any(|name| name.contains(ESCAPE)) {
        return None;
    }
    let mut segments: Vec<String> = Vec::new();
    let (mut whole, mut objects) = (String::new(), Vec::new());
    for name in names {
        whole.push_str(name);
        if escape_is_open(name) {
            whole.pop();
            continue;
        }
        let (segment, is_beside) = unescape(&std::mem::take(&mut whole))?;
        segments.push(segment);
        if is_beside {
            objects.push(segments.join("/"));
        }
    }
    let key = segments.join("/");
    let written = Placer { folder: PathBuf::new(), objects }.path(&key).ok();
    let given: PathBuf = names.iter().collect();
    (whole.is_empty() && written == Some(given)).then_some(key)
}

fn unescape(name: &str) -> Option<(String, bool)> {
    let (mut segment, mut characters) = (String::new(), name.chars());
    while let Some(c) = characters.next() {
        if c != ESCAPE {
            segment.push(c);
            continue;
        }
        match characters.next()? {
            ESCAPE => segment.push(ESCAPE),
            '.' if segment.is_empty() => segment.push('.'),
            // An empty segment, and nothing after it but what says that it is a folder.
            '-' if segment.is_empty() => {}
            BESIDE_A_FILE if characters.as_str().is_empty() => return Some((segment, true)),
            first => {
                let code = first.to_digit(16)? * 16 + characters.next()?.to_digit(16)?;
                segment.push(char::from_u32(code)?);
            }
        }
    }
    Some((segment, false))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(path: &Path) -> Vec<&str> {
        path.components().filter_map(|part| part.as_os_str().to_str()).collect()
    }

    #[test]
    fn nothing_leaves_the_folder() {
        let folder = Path::new("/target");
        assert_eq!(local_path(folder, "a/b c/ü").unwrap(), Path::new("/target/a/b c/ü"));
        for (key, path) in [
            ("/etc/passwd", "‛-/etc/passwd"),
            ("../x", "‛../x"),
            ("a/../../x", "a/‛../‛../x"),
            ("a//b", "a/‛-/b"),
            ("a/", "a/‛-"),
            (".", "‛."),
            ("a\0b", "a‛00b"),
            ("‛-", "‛‛-"),
            ("-rf", "-rf"),
            (".hidden", ".hidden"),
        ] {
            assert_eq!(local_path(folder, key).unwrap(), folder.join(path), "{key}");
            assert_eq!(relative_key(folder, &folder.join(path)).unwrap(), key);
        }
        assert_eq!(local_path(folder, ""), Err(NameRefused::Empty));
    }

    #[test]
    fn an_object_beside_its_folder() {
        let mut placer = Placer::new(Path::new("t"));
        let mut place = |key: &str| placer.place(key).unwrap().to_str().unwrap().to_owned();
        assert_eq!(place("a"), "t/a");
        assert_eq!(place("a-x"), "t/a-x");
        assert_eq!(place("a/b"), "t/a‛d/b");
        assert_eq!(place("a/b/c"), "t/a‛d/b‛d/c");
        assert_eq!(place("a0/b"), "t/a0/b");
        assert_eq!(relative_key(Path::new("t"), Path::new("t/a‛d/b‛d/c")).unwrap(), "a/b/c");
        let mut placer = Placer::new(Path::new("t"));
        placer.place("a").unwrap();
        assert_eq!(placer.place_folder("a/").unwrap(), Path::new("t/a‛d"));
        assert_eq!(placer.place_folder("b/").unwrap(), Path::new("t/b"));
    }

    #[test]
    fn long_names_are_split() {
        let key = format!("x/{}/z", "é‛".repeat(200));
        let path = local_path(Path::new("t"), &key).unwrap();
        assert!(names(&path).iter().all(|name| name.len() <= LONGEST_NAME));
        assert_eq!(relative_key(Path::new("t"), &path).unwrap(), key);
    }

    #[test]
    fn names_that_only_look_escaped_stay() {
        for name in ["‛x", "‛", "a‛", "‛zz", "‛61"] {
            assert_eq!(relative_key(Path::new("t"), &Path::new("t").join(name)).unwrap(), name);
        }
    }

    proptest! {
        #[test]
        fn a_path_stays_below_and_leads_back(key in "\\PC{0,40}|[a./\\\\~‛0d-]{0,12}|[é‛a/]{200,600}") {
            let folder = Path::new("/target");
            if let Ok(path) = local_path(folder, &key) {
                prop_assert!(path.starts_with(folder) && path != folder);
                prop_assert!(path.components().all(|part| part != Component::ParentDir));
                prop_assert!(names(&path).iter().all(|name| name.len() <= LONGEST_NAME && !name.is_empty()));
                prop_assert_eq!(relative_key(folder, &path).unwrap(), key);
            }
        }

        /// Different keys have different places, and each leads back.
        #[test]
        fn places_are_different(keys in prop::collection::btree_set("[ab./‛-]{1,6}", 1..20)) {
            let mut placer = Placer::new(Path::new("t"));
            let mut places = std::collections::BTreeSet::new();
            for key in &keys {
                let path = placer.place(key).unwrap();
                prop_assert_eq!(&relative_key(Path::new("t"), &path).unwrap(), key);
                prop_assert!(places.insert(path));
            }
            // No file stands where another needs a folder.
            for path in &places {
                prop_assert!(path.ancestors().skip(1).all(|above| !places.contains(above)));
            }
        }
    }
}
