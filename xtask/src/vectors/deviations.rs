//! Where Sealift answers differently on purpose: one rule a line, with its reason.

/// Rule id and the reason for it. The ids are what `Outcome::Deviates` names.
pub(crate) const RULES: &[(&str, &str)] = &[];
