//! Policies of a process: which are in force, the keys and roots they name, and the judge.
//!
//! Here: reading them anew each cycle, so that a change holds at the next decision; an edit that is
//! invalid keeps the last good version. Not here: what a policy means (`sealift_core::promotion`)
//! and what evidence proves (`sealift_trust`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use sealift_core::digest::Digest;
use sealift_core::promotion::effective::Effective;
use sealift_core::promotion::scope::Subject;
use sealift_core::promotion::set::{Governance, PolicyDocument, PolicyFinding, PolicySet};
use sealift_core::promotion::spec::{FileSource, TrustRootSpec};
use sealift_core::reason::Reason;
use sealift_core::reference::Canonical;
use sealift_trust::{Judge, Materials as Lookup, Policy, TrustRoot, Unverified};

use crate::materials::{self, Materials};
use crate::objects::Objects;
use crate::objects::policies::ListedPolicy;
use crate::trust_roots::{Found, Repository, TrustRoots};

/// What outlives a cycle.
pub struct Policies {
    unverified: Unverified,
    home: String,
    judge: Judge,
    set: Mutex<PolicySet>,
    /// What was said of the documents last time; only changes are said again.
    said: Mutex<Vec<PolicyFinding>>,
    roots: Mutex<BTreeMap<Digest, Arc<TrustRoot>>>,
    repositories: TrustRoots,
}

/// The policies of one cycle, with everything that they name.
pub struct InForce {
    unverified: Unverified,
    set: PolicySet,
    materials: Materials,
    /// What Applications name themselves, by way of their ImageUpdaters.
    demanded: OnceLock<Materials>,
    roots: BTreeMap<(String, String), Root>,
    ready: Mutex<BTreeMap<Ready, Arc<Policy>>>,
}

/// The hash of what governs, and where else signatures are looked up: that differs by image under
/// one and the same policy.
type Ready = (Digest, BTreeSet<Canonical>);

/// A trust root, or why there is none.
type Root = Result<Arc<TrustRoot>, (Reason, String)>;

/// Something to record about policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// Which policy.
    pub subject: String,
    /// Why.
    pub reason: Reason,
    /// The same for people.
    pub detail: String,
}

impl Policies {
    /// No policies yet. `home` is the operator's namespace.
    #[must_use]
    pub fn new(unverified: Unverified, home: &str, repositories: TrustRoots) -> Self {
        Self {
            unverified,
            home: home.to_owned(),
            judge: Judge::default(),
            set: Mutex::new(PolicySet::new(home)),
            said: Mutex::default(),
            roots: Mutex::default(),
            repositories,
        }
    }

    /// What to do with images that no policy governs.
    #[must_use]
    pub const fn unverified(&self) -> Unverified {
        self.unverified
    }

    /// The judge, with what it has proven before.
    #[must_use]
    pub const fn judge(&self) -> &Judge {
        &self.judge
    }

    /// Reads the policies and all that they name.
    ///
    /// # Errors
    /// It is not known which policies there are: then nothing may be written.
    pub async fn read(
        &self,
        objects: &dyn Objects,
        now: Timestamp,
    ) -> anyhow::Result<(InForce, Vec<Remark>)> {
        let listed = objects.policies().await?;
        Ok(self.take(&listed, objects, now).await)
    }

    /// What the documents say, without the keys and roots that they name: for those who ask what
    /// that is. What is wrong with them comes along.
    #[must_use]
    pub fn unread(&self, listed: &[ListedPolicy], now: Timestamp) -> (InForce, Vec<Remark>) {
        let documents: Vec<PolicyDocument> = listed.iter().map(ListedPolicy::document).collect();
        let mut set = PolicySet::new(&self.home);
        let remarks = self.new_remarks(set.update(&documents, now));
        let in_force = InForce {
            unverified: self.unverified,
            set,
            materials: Materials::new(),
            demanded: OnceLock::new(),
            roots: BTreeMap::new(),
            ready: Mutex::default(),
        };
        (in_force, remarks)
    }

