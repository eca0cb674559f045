use proptest::prelude::*;
use wigeon_core::time::Timestamp;

use super::*;

fn rules(rules: &[&str]) -> Filter {
    let builder = rules.iter().try_fold(FilterBuilder::default(), |builder, rule| builder.rule(rule));
    builder.and_then(FilterBuilder::build).unwrap()
}

fn admitted<'a>(filter: &Filter, paths: &[&'a str]) -> Vec<&'a str> {
    let mut cursor = filter.cursor();
    paths.iter().copied().filter(|path| cursor.admits_name(path)).collect()
}

const TREE: [&str; 8] =
    ["a.txt", "b.jpg", "dir/a.txt", "dir/sub/b.jpg", "dir0", "other/dir/c", "other/x/a.txt", "z/dir/a.txt"];

#[test]
fn the_first_rule_that_matches_decides() {
    assert_eq!(admitted(&rules(&["- *.jpg", "+ /dir/**", "- *"]), &TREE), ["dir/a.txt"]);
    assert_eq!(admitted(&rules(&["+ dir/a.txt", "- *"]), &TREE), ["dir/a.txt"]);
    assert_eq!(admitted(&rules(&["- dir/"]), &TREE), ["a.txt", "b.jpg", "dir0", "other/x/a.txt"]);
    assert_eq!(
        admitted(&rules(&["- **", "!", "- /dir/**", "- /[oz]*/**"]), &TREE),
        ["a.txt", "b.jpg", "dir0"]
    );
}

#[test]
fn inclusions_exclude_the_rest() {
    let filter = FilterBuilder::default().ignore_case(true).include("*.JPG").unwrap().build().unwrap();
    assert_eq!(admitted(&filter, &TREE), ["b.jpg", "dir/sub/b.jpg"]);
    assert_eq!(admitted(&Filter::default(), &TREE), TREE);
}

#[test]
fn lists_stand_alone() {
    let listed = || FilterBuilder::default().only_listed(["/dir/a.txt", "b.jpg", "missing/x"]);
    let filter = listed().build().unwrap();
    assert_eq!(admitted(&filter, &TREE), ["b.jpg", "dir/a.txt"]);
    let mut cursor = filter.cursor();
    assert!(cursor.enters("missing") && !cursor.enters("other") && !cursor.enters("dir/sub"));
    assert_eq!(listed().exclude("x").unwrap().build().unwrap_err(), FilterError::ListBesideRules);
    assert_eq!(listed().at_least(Size(1)).build().unwrap_err(), FilterError::ListBesideRules);
    let none = FilterBuilder::default().only_listed([]).build().unwrap();
    assert!(admitted(&none, &TREE).is_empty() && !none.is_everything());
}

#[test]
fn bounds_of_size_and_time() {
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let (since, until) = (at("2026-01-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
    let builder = || FilterBuilder::default().at_least(Size(10)).at_most(Size(20));
    let filter = builder().since(since).until(until).build().unwrap();
    for (size, modified, admitted) in [
        (10, since, true),
        (20, until, true),
        (9, since, false),
        (21, since, false),
        (10, at("2025-12-31T23:59:59Z"), false),
    ] {
        assert_eq!(filter.cursor().admits("a", size, Some(modified)), admitted, "{size} {modified}");
    }
    assert_eq!(builder().since(until).until(since).build().unwrap_err(), FilterError::Ages);
}

#[test]
fn what_is_kept_out_need_not_be_listed() {
    let filter = rules(&["- node_modules/"]);
    let mut cursor = filter.cursor();
    assert_eq!(cursor.kept_out("a/node_modules/x/y"), Some("a/node_modules/"));
    assert_eq!(cursor.kept_out("a/node_modules/z"), Some("a/node_modules/"));
    assert_eq!(cursor.kept_out("a/other/z"), None);
    assert_eq!(cursor.kept_out("node_modules"), None);
}

proptest! {
    /// A cursor that has seen other names says what a fresh one says.
    #[test]
    fn a_cursor_remembers_nothing_wrong(paths in proptest::collection::vec("[ab/]{1,8}", 1..20)) {
        let filter = rules(&["+ a/b/*", "- b/", "+ /a/**", "- b*"]);
        let mut cursor = filter.cursor();
        for path in &paths {
            prop_assert_eq!(cursor.admits_name(path), filter.cursor().admits_name(path));
            prop_assert_eq!(cursor.kept_out(path), filter.cursor().kept_out(path));
        }
    }
}
