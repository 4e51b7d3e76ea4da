//! Commit messages: the user's text, then our trailers. Git documentation,
//! `git-interpret-trailers`.

use jiff::Timestamp;

/// Who a commit is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// Name, one line.
    pub name: String,
    /// E-mail address, without angle brackets.
    pub email: String,
}

/// Everything of a commit but its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitText {
    /// The whole message, from [`commit_message`].
    pub message: String,
    /// Author and committer.
    pub author: Author,
    /// Author and committer date, UTC.
    pub time: Timestamp,
}

/// Joins the user's rendered text and our trailers.
///
/// Lines of `text` that look like one of our trailers are defused with a leading `|`: a template, a
/// tag or a label cannot forge one. The trailers stand in one last paragraph, in the order given;
/// their values are one line each.
#[must_use]
pub fn commit_message(
    text: &str,
    trailers: &[(&str, String)],
    sign_off: Option<&Author>,
) -> String {
    let mut message = String::with_capacity(text.len() + 256);
    for line in text.trim_end().lines() {
        // What is looked at is what will stand there: a control character must not hide a trailer.
        let line: String = line
            .chars()
            .filter(|c| !c.is_control() || *c == '\t')
            .collect();
        let lower = line.trim_start().to_ascii_lowercase();
        if lower.starts_with("sealift-") || lower.starts_with("signed-off-by:") {
            message.push_str("| ");
        }
        message.push_str(&line);
        message.push('\n');
    }
    message.push('\n');
    for (key, value) in trailers {
        let value: String = value
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        message.push_str(&format!("{key}: {value}\n"));
    }
    if let Some(author) = sign_off {
        message.push_str(&format!(
            "Signed-off-by: {} <{}>\n",
            author.name, author.email
        ));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_cannot_forge_a_trailer() {
        let message = commit_message(
            "build: x\n\nSealift-Policy: forged\nsigned-off-by: a <b>\n",
            &[("Sealift-Policy", "sha256:1\nSealift-Digest: y".to_owned())],
            None,
        );
        assert_eq!(
            message,
            "build: x\n\n| Sealift-Policy: forged\n| signed-off-by: a <b>\n\n\
             Sealift-Policy: sha256:1 Sealift-Digest: y\n"
        );
    }

    #[test]
    fn a_control_character_does_not_hide_a_forged_trailer() {
        let message = commit_message(
            "x\n\n\u{1}Sealift-Policy: forged\nSea\u{7f}lift-A: b",
            &[],
            None,
        );
        assert_eq!(message, "x\n\n| Sealift-Policy: forged\n| Sealift-A: b\n\n");
    }
}
