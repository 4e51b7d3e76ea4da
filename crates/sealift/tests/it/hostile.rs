//! A hostile registry behind a policy: whatever it answers, Git gets what was proven or stays as it
//! is, and no run hangs.

use std::fs;

use sealift_testkit::git::BareRepository;
use sealift_testkit::registry::attached::bundle;
use sealift_testkit::registry::image::{Artifact, Blob, ImageSpec, image};
use sealift_testkit::registry::scripted::{Fault, ScriptedRegistry};
use sealift_testkit::signed;
use serde_json::{Value, json};

use crate::trust::{AUTHORITY, BY_WORKFLOW, DEMANDED, IMAGE};
use crate::world::{App, Ran, World, values};

/// Signed by the workflow, with its referrers listed by the API.
const SIGNED: &str = "refapi-keyless-github";
/// Signed by somebody else.
const BY_STRANGER: &str = "refapi-keyless-email";

struct Hostile {
    world: World,
    repository: BareRepository,
    server: ScriptedRegistry,
}

impl Hostile {
    /// Git wants `1.0.0`; the registry has `1.1.0`, which the workflow signed.
    async fn new() -> Self {
        let world = World::new();
        let repository =
            world.repository("gitops", &[("shop/values.yaml", &values(IMAGE, "1.0.0"))]);
        let image_list = format!("{IMAGE}:1.x");
        world.app(&App::helm("shop", &image_list, &[], &repository));
        let root = signed::folder().join(SIGNED).join("trusted_root.json");
        fs::copy(root, world.path("trusted_root.json")).unwrap();
        let policy = format!(
            "apiVersion: sealift.dev/v1alpha1\nkind: PromotionPolicy\nmetadata: {{ name: prod, \
             namespace: argocd }}\nspec:\n  images: [{{ pattern: {IMAGE} }}]\n  \
             authorities:{AUTHORITY}{DEMANDED}\n"
        );
        fs::write(world.path("policy.yaml"), policy).unwrap();
        let server = ScriptedRegistry::start().await;
        server.set_referrers(50);
        server.put("acme/shop", "1.0.0", &image(&ImageSpec::default()));
        let conf = format!(
            "registries:\n- name: test\n  prefix: registry.test\n  api_url: {}\n",
            server.url()
        );
        fs::write(world.path("registries.conf"), conf).unwrap();
        let hostile = Self {
            world,
            repository,
            server,
        };
        hostile.put("1.1.0", SIGNED);
        hostile
    }

    /// Puts the image of a layout under `tag`, with all that hangs on it.
    fn put(&self, tag: &str, layout: &str) {
        for (name, artifact) in signed::artifacts(layout) {
            match name {
                Some(_) => self.server.put("acme/shop", tag, &artifact),
                None => self.server.attach("acme/shop", &artifact),
            }
        }
    }

    fn run(&self) -> Ran {
        let policy = self.world.path("policy.yaml");
        self.world.run(&["--policy", policy.to_str().unwrap()])
    }

    fn written(&self) -> String {
        self.repository.show("main", "shop/values.yaml")
    }

    fn is_unchanged(&self) -> bool {
        self.written() == values(IMAGE, "1.0.0")
    }

    fn is_proven(&self) -> bool {
        let pinned = format!("1.1.0@{}", signed::subject(SIGNED));
        self.written() == values(IMAGE, &pinned)
    }
}

