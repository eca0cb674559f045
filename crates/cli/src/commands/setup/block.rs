//! Blocks of ours in files of others.
//!
//! Enters: a file's text, and a block. Leaves: the text with the block, replaced or removed. Refused: a block that
//! was changed by hand (its mark has a digest of what we wrote), and a section of the same name that is not ours.
//! Nothing outside the block is touched.

use aws_lc_rs::digest::{SHA256, digest};

/// Something of ours for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// Tells our blocks in one file apart.
    pub(super) name: String,
    /// What begins a comment in this kind of file.
    pub(super) comment: &'static str,
    /// Whole lines.
    pub(super) body: String,
    /// Headers (`[profile lab]`) that must not be in the rest of the file.
    pub(super) sections: Vec<String>,
}

/// Why a file is left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// Ours, and then somebody's.
    #[error("the block `wigeon {0}` was changed by hand")]
    Edited(String),
    /// Not ours.
    #[error("`{0}` is there already, and Wigeon did not write it")]
    Taken(String),
}

/// A block that was found, and is as we wrote it: the text before it, and behind it.
struct Found<'a> {
    before: &'a str,
    after: &'a str,
}

impl Block {
    /// The text with the block: in its old place, or at the end.
    pub(super) fn put_into(&self, text: &str) -> Result<String, Refused> {
        let found = self.find(text)?;
        let (before, after) = found.as_ref().map_or((text, ""), |found| (found.before, found.after));
        let others: Vec<String> = before.lines().chain(after.lines()).map(normal).collect();
        if let Some(taken) = self.sections.iter().find(|section| others.contains(&normal(section))) {
            return Err(Refused::Taken(taken.clone()));
        }
        let mut new = before.to_owned();
        if found.is_none() && !new.is_empty() {
            if !new.ends_with('\n') {
                new.push('\n');
            }
            new.push('\n');
        }
        new.push_str(&self.rendered());
        new.push_str(after);
        Ok(new)
    }

    /// The text without the block; `None` where it is not in there.
    pub(super) fn take_out_of(&self, text: &str) -> Result<Option<String>, Refused> {
        let Some(found) = self.find(text)? else { return Ok(None) };
        // The blank line that came with it goes with it.
        let before = if found.before.ends_with("\n\n") {
            found.before.strip_suffix('\n').unwrap_or(found.before)
        } else {
            found.before
        };
        Ok(Some(format!("{before}{}", found.after)))
    }

    /// Whether the text has the block as it is here.
    #[cfg(test)]
    fn is_in(&self, text: &str) -> bool {
        self.find(text).is_ok_and(|found| found.is_some()) && text.contains(&self.rendered())
    }

    fn rendered(&self) -> String {
        format!("{} {}] >>>\n{}{}\n", self.start(), mark(&self.body), self.body, self.end())
    }

    fn start(&self) -> String {
        format!("{} >>> wigeon {} [", self.comment, self.name)
    }

    fn end(&self) -> String {
        format!("{} <<< wigeon {} <<<", self.comment, self.name)
    }

    fn find<'a>(&self, text: &'a str) -> Result<Option<Found<'a>>, Refused> {
        let (start, end) = (self.start(), self.end());
        let mut at = 0;
        let mut begun: Option<(usize, usize, &str)> = None;
        for line in text.split_inclusive('\n') {
            let next = at + line.len();
            match begun {
                None if line.starts_with(&start) => {
                    let given = line
                        .trim_end()
                        .strip_prefix(&start)
                        .and_then(|rest| rest.trim().strip_suffix("] >>>"));
                    begun = Some((at, next, given.unwrap_or_default()));
                }
                Some((from, body_from, given)) if line.trim_end() == end => {
                    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
                    if mark(part(body_from..at)) != given {
                        return Err(Refused::Edited(self.name.clone()));
                    }
                    return Ok(Some(Found { before: part(0..from), after: part(next..text.len()) }));
                }
                _ => {}
            }
            at = next;
        }
        // A beginning without an end is somebody's edit, too.
        if begun.is_some() { Err(Refused::Edited(self.name.clone())) } else { Ok(None) }
    }
}