    /// Takes over documents that were read already.
    pub async fn take(
        &self,
        listed: &[ListedPolicy],
        objects: &dyn Objects,
        now: Timestamp,
    ) -> (InForce, Vec<Remark>) {
        let documents: Vec<PolicyDocument> = listed.iter().map(ListedPolicy::document).collect();
        let (set, findings) = {
            let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
            let findings = set.update(&documents, now);
            (set.clone(), findings)
        };
        let mut remarks = self.new_remarks(findings);
        let wanted = set
            .policies()
            .map(|one| materials::Wanted::of(one, &self.home));
        let materials = materials::gather(objects, wanted).await;
        let roots = self.roots(&set, &materials, &mut remarks, now).await;
        // Roots that nothing names any more are not kept.
        let named: Vec<&Arc<TrustRoot>> = roots.values().flatten().collect();
        let mut kept = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, root| named.iter().any(|one| Arc::ptr_eq(one, root)));
        drop(kept);
        let in_force = InForce {
            unverified: self.unverified,
            set,
            materials,
            demanded: OnceLock::new(),
            roots,
            ready: Mutex::default(),
        };
        (in_force, remarks)
    }

    /// The set as it was last read, and everything that was found about its documents then.
    #[must_use]
    pub fn standing(&self) -> (PolicySet, Vec<PolicyFinding>) {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        (set.clone(), said.clone())
    }

    fn new_remarks(&self, findings: Vec<PolicyFinding>) -> Vec<Remark> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let new = findings.iter().filter(|finding| !said.contains(finding));
        let remarks = new
            .map(|finding| Remark {
                subject: match finding.name.as_str() {
                    "" => finding.origin.clone(),
                    name => format!("{name} ({})", finding.origin),
                },
                reason: finding.reason,
                detail: finding.detail.clone(),
            })
            .collect();
        *said = findings;
        remarks
    }

    /// The root of every authority, by policy and what it says. Each repository is looked at once
    /// for all of them.
    async fn roots(
        &self,
        set: &PolicySet,
        materials: &Materials,
        remarks: &mut Vec<Remark>,
        now: Timestamp,
    ) -> BTreeMap<(String, String), Root> {
        let mut wanted = BTreeMap::new();
        for policy in set.policies() {
            let effective = &policy.effective;
            let named = effective.authorities.values();
            for spec in named.filter_map(|authority| authority.root.as_ref()) {
                let key = (effective.name.clone(), key_of(spec));
                wanted.entry(key).or_insert_with(|| {
                    let start = |source: &_| material(materials, &effective.name, source);
                    (effective, spec, Repository::of(spec, start))
                });
            }
        }
        let repositories = wanted.values().filter_map(|(_, _, repository)| {
            let repository = repository.as_ref()?.as_ref();
            repository.ok().cloned()
        });
        let (fetched, said) = self.repositories.obtain(repositories.collect(), now).await;
        remarks.extend(said);
        let mut roots = BTreeMap::new();
        for (key, (effective, spec, repository)) in wanted {
            let bytes = match repository {
                None => file_root(effective, spec, materials),
                Some(Err(problem)) => Err((Reason::TrustRootUnavailable, problem)),
                Some(Ok(repository)) => found(&fetched, &repository),
            };
            let root = bytes.and_then(|bytes| self.parsed(&effective.name, &bytes, remarks));
            roots.insert(key, root);
        }
        roots
    }

    /// A root from its bytes, read once.
    fn parsed(
        &self,
        policy: &str,
        bytes: &[u8],
        remarks: &mut Vec<Remark>,
    ) -> Result<Arc<TrustRoot>, (Reason, String)> {
        let digest = Digest::of(bytes);
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = roots.get(&digest) {
            return Ok(Arc::clone(known));
        }
        let (root, notices) = TrustRoot::parse(bytes)
            .map_err(|error| (Reason::TrustRootUnavailable, error.to_string()))?;
        remarks.extend(notices.into_iter().map(|notice| Remark {
            subject: policy.to_owned(),
            reason: notice.reason,
            detail: notice.detail,
        }));
        let root = Arc::new(root);
        roots.insert(digest, Arc::clone(&root));
        Ok(root)
    }
}