fn said(ran: &Ran) -> String {
    format!("{}\n{:#}", ran.stderr, ran.entry("shop")["reasons"])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_registry_gets_the_signed_image_written() {
    let hostile = Hostile::new().await;
    let ran = hostile.run();
    assert!(hostile.is_proven(), "{}", said(&ran));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_hide_evidence_refuse_and_choose_no_older_tag() {
    let faults = [
        ("/referrers/", Fault::Answer(401, vec![], vec![])),
        ("/referrers/", Fault::Answer(500, vec![], vec![])),
        ("/referrers/", Fault::Cut(20)),
        ("/referrers/", Fault::Close),
        ("/referrers/", Fault::Endless(8 << 20)),
        ("/referrers/", Fault::Body(b"[]".to_vec())),
        (
            "/referrers/",
            Fault::Header(
                "Link".to_owned(),
                "<https://evil.example/v2/acme/shop/referrers/x>; rel=\"next\"".to_owned(),
            ),
        ),
    ];
    for (target, fault) in faults {
        let hostile = Hostile::new().await;
        hostile.server.always(target, fault.clone());
        let ran = hostile.run();
        assert!(hostile.is_unchanged(), "{fault:?}: {}", said(&ran));
        let (decision, reason) = ran.decision("shop");
        let expected = ("refused", "evidence-incomplete");
        assert_eq!((decision, reason), expected, "{fault:?}: {}", said(&ran));
        assert_eq!(ran.code, 1, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_the_referrers_api_is_asked_for_the_tag_and_hides_nothing_by_it() {
    // Distribution-spec v1.1, "Listing Referrers": another content type is no such API, too.
    let html = Fault::Header("Content-Type".to_owned(), "text/html".to_owned());
    for fault in [Fault::Answer(404, vec![], vec![]), html] {
        let hostile = Hostile::new().await;
        hostile.server.always("/referrers/", fault);
        let ran = hostile.run();
        // Without the fallback tag the image is unsigned, and that is an answer.
        assert!(hostile.is_unchanged(), "{}", said(&ran));
        let reason = ran.decision("shop").1;
        assert_eq!(reason, "signature-missing", "{}", said(&ran));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_names_another_image_on_the_second_look_is_not_written_unproven() {
    let hostile = Hostile::new().await;
    let (unsigned, wrong) = (
        image(&ImageSpec {
            created: Some("2024-02-02T00:00:00Z".to_owned()),
            ..ImageSpec::default()
        }),
        "sha256:0000000000000000000000000000000000000000000000000000000000000000",
    );
    // The digest that the server says, over the bytes of another image.
    let answer = Fault::Answer(
        200,
        vec![
            ("Content-Type".to_owned(), unsigned.media_type.to_owned()),
            ("Docker-Content-Digest".to_owned(), signed::subject(SIGNED)),
        ],
        unsigned.manifest.bytes.to_vec(),
    );
    hostile.server.always("/manifests/1.1.0", answer);
    let ran = hostile.run();
    assert!(hostile.is_unchanged(), "{}", said(&ran));
    let header = Fault::Header("Docker-Content-Digest".to_owned(), wrong.to_owned());
    hostile.server.behave();
    hostile.server.always("/manifests/1.1.0", header);
    let ran = hostile.run();
    assert!(hostile.is_unchanged(), "{}", said(&ran));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_signature_adds_nothing_and_takes_nothing_away() {
    let hostile = Hostile::new().await;
    let subject = signed::subject(SIGNED);
    for number in 0..5 {
        let junk = bundle(&subject, &format!("{{\"junk\": {number}}}"));
        hostile.server.attach("acme/shop", &junk);
    }
    // A good bundle of another image, listed as if it were this one's.
    for (name, artifact) in signed::artifacts(BY_STRANGER) {
        if name.is_none() {
            let entry = entry(&artifact);
            hostile.server.attach("acme/shop", &artifact);
            hostile.server.list_referrer("acme/shop", &subject, entry);
        }
    }
    let ran = hostile.run();
    assert!(hostile.is_proven(), "{}", said(&ran));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_signature_of_one_image_proves_nothing_of_another() {
    let hostile = Hostile::new().await;
    hostile.server.untag("acme/shop", "1.1.0");
    let other = image(&ImageSpec {
        created: Some("2024-02-02T00:00:00Z".to_owned()),
        ..ImageSpec::default()
    });
    hostile.server.put("acme/shop", "1.2.0", &other);
    let subject = other.manifest.digest.clone();
    for (name, artifact) in signed::artifacts(SIGNED) {
        if name.is_some() {
            continue;
        }
        // As it is, and with its subject made to fit.
        let listed = entry(&artifact);
        hostile.server.list_referrer("acme/shop", &subject, listed);
        let mut manifest: Value = serde_json::from_slice(&artifact.manifest.bytes).unwrap();
        manifest["subject"]["digest"] = json!(subject);
        let mut fitted = artifact.clone();
        fitted.manifest = Blob::new(manifest.to_string());
        hostile.server.attach("acme/shop", &fitted);
    }
    let ran = hostile.run();
    assert!(hostile.is_unchanged(), "{}", said(&ran));
    assert_eq!(ran.decision("shop").0, "refused", "{}", said(&ran));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_referrers_neither_hang_nor_admit() {
    let hostile = Hostile::new().await;
    hostile.server.set_referrers(1_000);
    hostile.server.untag("acme/shop", "1.1.0");
    hostile.put("1.2.0", BY_STRANGER);
    let subject = signed::subject(BY_STRANGER);
    for number in 0..10_000 {
        let digest = format!("sha256:{number:064x}");
        let ghost = json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json",
                            "digest": digest, "size": 2,
                            "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json" });
        hostile.server.list_referrer("acme/shop", &subject, ghost);
    }
    let ran = hostile.run();
    assert!(hostile.is_unchanged(), "{}", said(&ran));
    assert_eq!(ran.decision("shop").0, "refused", "{}", said(&ran));
    let asked = hostile.server.requests().len();
    assert!(asked < 1_500, "{asked} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_holds_itself_or_thousands_is_no_image() {
    let hostile = Hostile::new().await;
    hostile.server.untag("acme/shop", "1.1.0");
    let child = json!({ "mediaType": "application/vnd.oci.image.index.v1+json",
                        "digest": format!("sha256:{}", "a".repeat(64)), "size": 2,
                        "platform": { "os": "linux", "architecture": "amd64" } });
    for (tag, children) in [("1.2.0", 1), ("1.3.0", 5_000)] {
        let mut index = image(&ImageSpec::default());
        let document = json!({ "schemaVersion": 2,
                               "mediaType": "application/vnd.oci.image.index.v1+json",
                               "manifests": vec![child.clone(); children] });
        "application/vnd.oci.image.index.v1+json".clone_into(&mut index.media_type);
        index.manifest = Blob::new(document.to_string());
        hostile.server.put("acme/shop", tag, &index);
    }
    let ran = hostile.run();
    assert!(hostile.is_unchanged(), "{}", said(&ran));
    assert_ne!(ran.decision("shop").0, "updated", "{}", said(&ran));
}

/// How a list of referrers names an artifact.
fn entry(artifact: &Artifact) -> Value {
    json!({ "mediaType": artifact.media_type, "digest": artifact.manifest.digest,
            "size": artifact.manifest.bytes.len() })
}

/// The layouts agree on who signed.
#[test]
fn the_layout_is_the_workflows() {
    let meta = |name: &str| {
        let text = fs::read_to_string(signed::folder().join(name).join("meta.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["identity"].clone()
    };
    assert_eq!(meta(SIGNED), meta(BY_WORKFLOW));
    assert_ne!(meta(SIGNED), meta(BY_STRANGER));
}
