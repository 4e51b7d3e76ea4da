//! What the Sigstore in memory promises: the same seed makes the same.

use sealift_testkit::signer::{GITLAB_ISSUER, Identity, Key, KeyKind, Log, Sigstore, edit};
use serde_json::Value;

/// Everything of a bundle that holds no signature with a random nonce.
fn lasting(sigstore: &Sigstore) -> Vec<Value> {
    let draft = sigstore.keyless(Identity::gitlab("acme/shop", "refs/heads/main"));
    let bundle = edit::json(&draft.log(Log::V1).form());
    let entry = &bundle["verificationMaterial"]["tlogEntries"][0];
    let kept = ["logIndex", "logId", "kindVersion", "integratedTime"];
    let mut lasting: Vec<Value> = kept.iter().map(|name| entry[name].clone()).collect();
    lasting.push(bundle["dsseEnvelope"]["payload"].clone());
    lasting.push(sigstore.trusted_root()["tlogs"].clone());
    lasting.push(sigstore.trusted_root()["ctlogs"].clone());
    lasting
}

#[test]
fn equal_seeds_make_equal_keys_and_others_make_others() {
    let seeded = |seed: &str| lasting(&Sigstore::new(seed));
    assert_eq!(seeded("a"), seeded("a"));
    assert_ne!(seeded("a"), seeded("b"));
    for kind in [
        KeyKind::P256,
        KeyKind::P384,
        KeyKind::P521,
        KeyKind::Ed25519,
    ] {
        let spki = |seed: &str| Key::seeded(kind, seed).spki();
        assert_eq!(spki("a"), spki("a"), "{kind:?}");
        assert_ne!(spki("a"), spki("b"), "{kind:?}");
    }
}

#[test]
fn identities_of_gitlab_name_their_issuer() {
    let identity = Identity::gitlab("acme/shop", "refs/heads/main");
    assert_eq!(identity.claims.issuer.as_deref(), Some(GITLAB_ISSUER));
    assert_eq!(
        identity.name(),
        "https://gitlab.com/acme/shop//.gitlab-ci.yml@refs/heads/main"
    );
}
