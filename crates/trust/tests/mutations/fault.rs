//! A row of the table: one change, the forms that it can be made to, and the reason expected for
//! it.

use sealift_core::evidence::Form;
use sealift_core::reason::Reason;
use sealift_testkit::signer::{Draft, Sigstore};
use serde_json::Value;

use crate::formats::{Format, Part};
use crate::world::{Files, judged};

/// One thing that is changed.
pub(crate) enum Change {
    /// Something before it is signed.
    Made(fn(Draft<'_>) -> Draft<'_>),
    /// The evidence itself.
    Found(fn(&Form) -> Form),
    /// The evidence, by a part of the same signer's for another image.
    Mixed(fn(&Form, &Form) -> Form),
    /// The trust root that it is judged by.
    Root(fn(&mut Value)),
    /// The key file that it is judged by.
    KeyFile(fn(&mut String)),
}

/// A row.
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) part: Part,
    change: Change,
    reason: Reason,
    /// Forms in which another reason is the right one.
    others: Vec<(&'static str, Reason)>,
    /// Forms in which the change is none.
    skipped: Vec<&'static str>,
}

impl Fault {
    pub(crate) fn new(part: Part, name: &'static str, reason: Reason, change: Change) -> Self {
        Self {
            name,
            part,
            change,
            reason,
            others: Vec::new(),
            skipped: Vec::new(),
        }
    }

    pub(crate) fn made(
        part: Part,
        name: &'static str,
        reason: Reason,
        change: fn(Draft<'_>) -> Draft<'_>,
    ) -> Self {
        Self::new(part, name, reason, Change::Made(change))
    }

    pub(crate) fn found(
        part: Part,
        name: &'static str,
        reason: Reason,
        change: fn(&Form) -> Form,
    ) -> Self {
        Self::new(part, name, reason, Change::Found(change))
    }

    pub(crate) fn mixed(
        part: Part,
        name: &'static str,
        reason: Reason,
        change: fn(&Form, &Form) -> Form,
    ) -> Self {
        Self::new(part, name, reason, Change::Mixed(change))
    }

    pub(crate) fn root(
        part: Part,
        name: &'static str,
        reason: Reason,
        change: fn(&mut Value),
    ) -> Self {
        Self::new(part, name, reason, Change::Root(change))
    }

    /// In these forms the reason is another one.
    pub(crate) fn but(mut self, reason: Reason, formats: &[&'static str]) -> Self {
        self.others
            .extend(formats.iter().map(|format| (*format, reason)));
        self
    }

    /// In these forms there is nothing to change.
    pub(crate) fn not_in(mut self, formats: &[&'static str]) -> Self {
        self.skipped.extend(formats);
        self
    }

    pub(crate) fn applies(&self, format: &Format) -> bool {
        format.parts.contains(&self.part) && !self.skipped.contains(&format.name)
    }

    /// Names of forms that the row speaks of.
    pub(crate) fn speaks_of(&self) -> impl Iterator<Item = &'static str> {
        let others = self.others.iter().map(|(format, _)| *format);
        others.chain(self.skipped.iter().copied())
    }

    fn expected(&self, format: &Format) -> Reason {
        let other = self.others.iter().find(|(name, _)| *name == format.name);
        other.map_or(self.reason, |(_, reason)| *reason)
    }

    /// What is wrong with how the form is judged with this fault; `None`: nothing.
    pub(crate) fn problem(&self, format: &Format, sigstore: &Sigstore) -> Option<String> {
        let draft = format.draft(sigstore);
        let mut files = files(sigstore, format);
        let form = match &self.change {
            Change::Made(change) => change(draft).form(),
            Change::Found(change) => change(&draft.form()),
            Change::Mixed(change) => change(&draft.form(), &format.elsewhere(sigstore).form()),
            Change::Root(change) => {
                change(&mut files.root);
                draft.form()
            }
            Change::KeyFile(change) => {
                change(&mut files.key);
                draft.form()
            }
        };
        let expected = self.expected(format);
        let found = judged(&form, &format.authority, &files, format.attests);
        let said = match found {
            Some((reason, _)) if reason == expected => return None,
            Some((reason, detail)) => format!("refused with {reason}: {detail}"),
            None => "ADMITTED".to_owned(),
        };
        let (form, fault) = (format.name, self.name);
        Some(format!("{form} | {fault} | {expected} expected, {said}"))
    }
}

/// What the form is judged by.
pub(crate) fn files(sigstore: &Sigstore, format: &Format) -> Files {
    Files {
        root: sigstore.trusted_root(),
        key: format.key.pem(),
    }
}
