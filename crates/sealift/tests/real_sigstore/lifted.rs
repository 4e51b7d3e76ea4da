//! From the registry into a commit, or not: `sealift run --once` on images that real tools signed.

use sealift_testkit::sigstore::{Services, Sigstore, Workflow};
use serde_json::json;

use crate::demand::Demand;
use crate::shop::Shop;

const SHOP: &str = "acme/shop";

/// A run of the release workflow for a Git tag.
pub(crate) fn release(tag: &str) -> Workflow {
    Workflow::release(SHOP, &format!("refs/tags/{tag}"))
}

pub(crate) fn keys_of_cosign_3_lift_and_no_others(sigstore: &Sigstore) {
    let (ours, _theirs) = (sigstore.key_pair("ours"), sigstore.key_pair("theirs"));
    let bare = Demand::key(ours, sigstore.trusted_root());
    let shop = Shop::new(sigstore);
    shop.push("1.0.1");
    shop.refuses(&bare, "signature-missing");
    shop.keyed("1.0.2", "theirs", Services::Nothing);
    shop.refuses(&bare, "key-mismatch");
    let digest = shop.keyed("1.1.0", "ours", Services::Nothing);
    shop.push("1.2.0");
    shop.keyed("1.3.0", "theirs", Services::LogAndTime);
    shop.lifts(&bare, "1.1.0", &digest);
    let digest = shop.keyed("1.4.0", "ours", Services::Log);
    shop.lifts(&bare.clone().logged(), "1.4.0", &digest);
    let digest = shop.keyed("1.5.0", "ours", Services::LogAndTime);
    shop.lifts(&bare.logged().stamped(), "1.5.0", &digest);
}

pub(crate) fn a_workflow_lifts_its_own_tag_and_no_other(sigstore: &Sigstore) {
    let shop = Shop::new(sigstore);
    let mut demand = Demand::workflow(&release("1.1.0"), sigstore.trusted_root());
    demand.github = Some(json!({
        "repository": SHOP, "workflow": "release.yml", "ref": { "tag": "sameAsImage" },
    }));
    let fork = Workflow::release("mallory/shop", "refs/tags/1.0.1");
    shop.keyless("1.0.1", &fork, Services::LogAndTime);
    shop.refuses(&demand, "identity-mismatch");
    let digest = shop.keyless("1.1.0", &release("1.1.0"), Services::LogAndTime);
    // The same image under a newer name; another file; another repository; a branch; a person.
    shop.retag("1.2.0", "1.1.0");
    let other_file = Workflow {
        file: "test.yml".to_owned(),
        ..release("1.3.0")
    };
    shop.keyless("1.3.0", &other_file, Services::LogAndTime);
    let fork = Workflow::release("mallory/shop", "refs/tags/1.4.0");
    shop.keyless("1.4.0", &fork, Services::LogAndTime);
    let branch = Workflow::release(SHOP, "refs/heads/main");
    shop.keyless("1.5.0", &branch, Services::LogAndTime);
    let person = shop.push("1.6.0");
    let token = sigstore
        .email_token("mallory@acme.test")
        .display()
        .to_string();
    shop.cosign3(
        "sign",
        Services::LogAndTime,
        &["--identity-token", &token],
        &person,
    );
    shop.lifts(&demand, "1.1.0", &digest);
    // Without a log there is no proof that the log would give.
    shop.keyless("1.7.0", &release("1.7.0"), Services::Time);
    let before = shop.head();
    let ran = shop.run(&demand);
    assert_eq!((ran.code, shop.head()), (0, before), "{}", ran.stderr);
    demand.log = false;
    let digest = shop.keyless("1.8.0", &release("1.8.0"), Services::Time);
    shop.lifts(&demand, "1.8.0", &digest);
}

pub(crate) fn signatures_of_cosign_2_lift(sigstore: &Sigstore) {
    let ours = sigstore.key_pair("legacy");
    let shop = Shop::new(sigstore);
    let digest = shop.legacy("1.1.0", &["--key=legacy.key"]);
    let demand = Demand::key(ours, sigstore.trusted_root());
    shop.lifts(&demand, "1.1.0", &digest);

    let workflow = release("1.2.0");
    let who = shop.legacy_workflow(&workflow);
    let who: Vec<&str> = who.iter().map(String::as_str).collect();
    let digest = shop.legacy("1.2.0", &who);
    let mut demand = Demand::workflow(&workflow, sigstore.trusted_root());
    demand.log = false;
    shop.lifts(&demand, "1.2.0", &digest);
}

pub(crate) fn a_tag_moved_to_an_unsigned_image_is_refused(sigstore: &Sigstore) {
    let ours = sigstore.key_pair("moved");
    let shop = Shop::new(sigstore);
    let signed = shop.keyed("1.1.0", "moved", Services::Nothing);
    let moved = shop.push_another("1.1.0", "somebody else's");
    assert_ne!(signed, moved);
    shop.refuses(
        &Demand::key(ours, sigstore.trusted_root()),
        "signature-missing",
    );
}

pub(crate) fn attestations_lift_where_they_are_demanded(sigstore: &Sigstore) {
    let shop = Shop::new(sigstore);
    let workflow = release("1.1.0");
    let demand = Demand::workflow(&workflow, sigstore.trusted_root()).attested("slsaprovenance1");
    shop.keyless("1.1.0", &workflow, Services::LogAndTime);
    shop.refuses(&demand, "attestation-missing");
    let digest = shop.push("1.2.0");
    attest(&shop, &workflow, &digest);
    shop.lifts(&demand, "1.2.0", &digest);
    let ours = sigstore.key_pair("attests");
    let digest = shop.push("1.3.0");
    attest_legacy(&shop, "attests", &digest);
    let demand = Demand::key(ours, sigstore.trusted_root()).attested("slsaprovenance1");
    shop.lifts(&demand, "1.3.0", &digest);
}

/// Attests provenance with cosign 3, as a workflow.
pub(crate) fn attest(shop: &Shop<'_>, workflow: &Workflow, digest: &str) {
    let token = shop.sigstore.workflow_token(workflow).display().to_string();
    let predicate = predicate(shop);
    let more = [
        "--identity-token",
        &token,
        "--type=slsaprovenance1",
        &predicate,
    ];
    shop.cosign3("attest", Services::LogAndTime, &more, digest);
}

/// Attests provenance with cosign 2 and a key, into the `.att` tag.
pub(crate) fn attest_legacy(shop: &Shop<'_>, key: &str, digest: &str) {
    let (key, predicate) = (format!("--key={key}.key"), predicate(shop));
    shop.cosign2(
        "attest",
        &[&key, "--type=slsaprovenance1", &predicate],
        digest,
    );
}

/// The least of SLSA provenance 1.
fn predicate(shop: &Shop<'_>) -> String {
    let path = shop.sigstore.path("slsa.json");
    let predicate = json!({
        "buildDefinition": {
            "buildType": "https://builds.test/1", "externalParameters": {},
        },
        "runDetails": { "builder": { "id": "https://builder.test" } },
    });
    std::fs::write(&path, predicate.to_string()).unwrap();
    format!("--predicate={}", path.display())
}
