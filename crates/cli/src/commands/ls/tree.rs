//! A list as a tree: each folder once, its content indented below it. Keys come in order, so what is in a folder comes
//! together, and nothing but the folders that are open has to be remembered.

use wigeon_client::s3::Listed;

use super::super::objects::human;
use super::super::objects::lines::Lines;
use crate::errors::Failure;

pub(super) struct Tree {
    open: Vec<String>,
    depth: usize,
    in_bytes: bool,
}

impl Tree {
    /// Nothing shown yet; folders deeper than `depth` levels are not opened.
    pub(super) fn new(depth: Option<usize>, in_bytes: bool) -> Self {
        Self { open: Vec::new(), depth: depth.unwrap_or(usize::MAX), in_bytes }
    }

    /// Shows the folders that an object is in and that are not open, and the object.
    pub(super) fn item(
        &mut self,
        item: &impl Listed,
        root: usize,
        lines: &mut Lines<'_>,
    ) -> Result<(), Failure> {
        let below = item.key().get(root..).unwrap_or_default();
        let mut folders: Vec<&str> = below.split('/').collect();
        let name = folders.pop().unwrap_or_default();
        let same = self.open.iter().zip(&folders).take_while(|(open, folder)| open == folder).count();
        self.open.truncate(same);
        for folder in folders.iter().skip(same) {
            if self.open.len() < self.depth {
                let line = format!("{}{}/", "  ".repeat(self.open.len()), human::name(folder));
                lines.text(&line, b"\n")?;
            }
            self.open.push((*folder).to_owned());
        }
        // The empty object that stands for its folder has no name in it.
        if name.is_empty() || folders.len() >= self.depth {
            return Ok(());
        }
        let size = if self.in_bytes { item.size().to_string() } else { human::size(item.size()) };
        let line = format!("{}{}  {size}", "  ".repeat(folders.len()), human::name(name));
        lines.text(&line, b"\n")
    }
}
