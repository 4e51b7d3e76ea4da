//! Where Sealift answers differently on purpose: one rule a line, with its reason.

/// Rule id and the reason for it. The ids are what `Outcome::Deviates` names.
pub(crate) const RULES: &[(&str, &str)] = &[
    (
        "canonical-images",
        "spellings of one image (`nginx`, `docker.io/library/nginx`) are found as one",
    ),
    (
        "constraint-checked-first",
        "a constraint that cannot be read is an error even where no tag is a version",
    ),
    (
        "constraint-split-first",
        "registry and name are read as with a plain tag, whatever constraint or digest follows",
    ),
    (
        "pin-is-no-tag",
        "a digest behind the newest tag is a pin, and is not replaced by the bare tag",
    ),
];
