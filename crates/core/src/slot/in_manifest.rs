//! The source of an Application in its own manifest, where that stands in Git: the lists that an
//! override file holds at its root stand there in `spec.source`.

use super::error::SlotProblem;
use super::key_path::{lookup, owned, wrong_kind};
use super::source::Which;
use crate::yaml::{Kind, NodeId, Tree};

/// Which source of which Application. Between the reading of objects and of the branch somebody may
/// have edited the file, so position alone does not say that it is the same source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSource {
    /// Namespace of the Application.
    pub namespace: String,
    /// Whether that is Argo CD's own, where documents are that name none.
    pub is_home: bool,
    /// Name of the Application.
    pub name: String,
    /// Which of its sources.
    pub which: Which,
    /// `repoURL` of the source.
    pub repository: String,
    /// `path` of the source.
    pub path: String,
    /// `chart` of the source.
    pub chart: String,
}

impl ManifestSource {
    /// What keys of this source begin with: one file may hold several Applications.
    pub(super) fn prefix(&self) -> String {
        let path = self.which.path().replace('/', ".");
        format!("{}/{} {path}.", self.namespace, self.name)
    }

    /// The map of the source.
    pub(super) fn root(&self, tree: &Tree) -> Result<NodeId, SlotProblem> {
        let roots = (0..tree.documents()).filter_map(|document| tree.root(document));
        let mut found = roots.filter(|root| self.is_ours(tree, *root));
        let missing = || SlotProblem::NoApplication {
            application: format!("{}/{}", self.namespace, self.name),
        };
        let mut at = found.next().ok_or_else(missing)?;
        if let Some(second) = found.next() {
            return Err(SlotProblem::Repeated {
                key: format!("Application {}", self.name),
                line: tree.node(second).line,
            });
        }
        let path = self.which.path();
        for key in path.split('/') {
            let at_key = owned(tree, at, key)?;
            let child = match &tree.node(at_key).kind {
                Kind::Map(_) => lookup(tree, at_key, key, key)?,
                Kind::List(_) => {
                    let index = key.parse().ok();
                    index.and_then(|index: usize| tree.items(at_key).get(index).copied())
                }
                _ => None,
            };
            at = child.ok_or_else(missing)?;
        }
        let at = owned(tree, at, &path)?;
        match tree.node(at).kind {
            Kind::Map(_) if self.is_chosen(tree, at) => Ok(at),
            Kind::Map(_) => Err(missing()),
            _ => Err(wrong_kind(tree, at, &path, "a map")),
        }
    }

    fn is_ours(&self, tree: &Tree, root: NodeId) -> bool {
        let text = |map: Option<NodeId>, key: &str| {
            let value = map.and_then(|map| tree.value(map, key));
            value.and_then(|value| tree.scalar(value))
        };
        let metadata = tree.value(root, "metadata");
        let namespace = text(metadata, "namespace").filter(|text| !text.is_empty());
        text(Some(root), "kind") == Some("Application")
            && text(Some(root), "apiVersion").is_some_and(|text| text.starts_with("argoproj.io/"))
            && text(metadata, "name") == Some(&self.name)
            && namespace.map_or(self.is_home, |namespace| namespace == self.namespace)
    }

    /// Whether the source at `map` is the one that was chosen: it holds the same.
    fn is_chosen(&self, tree: &Tree, map: NodeId) -> bool {
        // What a merge key brings along is not resolved here.
        let merged = tree.value(map, "<<").is_some();
        let is = |key: &str, expected: &str| {
            let Some(value) = tree.value(map, key) else {
                return merged || expected.is_empty();
            };
            let value = match tree.node(value).kind {
                Kind::Alias(target) => target,
                _ => value,
            };
            match tree.is_null(value) {
                true => expected.is_empty(),
                false => tree.scalar(value) == Some(expected),
            }
        };
        is("repoURL", &self.repository) && is("path", &self.path) && is("chart", &self.chart)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Format, HelmNames, Place, SlotImage, SlotProblem, SourceImages, find, render,
    };
    use super::*;
    use crate::path::RepoPath;
    use crate::reference::Reference;

    const FILE: &str = "\
# two Applications
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: shop   # ours
spec:
  source:
    repoURL: https://git.example/r
    helm:
      parameters:
      - name: image.tag   # the tag
        value: '1.8.2'
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: shop, namespace: other}
spec:
  sources:
  - repoURL: https://git.example/a
  - repoURL: https://git.example/b
    kustomize:
      images:
      - nginx:1.8.2
