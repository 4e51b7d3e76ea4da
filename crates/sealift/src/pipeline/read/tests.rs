//! How many Applications are parsed for what.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use sealift_core::commit_message::DEFAULT_TEMPLATE;
use sealift_core::event::Decision;
use sealift_core::image_updater::status::ImageUpdaterStatus;
use sealift_core::manifest::{ApplicationManifest, ConfigMapManifest, SecretManifest};
use sealift_core::project::AppProject;
use sealift_core::reason::Reason;
use sealift_core::reference::Reference;
use sealift_core::settings::PEER_PREFIX;
use sealift_core::template::Template;
use sealift_git::{GitSettings, Repositories};
use sealift_trust::Unverified;
use sealift_write::Author;
use serde_json::json;

use super::*;
use crate::cli::options::{AnnotationsOption, RegistryOptions};
use crate::objects::{ListedPolicy, ListedUpdater, Objects, ObjectsError, Origin};
use crate::pipeline::{CommitSettings, Parts};
use crate::policies::Policies;
use crate::registries::Registries;
use crate::state::StateFolder;
use crate::trust_roots::TrustRoots;

type Held = BTreeMap<String, Arc<ApplicationManifest>>;

/// Applications that are watched, and how many of them were given out.
#[derive(Default)]
struct Watched {
    applications: Mutex<Held>,
    updaters: Vec<ListedUpdater>,
    given: AtomicUsize,
}

impl Watched {
    fn put(&self, name: &str, image: &str, repository: &str, more: &[(&str, &str)]) {
        let mut annotations = json!({
            format!("{PEER_PREFIX}image-list"): image,
            format!("{PEER_PREFIX}write-back-method"): "git",
            format!("{PEER_PREFIX}write-back-target"): "helmvalues:/values.yaml",
        });
        for (key, value) in more {
            annotations[*key] = json!(value);
        }
        let manifest = json!({
            "metadata": { "name": name, "namespace": "argocd", "annotations": annotations },
            "spec": { "source": { "repoURL": repository, "path": "p", "helm": {} } },
        });
        let manifest = Arc::new(ApplicationManifest::from_value(manifest).unwrap());
        let mut applications = self.applications.lock().unwrap();
        applications.insert(format!("argocd/{name}"), manifest);
    }

    fn give(&self, wanted: impl Fn(&str) -> bool) -> Applications {
        let applications = self.applications.lock().unwrap();
        let wanted = applications.iter().filter(|(id, _)| wanted(id));
        let listed = wanted.map(|(id, manifest)| Listed {
            manifest: Arc::clone(manifest),
            origin: Origin::Cluster {
                namespace: "argocd".to_owned(),
                name: id.clone(),
            },
        });
        let listed: Vec<Listed> = listed.collect();
        self.given.fetch_add(listed.len(), Ordering::Relaxed);
        Applications {
            listed,
            problems: Vec::new(),
        }
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T, ObjectsError>> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Objects for Watched {
    fn take_applications(&self) -> BoxFuture<'_, Result<Applications, ObjectsError>> {
        ready(self.give(|_| true))
    }

    fn some_applications<'a>(
        &'a self,
        names: &'a BTreeSet<String>,
    ) -> BoxFuture<'a, Result<Option<Applications>, ObjectsError>> {
        ready(Some(self.give(|id| names.contains(id))))
    }

    fn secret<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<SecretManifest>>, ObjectsError>> {
        ready(None)
    }

    fn project<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<AppProject>>, ObjectsError>> {
        ready(None)
    }

    fn config_map<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Option<Arc<ConfigMapManifest>>, ObjectsError>> {
        ready(None)
    }

    fn repository_secrets<'a>(
        &'a self,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Arc<SecretManifest>>, ObjectsError>> {
        ready(Vec::new())
    }

    fn image_updaters(&self) -> BoxFuture<'_, Result<Vec<ListedUpdater>, ObjectsError>> {
        ready(self.updaters.clone())
    }

    fn policies(&self) -> BoxFuture<'_, Result<Vec<ListedPolicy>, ObjectsError>> {
        ready(Vec::new())
    }
}

/// What else a cycle needs; nothing of it is asked here.
struct Around {
    kept: Kept,
    registries: Registries,
    git: Repositories,
    policies: Policies,
    _state: StateFolder,
    _folder: tempfile::TempDir,
}

