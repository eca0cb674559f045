//! The folder that a download never leaves.
//!
//! A symbolic link on the way could lead anywhere, so none is written through; and a link that is made points
//! only into the folder: it first goes up, as far as the folder itself at most, and then down.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::error::TransferError;
use super::file_slice::blocking;

/// Refuses a path with a symbolic link among the folders between the root and the file.
pub(crate) async fn no_links_below(root: &Path, file: &Path) -> Result<(), TransferError> {
    let (root, file) = (root.to_owned(), file.to_owned());
    blocking(move || look_for_links(root, &file)).await?
}

/// The same, on a thread that may block.
pub(crate) fn look_for_links(root: PathBuf, file: &Path) -> Result<(), TransferError> {
    let between = file.parent().and_then(|folder| folder.strip_prefix(&root).ok().map(Path::to_owned));
    let mut path = root;
    for name in between.unwrap_or_default().components() {
        path.push(name);
        if std::fs::symlink_metadata(&path).is_ok_and(|there| there.is_symlink()) {
            return Err(TransferError::Link(path));
        }
    }
    Ok(())
}

/// Makes a folder, and those above it.
pub(crate) async fn make_folder(root: &Path, folder: &Path) -> Result<(), TransferError> {
    no_links_below(root, &folder.join("x")).await?;
    let path = folder.to_owned();
    let made = blocking(move || std::fs::create_dir_all(path)).await?;
    made.map_err(|source| TransferError::File { action: "make", path: folder.to_owned(), source })
}

/// Makes a symbolic link in place of what is there, if it stays inside the root.
pub(crate) async fn make_link(root: &Path, link: &Path, target: String) -> Result<(), TransferError> {
    no_links_below(root, link).await?;
    let depth = link.strip_prefix(root).map_or(0, |below| below.components().count().saturating_sub(1));
    if !stays_inside(Path::new(&target), depth) {
        return Err(TransferError::Outside { link: link.to_owned(), target });
    }
    let path = link.to_owned();
    let made = blocking(move || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if std::fs::symlink_metadata(&path).is_ok_and(|there| !there.is_dir()) {
            std::fs::remove_file(&path)?;
        }
        symlink(&target, &path)
    });
    let failed = |source| TransferError::File { action: "make the link", path: link.to_owned(), source };
    made.await?.map_err(failed)
}

/// Removes folders that are empty now, and those above them, up to the root, which stays.
pub(crate) fn remove_emptied(root: &Path, folders: BTreeSet<PathBuf>) {
    for folder in folders.into_iter().rev() {
        let mut at = folder.as_path();
        while at != root && at.starts_with(root) && std::fs::remove_dir(at).is_ok() {
            let Some(above) = at.parent() else { break };
            at = above;
        }
    }
}

/// Relative, first up by `depth` folders at most, then only down.
fn stays_inside(target: &Path, depth: usize) -> bool {
    let (mut up, mut down) = (0, false);
    for component in target.components() {
        match component {
            Component::ParentDir if !down => up += 1,
            Component::Normal(_) => down = true,
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    up <= depth && (up > 0 || down)
}

#[cfg(unix)]
fn symlink(target: &str, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &str, link: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_point_inside() {
        for (target, depth) in [("a", 0), ("a/b", 0), ("../a", 1), ("./../../x", 2), ("..", 1)] {
            assert!(stays_inside(Path::new(target), depth), "{target}");
        }
        for (target, depth) in [("/etc", 5), ("..", 0), ("../../x", 1), ("a/../..", 9), ("", 3)] {
            assert!(!stays_inside(Path::new(target), depth), "{target}");
        }
    }
}
