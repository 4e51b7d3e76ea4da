//! What a chart does with a value besides pulling the image by it.
//!
//! A tag with its digest (`1.2.3@sha256:…`) is a good reference and no label value: Kubernetes
//! takes letters, digits, `-`, `_` and `.`, 63 at most (Kubernetes, "Labels and Selectors", "Syntax
//! and character set"). A chart that makes a label of the tag stops rendering when the digest is in
//! it.

/// The first line of a template that makes a label of the value at `route` (`image.tag`), from 1.
///
/// A label is told by its key: a prefix with `/` (`app.kubernetes.io/version`) or a name that ends
/// in `version`. What the template does in other ways is not seen.
#[must_use]
pub fn label_line(template: &str, route: &str) -> Option<usize> {
    let value = format!(".Values.{route}");
    let makes_label = |line: &str| {
        let Some((key, rest)) = line.split_once(':') else {
            return false;
        };
        let key = key
            .trim()
            .trim_start_matches("- ")
            .trim_matches(['"', '\'']);
        let is_label = key.contains('/') || key.to_ascii_lowercase().ends_with("version");
        is_label && !key.contains("{{") && mentions(rest, &value)
    };
    let at = template.lines().position(makes_label)?;
    Some(at + 1)
}

/// Whether a template may use the value at `route`: the last part of the route is a word of it, or
/// it takes values whole (`toYaml .Values`, `tpl`).
#[must_use]
pub fn uses(template: &str, route: &str) -> bool {
    let last = route.rsplit(['.', '/']).next().unwrap_or(route);
    let last = last.split('[').next().unwrap_or(last);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let word = template.match_indices(last).any(|(at, found)| {
        let before = template.get(..at).and_then(|text| text.chars().next_back());
        let after = template.get(at + found.len()..);
        let after = after.and_then(|text| text.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    });
    word || last.is_empty() || template.contains("toYaml .Values") || template.contains("tpl ")
}

/// Whether `text` names exactly this value, and no longer one (`.Values.image.tagSuffix`).
fn mentions(text: &str, value: &str) -> bool {
    text.match_indices(value).any(|(at, _)| {
        let rest = text.get(at + value.len()..).unwrap_or_default();
        !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_made_of_the_tag_are_found() {
        for line in [
            "app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}",
            "    version: \"{{ .Values.image.tag }}\"",
            "  tags.datadoghq.com/version: {{.Values.image.tag}}",
            "\"appVersion\": {{ .Values.image.tag }}",
        ] {
            let template = format!("metadata:\n  labels:\n{line}\n");
            assert_eq!(label_line(&template, "image.tag"), Some(3), "{line}");
        }
    }

    #[test]
    fn a_key_is_used_where_its_last_part_is_a_word_or_values_are_taken_whole() {
        for template in [
            "image: \"{{ .Values.image.repository }}@{{ .Values.image.digest }}\"",
            "{{- with .Values.image }}{{ .digest }}{{ end }}",
            "{{ index .Values \"image\" \"digest\" }}",
            "{{ toYaml .Values.image }}",
            "{{ tpl .Values.reference . }}",
        ] {
            assert!(uses(template, "image.digest"), "{template}");
        }
        for template in [
            "image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"",
            "{{ .Values.image.digestAlgorithm }}",
            "",
        ] {
            assert!(!uses(template, "image.digest"), "{template}");
        }
    }

    #[test]
    fn images_other_values_and_plain_keys_are_no_labels() {
        for line in [
            "image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"",
            "app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}",
            "app.kubernetes.io/version: {{ .Values.image.tagSuffix }}",
            "version: {{ .Values.other.tag }}",
            "{{- define \"x.image\" -}}",
            "tag: {{ .Values.image.tag }}",
        ] {
            assert_eq!(label_line(line, "image.tag"), None, "{line}");
        }
    }
}