/// A short digest: it tells our text from an edited one, and keeps nobody from anything.
pub(super) fn mark(body: &str) -> String {
    digest(&SHA256, body.as_bytes()).as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// `[ profile  "lab" ]` is `[profile lab]`.
fn normal(line: &str) -> String {
    let bare = line.replace(['"', '\''], "").replace('[', "[ ").replace(']', " ]");
    bare.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What changes from one text to the other, as `diff -u` writes it.
pub(super) fn diff(file: &str, old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let (before, after): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let same = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let rest = before.len().min(after.len()) - same;
    let tail = before.iter().rev().zip(after.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(3);
    let shown = tail.min(3);
    let lines = |of: &[&str], end: usize, sign: char| -> String {
        of.iter().take(end).skip(same).map(|line| format!("{sign}{line}\n")).collect()
    };
    let context = |of: &[&str], from: usize, to: usize| -> String {
        of.iter().take(to).skip(from).map(|line| format!(" {line}\n")).collect()
    };
    let (gone, come) = (before.len() - tail, after.len() - tail);
    let start = |count: usize| if count == 0 { from } else { from + 1 };
    let (old_count, new_count) = (gone + shown - from, come + shown - from);
    format!(
        "--- {file}\n+++ {file}\n@@ -{},{old_count} +{},{new_count} @@\n{}{}{}{}",
        start(old_count),
        start(new_count),
        context(&before, from, same),
        lines(&before, gone, '-'),
        lines(&after, come, '+'),
        context(&after, come, come + shown),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(body: &str) -> Block {
        Block {
            name: "lab".to_owned(),
            comment: "#",
            body: body.to_owned(),
            sections: vec!["[profile lab]".to_owned()],
        }
    }

    const BODY: &str = "[profile lab]\nregion = x\n";

    #[test]
    fn put_replaced_and_taken_out() {
        let theirs = "[default]\nregion = y\n";
        let with = block(BODY).put_into(theirs).unwrap();
        assert_eq!(
            with,
            format!("{theirs}\n# >>> wigeon lab [ {}] >>>\n{BODY}# <<< wigeon lab <<<\n", mark(BODY))
        );
        assert!(block(BODY).is_in(&with));
        assert_eq!(block(BODY).put_into(&with).unwrap(), with, "the same again changes nothing");
        let replaced = block("[profile lab]\nregion = z\n").put_into(&format!("{with}# theirs\n")).unwrap();
        assert!(replaced.contains("region = z") && !replaced.contains("region = x"));
        assert!(replaced.ends_with("# theirs\n"));
        assert_eq!(block(BODY).take_out_of(&with).unwrap().as_deref(), Some(theirs));
        assert_eq!(block(BODY).take_out_of(theirs), Ok(None));
    }

    #[test]
    fn what_others_wrote_is_left_alone() {
        for theirs in ["[profile lab]\n", "[ profile lab ]\nx = y\n", "[profile \"lab\"]\n"] {
            assert_eq!(
                block(BODY).put_into(theirs),
                Err(Refused::Taken("[profile lab]".to_owned())),
                "{theirs}"
            );
        }
        let with = block(BODY).put_into("").unwrap();
        let edited = with.replace("region = x", "region = mine");
        assert_eq!(block(BODY).put_into(&edited), Err(Refused::Edited("lab".to_owned())));
        assert_eq!(block(BODY).take_out_of(&edited), Err(Refused::Edited("lab".to_owned())));
        let torn = with.replace("# <<< wigeon lab <<<\n", "");
        assert_eq!(block(BODY).put_into(&torn), Err(Refused::Edited("lab".to_owned())));
    }

    #[test]
    fn blocks_of_two_profiles_stand_side_by_side() {
        let other = Block { name: "lab2".to_owned(), sections: vec![], ..block("[profile lab2]\n") };
        let both = other.put_into(&block(BODY).put_into("").unwrap()).unwrap();
        assert!(block(BODY).is_in(&both) && other.is_in(&both));
        let one = block(BODY).take_out_of(&both).unwrap().unwrap();
        assert!(other.is_in(&one) && !block(BODY).is_in(&one));
    }

    #[test]
    fn differences_as_diff_writes_them() {
        assert_eq!(diff("f", "a\n", "a\n"), "");
        assert_eq!(diff("f", "", "x\n"), "--- f\n+++ f\n@@ -0,0 +1,1 @@\n+x\n");
        assert_eq!(
            diff("f", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nnew\n6\n7\n8\n9\n"),
            "--- f\n+++ f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+new\n 6\n 7\n 8\n"
        );
    }

    proptest! {
        #[test]
        fn taking_out_undoes_putting_in(theirs in "([a-z #>\\[\\]=]{0,12}\n){0,6}") {
            let with = block(BODY).put_into(&theirs).unwrap();
            prop_assert_eq!(block(BODY).take_out_of(&with).unwrap(), Some(theirs));
        }
    }
}
