//! The layering of the workspace, read off the sources.
//!
//! - Crates: `cli → client, server, idp → core`; never `client ↔ server`; `core` on none of ours.
//! - Modules: a parent lists its children in flow order. A module may use what stands above it in that order;
//!   never a later sibling, and never its own parent, which is there to tie its children together.
//!
//! Test modules and dev-dependencies are exempt.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [(&str, &[&str]); 6] = [
    ("core", &[]),
    ("client", &["core"]),
    ("server", &["core"]),
    ("idp", &["core"]),
    ("cli", &["core", "client", "server", "idp"]),
    ("testkit", &["core"]),
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn crates_depend_only_downwards() {
    let mut wrong = Vec::new();
    for (name, allowed) in CRATES {
        let manifest = fs::read_to_string(crates().join(name).join("Cargo.toml")).unwrap();
        let dependencies =
            manifest.split("\n[").find(|section| section.starts_with("dependencies]")).unwrap();
        for line in dependencies.lines().filter(|line| line.starts_with("wigeon-")) {
            let used = line.trim_start_matches("wigeon-").split([' ', '.', '=']).next().unwrap();
            if !allowed.contains(&used) {
                wrong.push(format!("{name} depends on {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The modules of a crate: path → children in the order of their `mod` lines.
#[derive(Default)]
struct Tree {
    children: BTreeMap<Vec<String>, Vec<String>>,
    sources: BTreeMap<Vec<String>, String>,
}

impl Tree {
    fn of(root: &Path) -> Self {
        let mut tree = Self::default();
        let folder = root.parent().unwrap().to_owned();
        tree.read(Vec::new(), root, &folder);
        tree
    }

    fn read(&mut self, module: Vec<String>, file: &Path, folder: &Path) {
        let source = without_tests(&fs::read_to_string(file).unwrap());
        let names: Vec<String> = source
            .lines()
            .filter_map(|line| {
                let line =
                    line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub(super) ")).unwrap_or(line);
                let line = line.strip_prefix("pub ").unwrap_or(line);
                Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
            })
            .collect();
        for name in &names {
            let mut child = module.clone();
            child.push(name.clone());
            let flat = folder.join(format!("{name}.rs"));
            let nested = folder.join(name).join("mod.rs");
            let file = if flat.exists() { flat } else { nested };
            self.read(child, &file, &folder.join(name));
        }
        self.children.insert(module.clone(), names);
        self.sources.insert(module, source);
    }

    /// The deepest module that a path names.
    fn resolve(&self, path: &[String]) -> Vec<String> {
        let mut module = Vec::new();
        for name in path {
            if !self.children.get(&module).is_some_and(|children| children.contains(name)) {
                break;
            }
            module.push(name.clone());
        }
        module
    }

    /// Why `from` may not use `to`, if it may not.
    fn objection(&self, from: &[String], to: &[String]) -> Option<String> {
        let common = from.iter().zip(to).take_while(|(one, other)| one == other).count();
        match (from.get(common), to.get(common)) {
            // A parent uses its children, or itself.
            (None, _) => None,
            (Some(_), None) => Some("uses its own parent".to_owned()),
            (Some(mine), Some(other)) => {
                let order = self.children.get(from.get(..common)?)?;
                let place = |name: &String| order.iter().position(|known| known == name);
                (place(other) > place(mine)).then(|| format!("`{other}` stands below `{mine}`"))
            }
        }
    }
}

/// The source up to its first test module, without comments.
fn without_tests(source: &str) -> String {
    let mut kept = String::new();
    let mut lines = source.lines().peekable();
    while let Some(line) = lines.next() {
        let next_is_module = lines.peek().is_some_and(|next| next.contains("mod "));
        if line.trim() == "#[cfg(test)]" && next_is_module {
            if lines.next().is_some_and(|line| line.ends_with(';')) {
                continue;
            }
            break;
        }
        let code = line.split("//").next().unwrap_or_default();
        kept.push_str(code);
        kept.push('\n');
    }
    kept
}

/// Every path in the source that begins with `crate::`, `super::` or `self::`, made absolute.
fn references(module: &[String], source: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices("::") {
        let head = &source[..at];
        let start = head.rfind(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
        let first = &head[start..];
        let preceded = head[..start].ends_with("::");
        if preceded || !matches!(first, "crate" | "super" | "self") {
            continue;
        }
        let text = &source[start..];
        expand(module, text, &mut found);
    }
    found
}

/// `crate::a::{b, c::d}` → `a::b`, `a::c::d`.
fn expand(module: &[String], text: &str, found: &mut Vec<Vec<String>>) {
    let mut base: Vec<String> = module.to_vec();
    let mut rest = text;
    let mut started = false;
    loop {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        match name {
            "crate" if !started => base.clear(),
            "self" if !started => {}
            "super" => {
                base.pop();
            }
            "" if after.starts_with('{') => {
                for part in split_group(after) {
                    let mut text = String::from("crate");
                    for name in &base {
                        text.push_str("::");
                        text.push_str(name);
                    }
                    if part.trim() != "self" {
                        text.push_str("::");
                        text.push_str(part.trim());
                    }
                    expand(&[], &text, found);
                }
                return;
            }
            _ => base.push(name.to_owned()),
        }
        started = true;
        match after.strip_prefix("::") {
            Some(next) => rest = next,
            None => break,
        }
    }
    found.push(base);
}

/// The parts of `{a, b::{c, d}}`.
fn split_group(text: &str) -> Vec<String> {
    let (mut depth, mut parts, mut part) = (0, Vec::new(), String::new());
    for letter in text.chars() {
        match letter {
            '{' => {
                depth += 1;
                if depth == 1 {
                    continue;
                }
            }
            '}' => depth -= 1,
            ',' if depth == 1 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        part.push(letter);
    }
    parts.push(part);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

#[test]
fn modules_import_only_from_above() {
    let mut wrong = Vec::new();
    for (name, _) in CRATES {
        let folder = crates().join(name).join("src");
        let root = ["lib.rs", "main.rs"].map(|file| folder.join(file)).into_iter().find(|file| file.exists());
        let tree = Tree::of(&root.unwrap());
        for (module, source) in &tree.sources {
            for path in references(module, source) {
                let target = tree.resolve(&path);
                if let Some(why) = tree.objection(module, &target) {
                    let line = format!("{name}: {} uses {}: {why}", module.join("::"), path.join("::"));
                    if !wrong.contains(&line) {
                        wrong.push(line);
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_reader_of_paths_reads_them() {
    let module = ["a".to_owned(), "b".to_owned()];
    let source = "use crate::x::{self, y::Z, w};\nuse super::c::D;\nlet e = self::f::G::h();\n";
    let mut found: Vec<String> = references(&module, source).iter().map(|path| path.join("::")).collect();
    found.sort();
    assert_eq!(found, ["a::b::f::G::h", "a::c::D", "x", "x::w", "x::y::Z"]);
}

#[test]
fn upward_and_parent_imports_are_found() {
    let mut tree = Tree::default();
    let name = |text: &str| text.to_owned();
    tree.children.insert(vec![], vec![name("a"), name("b")]);
    tree.children.insert(vec![name("b")], vec![name("c"), name("d")]);
    let path = |names: &[&str]| names.iter().map(|text| name(text)).collect::<Vec<_>>();
    assert_eq!(tree.objection(&path(&["b"]), &path(&["a"])), None);
    assert!(tree.objection(&path(&["a"]), &path(&["b"])).is_some());
    assert!(tree.objection(&path(&["b", "c"]), &path(&["b", "d"])).is_some());
    assert!(tree.objection(&path(&["b", "c"]), &path(&["b"])).is_some());
    assert_eq!(tree.objection(&path(&["b"]), &path(&["b", "d"])), None);
    assert_eq!(tree.objection(&path(&["b", "d"]), &path(&["b", "c"])), None);
}