";

    fn at(namespace: &str, which: Which) -> ManifestSource {
        let repository = match which {
            Which::Listed(0) => "https://git.example/a",
            Which::Listed(_) => "https://git.example/b",
            Which::Only | Which::Dry => "https://git.example/r",
        };
        ManifestSource {
            namespace: namespace.to_owned(),
            is_home: namespace == "argocd",
            name: "shop".to_owned(),
            which,
            repository: repository.to_owned(),
            path: String::new(),
            chart: String::new(),
        }
    }

    /// The keys, what is wanted now, and the file after `new`.
    fn written(
        source: &ManifestSource,
        format: Format,
        new: &str,
    ) -> Result<(Vec<String>, Option<String>, String), SlotProblem> {
        let path = RepoPath::join("", "apps/shop.yaml").unwrap();
        let image = SlotImage {
            image: Reference::parse("nginx"),
            helm: HelmNames {
                tag: Some("image.tag".to_owned()),
                ..HelmNames::default()
            },
            ..SlotImage::default()
        };
        let said = SourceImages::default();
        let place = Place {
            path: &path,
            format,
            image: &image,
            source: &said,
            manifest: Some(source),
        };
        let slot = find(&place, Some(FILE.as_bytes())).map_err(|error| error.problem)?;
        let rendered = render(&place, Some(FILE.as_bytes()), &Reference::parse(new));
        let bytes = rendered.map_err(|error| error.problem)?.bytes;
        let current = slot.current.map(|current| current.image.to_string());
        Ok((slot.key.routes, current, String::from_utf8(bytes).unwrap()))
    }

    #[test]
    fn a_parameter_of_the_one_application_is_replaced_and_a_missing_one_added() {
        let source = at("argocd", Which::Only);
        let (routes, current, file) =
            written(&source, Format::HelmOverride, "nginx:1.9.0").unwrap();
        assert_eq!(current.as_deref(), Some("nginx:1.8.2"));
        assert_eq!(
            routes,
            [
                "argocd/shop spec.source.helm.parameters[image.name]",
                "argocd/shop spec.source.helm.parameters[image.tag]",
            ]
        );
        let expected = FILE.replace(
            "      - name: image.tag   # the tag\n        value: '1.8.2'\n",
            "      - name: 'image.name'\n        value: 'nginx'\n        forceString: true\n      \
             - name: image.tag   # the tag\n        value: '1.9.0'\n        forceString: true\n",
        );
        assert_eq!(file, expected);
    }

    #[test]
    fn kustomize_images_of_one_of_several_sources_of_another_namespace_are_replaced() {
        let source = at("other", Which::Listed(1));
        let format = Format::KustomizeOverride;
        let (_, current, file) = written(&source, format, "nginx:1.9.0").unwrap();
        assert_eq!(current.as_deref(), Some("nginx:1.8.2"));
        assert_eq!(file, FILE.replace("- nginx:1.8.2", "- nginx:1.9.0"));
    }

    #[test]
    fn an_application_that_is_not_there_twice_or_of_another_shape_is_refused() {
        let format = Format::HelmOverride;
        let refused = |source: &ManifestSource| written(source, format, "nginx:1").unwrap_err();
        for source in [
            at("argocd", Which::Dry),
            at("argocd", Which::Listed(0)),
            at("other", Which::Listed(2)),
            ManifestSource {
                name: "absent".to_owned(),
                ..at("argocd", Which::Only)
            },
        ] {
            assert!(
                matches!(refused(&source), SlotProblem::NoApplication { .. }),
                "{source:?}"
            );
        }
    }

    fn root(source: &ManifestSource, file: &str) -> Result<usize, SlotProblem> {
        let tree = Tree::parse(file.as_bytes()).unwrap();
        let root = source.root(&tree)?;
        Ok(tree.node(root).line)
    }

    #[test]
    fn a_document_that_names_no_namespace_is_in_argo_cds_own_and_in_no_other() {
        let source = at("team", Which::Only);
        let refused = root(&source, FILE).unwrap_err();
        assert!(matches!(refused, SlotProblem::NoApplication { .. }));
        let both = FILE.replace(
            "{name: shop, namespace: other}",
            "{name: shop, namespace: argocd}",
        );
        let refused = root(&at("argocd", Which::Only), &both).unwrap_err();
        assert!(matches!(refused, SlotProblem::Repeated { .. }));
        let own = FILE.replace("name: shop   # ours", "name: shop\n  namespace: team");
        assert!(root(&source, &own).is_ok());
        let unset = FILE.replace("name: shop   # ours", "name: shop\n  namespace: ''");
        assert!(root(&at("argocd", Which::Only), &unset).is_ok());
        assert!(root(&source, &unset).is_err());
    }

    #[test]
    fn a_source_that_changed_place_is_not_written() {
        let source = at("other", Which::Listed(1));
        assert!(root(&source, FILE).is_ok());
        let swapped = FILE
            .replace("example/a", "example/x")
            .replace("example/b", "example/a")
            .replace("example/x", "example/b");
        let gone = FILE.replace("git.example/b", "git.example/b\n    path: p");
        let anew = FILE.replace("git.example/b", "git.example/b\n    chart: c");
        let silent = FILE.replace("repoURL: https://git.example/b", "ref: b");
        for file in [swapped, gone, anew, silent] {
            let refused = root(&source, &file).unwrap_err();
            assert!(
                matches!(refused, SlotProblem::NoApplication { .. }),
                "{file}"
            );
        }
        // The same in other words.
        let same = "repoURL: \"https://git.example/b\"\n    path: ~\n    chart: ''";
        let same = FILE.replace("repoURL: https://git.example/b", same);
        assert!(root(&source, &same).is_ok());
        let aliased = FILE
            .replace(
                "kind: Application\n",
                "kind: Application\nx: &url https://git.example/b\n",
            )
            .replace("- repoURL: https://git.example/b", "- repoURL: *url");
        assert!(root(&source, &aliased).is_ok());
    }
}