impl Around {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&folder.path().join("state")).unwrap();
        let options = RegistryOptions {
            registries_conf_path: None,
        };
        let registries = Registries::open(&options, &state).unwrap();
        let roots = state.subfolder("roots").unwrap();
        let roots = TrustRoots::open(registries.net(), roots, &[]).unwrap();
        Self {
            kept: Kept::default(),
            git: Repositories::new(GitSettings::new(state.subfolder("git").unwrap())).unwrap(),
            policies: Policies::new(Unverified::Allow, "argocd", roots),
            registries,
            _state: state,
            _folder: folder,
        }
    }

    /// Reads as a cycle does. The ids of what is looked at, and the report.
    async fn read(
        &self,
        objects: &Arc<Watched>,
        among: Option<&BTreeSet<String>>,
        not_due: Option<&BTreeSet<String>>,
    ) -> (Vec<String>, Report) {
        let now = Timestamp::UNIX_EPOCH;
        let (in_force, _) = self.policies.take(&[], objects.as_ref(), now).await;
        let parts = Parts {
            objects: Arc::clone(objects) as Arc<dyn Objects>,
            registries: &self.registries,
            git: &self.git,
            journal: None,
            metrics: None,
            policies: &self.policies,
            in_force,
            commit: CommitSettings {
                author: Author {
                    name: "a".to_owned(),
                    email: "a@example.com".to_owned(),
                },
                sign_off: false,
                template: Arc::new(Template::parse(DEFAULT_TEMPLATE).unwrap()),
                signer: None,
                per_branch: false,
            },
            argocd_namespace: "argocd".to_owned(),
            annotations: AnnotationsOption::Always,
            dry_run: true,
            shadow: false,
            repositories_at_once: 1,
            leader: None,
            intents: None,
            only: None,
            among,
            not_due,
            kept: &self.kept,
            spread: None,
            thorough: false,
        };
        let context = Context::new(parts, Vec::new());
        let mut report = Report::default();
        let mut followed = read(&context, &mut report).await.unwrap();
        leave_out(&context, &mut followed, &mut report);
        let ids = followed.iter().map(|one| one.id.to_string()).collect();
        objects.given.store(0, Ordering::Relaxed);
        (ids, report)
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn users(around: &Around, image: &str) -> Vec<String> {
    let index = around.kept.index();
    let repository = Reference::parse(image).canonical();
    let users = index.users(&repository);
    users.map(|slot| slot.application.to_string()).collect()
}

#[tokio::test]
async fn an_edit_among_five_thousand_applications_parses_it_and_what_shares_its_file() {
    let (around, objects) = (Around::new(), Arc::new(Watched::default()));
    for number in 0..5_000 {
        // Ten of them share a Git repository, two of these a file.
        let repository = format!("https://git.example/r{}", number / 10);
        let target = format!("helmvalues:/{}/values.yaml", number / 2);
        let more = [(
            "argocd-image-updater.argoproj.io/write-back-target",
            &*target,
        )];
        let name = format!("app-{number}");
        objects.put(
            &name,
            &format!("r.example/{}", number % 500),
            &repository,
            &more,
        );
    }
    let (looked, report) = around.read(&objects, None, None).await;
    assert_eq!((looked.len(), report.parsed), (5_000, 5_000));
    assert_eq!(users(&around, "r.example/42").len(), 10);

    let more = [(
        "argocd-image-updater.argoproj.io/write-back-target",
        "helmvalues:/2/values.yaml",
    )];
    objects.put("app-4", "r.example/new", "https://git.example/r0", &more);
    let edited = set(&["argocd/app-4"]);
    let (looked, report) = around.read(&objects, Some(&edited), None).await;
    assert_eq!(looked, ["argocd/app-4", "argocd/app-5"]);
    assert_eq!(report.parsed, 2);
    assert_eq!(users(&around, "r.example/new"), ["argocd/app-4"]);
    assert!(!users(&around, "r.example/4").contains(&"argocd/app-4".to_owned()));

    // One that is gone is looked for, and not found.
    objects.applications.lock().unwrap().remove("argocd/app-4");
    let (looked, report) = around.read(&objects, Some(&edited), None).await;
    assert_eq!((looked.len(), report.parsed), (0, 0));
    assert!(users(&around, "r.example/new").is_empty());
    assert_eq!(around.kept.index().len(), 4_999);
}

/// Why nobody is looked at alone while a whole cycle is to come (`schedule`): an edit of an
/// ImageUpdater moves Applications to other files, and none of them is named.
#[tokio::test]
async fn a_neighbour_that_came_unnamed_is_known_from_the_next_whole_cycle_on() {
    let (around, objects) = (Around::new(), Arc::new(Watched::default()));
    let elsewhere = [(
        "argocd-image-updater.argoproj.io/write-back-target",
        "helmvalues:/elsewhere.yaml",
    )];
    let git = "https://git.example/r";
    objects.put("a", "nginx", git, &elsewhere);
    objects.put("b", "nginx", git, &[]);
    around.read(&objects, None, None).await;
    objects.put("a", "nginx", git, &[]);
    let edited = set(&["argocd/b"]);
    let (looked, _) = around.read(&objects, Some(&edited), None).await;
    assert_eq!(looked, ["argocd/b"]);
    around.read(&objects, None, None).await;
    let (looked, _) = around.read(&objects, Some(&edited), None).await;
    assert_eq!(looked, ["argocd/a", "argocd/b"]);
}

#[tokio::test]
async fn what_is_not_due_is_counted_and_not_looked_at_unless_it_shares_a_file_with_what_is() {
    let (around, objects) = (Around::new(), Arc::new(Watched::default()));
    let hourly = [("sealift.dev/interval", "1h")];
    objects.put("alone", "nginx,redis", "https://git.example/alone", &hourly);
    objects.put("beside", "nginx", "https://git.example/shared", &hourly);
    objects.put("often", "nginx", "https://git.example/shared", &[]);
    let later = set(&["argocd/alone", "argocd/beside"]);
    let (looked, mut report) = around.read(&objects, None, Some(&later)).await;
    assert_eq!(looked, ["argocd/beside", "argocd/often"]);
    report.count();
    let cycle = &report.cycle;
    assert_eq!(
        (cycle.applications, cycle.considered, cycle.skipped),
        (1, 2, 2)
    );
    let paced = |id: &str| report.paced.get(id).map(|one| one.looked);
    assert_eq!(paced("argocd/alone"), Some(false));
    assert_eq!(paced("argocd/beside"), Some(true));
    assert_eq!(paced("argocd/often"), None);
}

#[tokio::test]
async fn the_last_answers_about_what_is_not_due_stand_in_the_status_and_are_no_new_updates() {
    let around = Around::new();
    let object = json!({
        "apiVersion": "argocd-image-updater.argoproj.io/v1alpha1", "kind": "ImageUpdater",
        "metadata": { "name": "all", "namespace": "argocd", "uid": "1",
                      "annotations": { "sealift.dev/interval": "1h" } },
        "spec": { "applicationRefs": [{ "namePattern": "*", "useAnnotations": true }] },
    });
    let updater = ListedUpdater {
        origin: Origin::Cluster {
            namespace: "argocd".to_owned(),
            name: "all".to_owned(),
        },
        namespace: Some("argocd".to_owned()),
        object: Some(Arc::new(object)),
    };
    let objects = Arc::new(Watched {
        updaters: vec![updater],
        ..Watched::default()
    });
    objects.put("shop", "nginx", "https://git.example/shop", &[]);
    let now = Timestamp::UNIX_EPOCH;
    let status = |report: &Report| {
        let [updater] = report.image_updaters.as_slice() else {
            panic!("one object")
        };
        updater.status_after(ImageUpdaterStatus::default(), now)
    };
    let (_, mut report) = around.read(&objects, None, None).await;
    let rules = objects.give(|_| true).listed;
    let context = application::Context {
        argocd_namespace: "argocd".to_owned(),
        own_platform: crate::platform::own(),
    };
    let parsed = sealift_core::application::parse_annotated(&rules[0].manifest, &context).unwrap();
    let mut shop = parsed.application.unwrap();
    shop.interval = Some(std::time::Duration::from_secs(3_600));
    shop.origin = sealift_core::application::SettingsOrigin::AnnotationsBy(
        report.image_updaters[0].image_updater.clone(),
    );
    let mut item = Item::new(Arc::new(shop), 0, now);
    item.set_candidate("1.9.0", None);
    item.decide(Decision::Updated, Reason::Newest, "it won");
    report.note_image(&item, &item.considered(), &around.kept);
    let first = status(&report);
    assert_eq!((first.images_managed, first.recent_updates.len()), (1, 1));

    item.decide(
        Decision::Failed,
        Reason::GitUnreachable,
        "an image that failed",
    );
    report.note_image(&item, &item.considered(), &around.kept);
    let found = report.image_updaters[0].found();
    assert_eq!((found.errors(), found.new_errors()), (1, 1));

    let later = set(&["argocd/shop"]);
    for _ in 0..2 {
        let (looked, report) = around.read(&objects, None, Some(&later)).await;
        assert_eq!(looked.len(), 0);
        let status = status(&report);
        assert_eq!((status.applications_matched, status.images_managed), (1, 2));
        let decisions: Vec<&str> = status.images.iter().map(|one| &*one.decision).collect();
        assert_eq!(decisions, ["failed", "updated"]);
        let found = report.image_updaters[0].found();
        assert_eq!((found.errors(), found.new_errors()), (1, 0));
        assert_eq!(status.recent_updates, []);
    }
    // Looked at again: the answer before counts no more.
    let (_, report) = around.read(&objects, None, None).await;
    assert_eq!(status(&report).images_managed, 0);
}

/// With `--interval 0` there is a whole cycle at the start and no other.
#[tokio::test]
async fn what_was_decided_about_what_is_gone_is_not_kept() {
    let (around, objects) = (Around::new(), Arc::new(Watched::default()));
    let hourly = [("sealift.dev/interval", "1h")];
    for name in ["a", "b"] {
        objects.put(
            name,
            "nginx",
            &format!("https://git.example/{name}"),
            &hourly,
        );
    }
    around.read(&objects, None, None).await;
    let ids = ["argocd/a", "argocd/b"];
    for id in ids {
        let mut outcomes = around.kept.outcomes();
        outcomes.insert(id.to_owned(), Vec::new());
    }
    objects.applications.lock().unwrap().remove("argocd/a");
    around.read(&objects, Some(&set(&["argocd/a"])), None).await;
    let kept: Vec<String> = around.kept.outcomes().keys().cloned().collect();
    assert_eq!(kept, ["argocd/b"], "and what was not asked after");
}
