//! Which application opens a kind of address (freedesktop.org, "Association between MIME types and applications").
//!
//! Enters: the text of `mimeapps.list`, a kind, an application. Leaves: the text with the application first among
//! those of `[Default Applications]`, or without it. Others that were named there stay, behind ours, so that taking
//! ours away brings theirs back. Nothing else is touched.

const SECTION: &str = "[Default Applications]";

/// The application comes first.
pub(super) fn put(text: &str, kind: &str, application: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let entry = |others: &str| format!("{kind}={application};{others}");
    match entry_at(&lines, kind) {
        Some(at) => {
            if let Some(line) = lines.get_mut(at) {
                let others = others(line, application);
                *line = entry(&others);
            }
        }
        None => match lines.iter().position(|line| line.trim() == SECTION) {
            Some(at) => lines.insert(at + 1, entry("")),
            None => {
                if !lines.is_empty() {
                    lines.push(String::new());
                }
                lines.extend([SECTION.to_owned(), entry("")]);
            }
        },
    }
    lines.join("\n") + "\n"
}

/// The application is not there; `None` where it was not.
pub(super) fn take(text: &str, kind: &str, application: &str) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = entry_at(&lines, kind)?;
    let line = lines.get_mut(at)?;
    if !applications(line).any(|found| found == application) {
        return None;
    }
    let others = others(line, application);
    if others.is_empty() {
        lines.remove(at);
    } else {
        *line = format!("{kind}={others}");
    }
    // A section of ours alone goes, too.
    let empty = |from: usize| {
        lines.iter().skip(from).take_while(|line| !line.starts_with('[')).all(|line| line.trim().is_empty())
    };
    if let Some(section) = lines.iter().position(|line| line.trim() == SECTION).filter(|at| empty(at + 1)) {
        lines.remove(section);
        while lines.last().is_some_and(|line| line.trim().is_empty()) {
            lines.pop();
        }
    }
    Some(if lines.is_empty() { String::new() } else { lines.join("\n") + "\n" })
}

fn entry_at(lines: &[String], kind: &str) -> Option<usize> {
    let section = lines.iter().position(|line| line.trim() == SECTION)?;
    let within = lines.iter().enumerate().skip(section + 1).take_while(|(_, line)| !line.starts_with('['));
    let named = |line: &str| line.split_once('=').is_some_and(|(name, _)| name.trim() == kind);
    within.into_iter().find(|(_, line)| named(line)).map(|(at, _)| at)
}

fn applications(line: &str) -> impl Iterator<Item = &str> {
    let list = line.split_once('=').map_or("", |(_, list)| list);
    list.split(';').map(str::trim).filter(|name| !name.is_empty())
}

fn others(line: &str, application: &str) -> String {
    applications(line).filter(|found| *found != application).map(|found| format!("{found};")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "x-scheme-handler/x-cyberduck-action";
    const OURS: &str = "wigeon-x-cyberduck-action.desktop";

    #[test]
    fn what_was_there_comes_back() {
        let before = [
            "",
            "[Added Associations]\ntext/plain=vim.desktop;\n",
            "[Default Applications]\ntext/html=firefox.desktop\n\n[Removed Associations]\na/b=c.desktop\n",
            "[Default Applications]\nx-scheme-handler/x-cyberduck-action=duck.desktop;\ntext/html=firefox.desktop\n",
        ];
        for text in before {
            let with = put(text, KIND, OURS);
            assert!(with.contains(&format!("{KIND}={OURS};")), "{with}");
            assert_eq!(put(&with, KIND, OURS), with, "the same again changes nothing");
            assert_eq!(take(&with, KIND, OURS).unwrap(), text);
            assert_eq!(take(text, KIND, OURS), None);
        }
        let with = put(before[3], KIND, OURS);
        assert!(with.contains(&format!("{KIND}={OURS};duck.desktop;")), "{with}");
    }
}
