//! What a server's answer to a push means. Pure.
//!
//! git-push(1), "OUTPUT": with `--porcelain` one line a reference, `flag TAB from:to TAB summary
//! (reason)`. What forges say is in their own words; the words looked for are listed with where
//! they come from.

/// Why a reference was not updated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The reference is not what was expected.
    Moved,
    /// A rule of the branch.
    Protected(String),
    /// Another refusal of the server.
    Refused(String),
    /// The server did not get so far as to say anything of the reference.
    NoReport,
}

/// `None`: the reference was updated, or was there already.
pub(crate) fn classify(success: bool, report: &str, said: &str) -> Option<Rejection> {
    let line = report.lines().find(|line| line.contains(":refs/heads/"));
    let Some(line) = line else {
        return Some(Rejection::NoReport);
    };
    let accepted = !line.starts_with('!');
    if accepted && success {
        return None;
    }
    // The server's sentences stand on the error channel as `remote: …`, the rule in the report's
    // brackets.
    let message = format!(
        "{}\n{}",
        line.trim_start_matches('!').trim(),
        remote_lines(said)
    );
    if accepted || line.contains("[remote failure]") {
        return Some(Rejection::NoReport);
    }
    // No branch of the remote is known here any more, so the program wanted to send the base, whose
    // blobs are not here.
    if said.contains("eof before pack header") {
        return Some(Rejection::Moved);
    }
    Some(judged(message))
}

/// What a refusal means, from the protocol's reason and what hooks and the forge said.
pub(crate) fn judge(why: &str, said: &str) -> Rejection {
    judged(format!("{why}\n{said}").trim().to_owned())
}

fn judged(message: String) -> Rejection {
    let lower = message.to_ascii_lowercase();
    let any = |texts: &[&str]| texts.iter().any(|text| lower.contains(text));
    if any(PROTECTED) {
        Rejection::Protected(message)
    } else if any(MOVED) {
        Rejection::Moved
    } else {
        Rejection::Refused(message)
    }
}

/// The lines that the server wrote, without the mark that Git puts before them and without
/// advertisements.
fn remote_lines(said: &str) -> String {
    let lines = said.lines().filter_map(|line| line.strip_prefix("remote:"));
    let lines: Vec<&str> = lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("\n")
}

/// Git, remote.c and builtin/receive-pack.c.
const MOVED: &[&str] = &[
    "(stale info)",
    "(fetch first)",
    "(non-fast-forward)",
    "(needs force)",
    "(already exists)",
    "cannot lock ref",
    "failed to update ref",
    "reference already exists",
    "incorrect old value provided",
    "fetch first",
];

/// GitHub (GH006, GH013 and rulesets), GitLab, Gitea and Forgejo, Bitbucket, Azure DevOps, Gerrit.
const PROTECTED: &[&str] = &[
    "protected branch",
    "gh006",
    "gh013",
    "repository rule violations",
    "you are not allowed to push code to protected",
    "branch is protected",
    "not allowed to push to protected",
    "branch restriction",
    "only be modified through pull requests",
    "tf402455",
    "pushes to this branch are not permitted",
    "protected by branch policies",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(summary: &str, said: &str) -> Rejection {
        let report = format!("To https://h/r\n!\t0a:refs/heads/main\t{summary}\n");
        classify(false, &report, said).unwrap()
    }

    #[test]
    fn every_way_of_having_moved_is_moved() {
        for summary in [
            "[rejected] (stale info)",
            "[rejected] (fetch first)",
            "[rejected] (non-fast-forward)",
            "[remote rejected] (cannot lock ref 'refs/heads/main': is at 0b but expected 0c)",
            "[remote rejected] (failed to update ref)",
            "[remote rejected] (reference already exists)",
            "[remote rejected] (incorrect old value provided)",
        ] {
            assert_eq!(rejected(summary, ""), Rejection::Moved, "{summary}");
        }
    }

    #[test]
    fn protected_branches_of_every_forge_are_recognised() {
        for said in [
            "remote: error: GH006: Protected branch update failed for refs/heads/main.",
            "remote: error: GH013: Repository rule violations found for refs/heads/main.",
            "remote: GitLab: You are not allowed to push code to protected branches on this project.",
            "remote: Gitea: Not allowed to push to protected branch main",
            "remote: Branch refs/heads/main can only be modified through pull requests.",
            "remote: TF402455: Pushes to this branch are not permitted; you must use a pull request.",
        ] {
            let verdict = rejected("[remote rejected] (pre-receive hook declined)", said);
            assert!(
                matches!(verdict, Rejection::Protected(_)),
                "{said}: {verdict:?}"
            );
        }
        let azure = "[remote rejected] (TF402455: Pushes to this branch are not permitted)";
        assert!(matches!(rejected(azure, ""), Rejection::Protected(_)));
    }

    #[test]
    fn other_refusals_keep_what_the_server_said() {
        let said = "remote: secrets found in values.yaml\nTo https://h/r";
        let Rejection::Refused(message) =
            rejected("[remote rejected] (pre-receive hook declined)", said)
        else {
            panic!("not a refusal");
        };
        assert!(message.contains("secrets found") && !message.contains("https://h/r"));
    }

    #[test]
    fn no_word_of_the_reference_is_no_report_and_success_is_none() {
        assert_eq!(
            classify(false, "", "fatal: the remote end hung up"),
            Some(Rejection::NoReport)
        );
        let remote_failure = "[remote failure] (remote failed to report status)";
        assert_eq!(rejected(remote_failure, ""), Rejection::NoReport);
        let fine = "To x\n \t0a:refs/heads/main\t0b..0a\nDone\n";
        assert_eq!(classify(true, fine, ""), None);
    }
}
