//! Where Sealift answers differently on purpose: one rule a line, with its reason.

/// Rule id and the reason for it. The ids are what `Outcome::Deviates` names.
pub(crate) const RULES: &[(&str, &str)] = &[
    (
        "a-left-out-host-stays-out",
        "a host that the file keeps under another key is not written into the name",
    ),
    (
        "a-map-is-no-value",
        "a key that holds a map is refused instead of being skipped in silence",
    ),
    (
        "a-tag-is-a-string",
        "a tag never becomes a number, so `1.30` does not turn into `1.3`",
    ),
    (
        "any-yaml-can-be-edited",
        "a blank line in a block scalar does not make a kustomization unwritable",
    ),
    (
        "branch-cut-between-characters",
        "a branch name that is too long is cut between characters, not inside one",
    ),
    (
        "bundles-are-whole",
        "an envelope without `verificationMaterial` is no Sigstore bundle, and is not read as one",
    ),
    (
        "canonical-images",
        "spellings of one image (`nginx`, `docker.io/library/nginx`) are found as one",
    ),
    (
        "challenge-lists",
        "A `WWW-Authenticate` line is a list: every challenge on it counts (RFC 9110).",
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
        "default-is-a-namespace",
        "an Argo CD namespace called `default` is compared like any other",
    ),
    (
        "docker-config-by-host",
        "an entry of a docker configuration serves its own host and paths, and Docker Hub by each of its names",
    ),
    (
        "endpoint-by-segments",
        "A registry entry serves what its prefix names by whole path segments, the longest first.",
    ),
    (
        "entries-keep-order-and-identity",
        "aliases are entries of their own, and entries stay in their order",
    ),
    (
        "entries-match-in-every-spelling",
        "kustomize entries match by `newName` and canonical name, too",
    ),
    (
        "equal-values-are-not-written",
        "a value that is there already, in whatever quotes, is no change",
    ),
    (
        "equal-writes-are-one-edit",
        "two images that write one key the same value make one edit",
    ),
    (
        "every-key-counts",
        "every key of a PEM file is tried, not the first alone",
    ),
    (
        "further-documents-are-kept",
        "documents after the first stay in the file",
    ),
    (
        "git-servers-checked",
        "servers are checked with `git:secret:`, too, unless the Secret itself says `insecure`",
    ),
    (
        "hub-name-written-short",
        "`nginx` and `docker.io/library/nginx` are one image, served by one entry.",
    ),
    (
        "keywords-are-exact",
        "`kustomization.yaml` and `helmvalues.yaml` are file names, not keywords",
    ),
    (
        "names-are-trimmed",
        "blanks around a parameter name are never part of it",
    ),
    (
        "nested-keys-go-first",
        "nested keys win over a literal dotted key, however they are quoted",
    ),
    (
        "no-ping",
        "A challenge is learned from the first request; nothing is asked twice.",
    ),
    (
        "nothing-is-an-empty-map",
        "a null value or a file of comments can be written below",
    ),
    (
        "nothing-to-write",
        "without an image to write the file stays as it is",
    ),
    (
        "other-keys-are-kept",
        "keys that are not ours stay in an override file",
    ),
    (
        "paths-stay-inside",
        "a target outside the repository is refused",
    ),
    (
        "pin-is-no-tag",
        "a digest behind the newest tag is a pin, and is not replaced by the bare tag",
    ),
    (
        "push-without-force",
        "nothing is pushed by force; a branch that moved is an answer",
    ),
    (
        "registries-are-compared",
        "one registry's image does not replace another's unless a name says so",
    ),
    (
        "repeated-keys-are-refused",
        "a key that stands twice is ambiguous",
    ),
    (
        "repository-url-strict",
        "a URL of a kind that is not supported has no owner and no name, whatever stands in its path",
    ),
    (
        "shared-anchors-are-refused",
        "a value that other keys share is not edited behind their back",
    ),
    (
        "strings-stay-on-one-line",
        "line feeds in a new string are escaped",
    ),
    (
        "the-result-is-yaml",
        "an edit that would break the file is not made",
    ),
    (
        "unreadable-files-are-refused",
        "an override file that cannot be read is not replaced",
    ),
    (
        "unsafe-words-are-quoted",
        "strings that some YAML reader takes for something else are quoted",
    ),
    (
        "verification-outlives-annotations",
        "`imagesVerification` of the spec holds for references with annotations, too",
    ),
    (
        "what-runs-is-a-hint",
        "an image is written where Git names it, running or not",
    ),
];