impl InForce {
    /// Reads the keys that ImageUpdaters demand signatures of, with the namespaces they are in.
    /// Once a cycle.
    pub async fn demand<'a>(
        &self,
        objects: &dyn Objects,
        demands: impl IntoIterator<Item = (&'a Effective, &'a str)>,
    ) {
        let wanted = demands
            .into_iter()
            .map(|(policy, namespace)| materials::Wanted {
                policy,
                namespace,
                folder: None,
                elsewhere: false,
            });
        let materials = materials::gather(objects, wanted).await;
        // A second call in one cycle would have nothing new to say.
        let _first = self.demanded.set(materials);
    }

    /// What governs an image of an Application: every policy whose scope it is in, and what its
    /// ImageUpdater demands.
    #[must_use]
    pub fn governing(
        &self,
        subject: &Subject<'_>,
        image: &Canonical,
        demand: Option<&Arc<Effective>>,
        now: Timestamp,
    ) -> Arc<Policy> {
        let mut governance = self.set.governing(subject, image, now);
        governance.policies.extend(demand.cloned());
        self.ready(governance)
    }

    /// Governance with keys and roots, made once for all images it is the same for.
    pub fn ready(&self, governance: Governance) -> Arc<Policy> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (governance.hash(), governance.places.clone());
        let policy = ready
            .entry(key)
            .or_insert_with(|| Arc::new(Policy::new(governance, self, self.unverified)));
        Arc::clone(policy)
    }

    /// Whether there is any policy at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// The set, for those who explain it.
    #[must_use]
    pub const fn set(&self) -> &PolicySet {
        &self.set
    }
}

impl Lookup for InForce {
    fn key(&self, policy: &str, source: &FileSource) -> Result<Arc<[u8]>, String> {
        let key = (policy.to_owned(), source.clone());
        let demanded = self.demanded.get();
        let demanded = demanded.filter(|demanded| demanded.contains_key(&key));
        material(demanded.unwrap_or(&self.materials), policy, source)
    }

    fn root(&self, policy: &str, spec: &TrustRootSpec) -> Result<Arc<TrustRoot>, (Reason, String)> {
        let key = (policy.to_owned(), key_of(spec));
        let known = self.roots.get(&key).cloned();
        known.unwrap_or_else(|| Err(not_read()))
    }
}

/// The bytes of a root that stands in a file.
fn file_root(policy: &Effective, spec: &TrustRootSpec, materials: &Materials) -> Found {
    let TrustRootSpec::File(source) = spec else {
        return Err(not_read());
    };
    let unavailable = |problem| (Reason::TrustRootUnavailable, problem);
    material(materials, &policy.name, source).map_err(unavailable)
}

fn found(fetched: &BTreeMap<String, Found>, repository: &Repository) -> Found {
    fetched
        .get(repository.key())
        .cloned()
        .unwrap_or_else(|| Err(not_read()))
}

fn not_read() -> (Reason, String) {
    (
        Reason::TrustRootUnavailable,
        "the root was not read".to_owned(),
    )
}

fn material(materials: &Materials, policy: &str, source: &FileSource) -> Result<Arc<[u8]>, String> {
    match materials.get(&(policy.to_owned(), source.clone())) {
        Some(Ok(bytes)) => Ok(Arc::clone(bytes)),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("it was not read".to_owned()),
    }
}

/// A root's place in a map.
fn key_of(spec: &TrustRootSpec) -> String {
    serde_json::to_string(spec).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sealift_core::reference::Reference;

    const MIRROR: &str = "apiVersion: sealift.dev/v1alpha1\nkind: PromotionPolicy\nmetadata: { name: p, \
        namespace: argocd }\nspec:\n  images: [{ pattern: r.example/**, as: ghcr.io/acme/** }]\n  \
        unsafeNoSignatures: { reason: a test }\n";

    #[test]
    fn each_image_has_its_own_places_under_one_policy() {
        let now = "2026-11-25T12:00:00Z".parse().unwrap();
        let mut set = PolicySet::new("argocd");
        let document = PolicyDocument {
            origin: "f".to_owned(),
            folder: None,
            object: serde_saphyr::from_str(MIRROR).map_err(|error| error.to_string()),
        };
        assert_eq!(
            set.update(&[document], now)
                .first()
                .map(|one| one.errors.len()),
            Some(0)
        );
        let in_force = InForce {
            unverified: Unverified::Refuse,
            set,
            materials: Materials::new(),
            demanded: OnceLock::new(),
            roots: BTreeMap::new(),
            ready: Mutex::default(),
        };
        let labels = BTreeMap::new();
        let subject = Subject {
            namespace: "argocd",
            name: "shop",
            labels: &labels,
        };
        for image in ["a", "b"] {
            let reference = Reference::parse(&format!("r.example/{image}"));
            let policy = in_force.governing(&subject, &reference.canonical(), None, now);
            let places: Vec<String> = policy.places().map(ToString::to_string).collect();
            assert_eq!(places, [format!("ghcr.io/acme/{image}")]);
        }
    }
}
