//! How secrets and signatures are compared, read off the sources.
//!
//! A comparison that ends at the first difference tells, by its time, how much of a guess is right. So the types of
//! secrets and signatures either cannot be compared at all, or compare in constant time; this test holds the types to
//! that, and looks for places that compare their texts instead. `core::sigv4::canonical::Signature` says by itself, in an
//! example that must not compile, that it has no `==`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Types that hold a secret or prove the knowledge of one: where, and the function that compares them, if any.
const GUARDED: [(&str, &str, Option<&str>); 4] = [
    ("core/src/secret.rs", "Secret", Some("fn eq(")),
    ("core/src/sigv4/canonical.rs", "Signature", Some("fn matches(")),
    ("core/src/sigv4/canonical.rs", "SigningKey", None),
    ("core/src/sigv4/canonical.rs", "SigningSecret", None),
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A source without its tests, which may compare what they like.
fn source(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "tests" {
            sources(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

#[test]
fn guarded_types_compare_in_constant_time_or_not_at_all() {
    for (file, name, comparison) in GUARDED {
        let text = source(&crates().join(file));
        let declared = text.find(&format!("pub struct {name}(")).unwrap();
        let attributes = text[..declared].rsplit("\n\n").next().unwrap();
        for derived in ["PartialEq", "Eq", "PartialOrd", "Ord", "Hash"] {
            let derives = |line: &str| line.starts_with("#[derive(") && line.contains(derived);
            assert!(!attributes.lines().any(derives), "{name} derives {derived}");
        }
        let by_hand = text.matches(&format!("impl PartialEq for {name} ")).count()
            + text.matches(&format!(" for {name} {{\n    fn eq(")).count();
        match comparison {
            Some(function) => {
                let body = text.split(function).nth(1).unwrap().split("\n    }").next().unwrap();
                assert!(body.contains("constant_time::verify_slices_are_equal("), "{name}: {body}");
                assert!(!body.contains("==") && !body.contains("!="), "{name}: {body}");
            }
            None => assert_eq!(by_hand, 0, "{name} compares"),
        }
    }
}

/// The text of a secret or a signature on either side of a comparison, or a keyed hash that is made again in place of
/// being verified.
fn compares_texts(line: &str) -> bool {
    const OPERATORS: [&str; 2] = [" == ", " != "];
    const METHODS: [&str; 5] = [".eq(", ".ne(", ".cmp(", ".eq_ignore_ascii_case(", ".starts_with("];
    let code = line.split("//").next().unwrap_or_default();
    let is_text = |word: &str| {
        let shown = word.contains("expose()")
            || (word.to_lowercase().contains("signature") && word.contains("as_str()"));
        shown && !word.contains(".len()") && !word.contains("Secret::new(")
    };
    let beside = OPERATORS.iter().any(|operator| {
        code.split_once(operator).is_some_and(|(before, after)| {
            before.rsplit(' ').next().is_some_and(is_text) || after.split(' ').next().is_some_and(is_text)
        })
    });
    let remade = code.contains("hmac::sign(") && OPERATORS.iter().any(|operator| code.contains(operator));
    let called = |word: &str| is_text(word) && METHODS.iter().any(|method| word.contains(method));
    beside || remade || code.split(' ').any(called)
}

#[test]
fn no_text_of_a_secret_is_compared() {
    let mut files = Vec::new();
    for name in ["core", "client", "server", "idp", "cli"] {
        sources(&crates().join(name).join("src"), &mut files);
    }
    assert!(files.len() > 300, "{}", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let text = source(&file);
        let lines = text.lines().enumerate().filter(|(_, line)| compares_texts(line));
        wrong.extend(
            lines.map(|(number, line)| format!("{}:{}: {}", file.display(), number + 1, line.trim())),
        );
    }
    assert!(wrong.is_empty(), "compare `Secret`s, or ask `Signature::matches`: {wrong:#?}");
}

#[test]
fn what_it_looks_for_is_found() {
    for line in [
        "if key.expose() == given {",
        "if given != secret.expose().trim() {",
        "signature.as_str() == presented",
        "let fits = hmac::sign(&key, text).as_ref() == presented;",
        "presented.eq_ignore_ascii_case(expected_signature.as_str())",
    ] {
        assert!(compares_texts(line), "{line}");
    }
    for line in [
        "signature.matches(&presented)",
        "// signature.as_str() == presented",
        "Some(value) if Secret::new(value) == *token => Ok(()),",
        "header(name, signature.as_str())",
    ] {
        assert!(!compares_texts(line), "{line}");
    }
}
