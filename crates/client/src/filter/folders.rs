//! Which folders a pattern for files can match in: a pattern for each folder on the way.
//!
//! `a/b/*.txt` needs `a/b/` and `a/`. A slash or two stars inside braces, and regular expressions, are not looked
//! into: then any folder may be one.

const ANY: &str = "/**";

/// The patterns of the folders that must be entered to find what `pattern` matches; each ends in `/`, but for
/// [`ANY`].
pub(super) fn of(pattern: &str) -> Vec<String> {
    if is_opaque(pattern) {
        return vec![ANY.to_owned()];
    }
    let mut rest = squeezed(pattern);
    let mut folders: Vec<String> = Vec::new();
    loop {
        let (slash, stars) = (rest.rfind('/'), rest.rfind("**"));
        // Two stars hold slashes, so the folder may lie anywhere in them.
        let (cut, kept) = match (slash, stars) {
            (None, None) => break,
            (Some(slash), None) => (slash, ""),
            (None, Some(stars)) => (stars, "**"),
            (Some(slash), Some(stars)) if stars > slash => (stars, "**"),
            (Some(slash), Some(_)) => (slash, ""),
        };
        rest.truncate(cut);
        let folder = format!("{rest}{kept}/");
        if folders.last() != Some(&folder) {
            folders.push(folder);
        }
    }
    if folders.is_empty() { vec![ANY.to_owned()] } else { folders }
}

/// Whether braces hide where its folders end.
fn is_opaque(pattern: &str) -> bool {
    if pattern.contains("{{") || pattern.contains("}}") {
        return true;
    }
    let mut inside: Option<String> = None;
    for letter in pattern.chars() {
        match (letter, &mut inside) {
            ('{', Some(_)) => return true,
            ('{', None) => inside = Some(String::new()),
            ('}', Some(text)) => {
                if text.contains('/') || text.contains("**") {
                    return true;
                }
                inside = None;
            }
            (other, Some(text)) => text.push(other),
            (_, None) => {}
        }
    }
    false
}

/// One slash where there are many.
fn squeezed(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    for letter in pattern.chars() {
        if letter != '/' || !out.ends_with('/') {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_on_the_way() {
        for (pattern, folders) in [
            ("*", &["/**"][..]),
            ("*.txt", &["/**"]),
            ("/a.txt", &["/"]),
            ("a/b/*.txt", &["a/b/", "a/"]),
            ("/a//b/c", &["/a/b/", "/a/", "/"]),
            ("dir/**", &["dir/**/", "dir/"]),
            ("a**b", &["a**/"]),
            ("{a,b}/c", &["{a,b}/"]),
            ("{a/b,c}", &["/**"]),
            ("{{a}}/b", &["/**"]),
            ("{a,{b,c}}/x", &["/**"]),
        ] {
            assert_eq!(of(pattern), folders, "{pattern}");
        }
    }
}
