//! `imagesVerification` of Argo CD Image Updater: one key, one signature, no transparency.

use std::collections::{BTreeMap, BTreeSet};

use super::effective::{Authority, Demand, Effective, UpdateDemand, Who};
use super::spec::{FileSource, KeyRef, Mode, OnRefused, Pin, Sct, SubjectRule, Transparency};
use crate::digest::Digest;
use crate::notice::Notice;
use crate::reason::Reason;

/// Signatures that images must carry before they are written.
#[derive(
    Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "rule": "self.enabled == false || has(self.cosignKey)",
    "message": KEY_REQUIRED,
}]))]
pub struct ImagesVerification {
    /// Whether images are verified. A block that does not say turns verification on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// The public key that must have signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosign_key: Option<CosignKey>,
}

/// What an API server says of a block that turns verification on and names no key.
pub const KEY_REQUIRED: &str =
    "at least one verification method (cosignKey) is required when verification is enabled";

/// A public key in a Secret of the object's namespace.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct CosignKey {
    /// Name of the Secret.
    pub secret_name: String,
    /// Field of the Secret.
    pub key: String,
}

impl ImagesVerification {
    /// What holds for an image, from the levels spec, reference and image, each over the one before
    /// it. `None`: no level says anything.
    ///
    /// The peer forgets the level of the spec where a reference uses annotations; here it holds
    /// always, because a demand that is written down must not vanish with a switch beside it.
    #[must_use]
    pub fn merged<'a>(levels: impl IntoIterator<Item = Option<&'a Self>>) -> Option<Self> {
        levels.into_iter().flatten().fold(None, |merged, level| {
            let merged: Self = merged.unwrap_or_default();
            Some(Self {
                enabled: level.enabled.or(merged.enabled),
                cosign_key: level.cosign_key.clone().or(merged.cosign_key),
            })
        })
    }
}

/// What [`Effective::from_images_verification`] found.
#[derive(Debug, Clone)]
pub enum Mapped {
    /// Nothing is demanded.
    Off,
    /// One key authority, and the remark that it is weaker than a policy.
    Policy(Box<Effective>, Notice),
    /// Verification is on and names no key, so nothing can be trusted.
    KeyMissing,
}

impl Effective {
    /// The policy that merged `imagesVerification` stands for, for Applications of `namespace`.
    #[must_use]
    pub fn from_images_verification(
        namespace: &str,
        verification: Option<&ImagesVerification>,
    ) -> Mapped {
        let Some(verification) = verification else {
            return Mapped::Off;
        };
        match (&verification.enabled, &verification.cosign_key) {
            (Some(false), _) => Mapped::Off,
            (_, None) => Mapped::KeyMissing,
            (_, Some(key)) => {
                let (policy, notice) = Self::from_cosign_key(namespace, key);
                Mapped::Policy(Box::new(policy), notice)
            }
        }
    }

    /// One key authority, threshold 1, no transparency, with the remark that says so.
    #[must_use]
    pub fn from_cosign_key(namespace: &str, key: &CosignKey) -> (Self, Notice) {
        const AUTHORITY: &str = "cosignKey";
        let source = FileSource::SecretRef(KeyRef {
            name: key.secret_name.clone(),
            key: key.key.clone(),
        });
        let name = format!("{namespace}/imagesVerification");
        let text = format!("{name}\n{}\n{}", key.secret_name, key.key);
        let authority = Authority {
            name: AUTHORITY.to_owned(),
            who: Who::Keys(vec![source]),
            root: None,
            min_logs: 0,
            min_timestamps: 0,
            transparency: Transparency::Promise,
            sct: Sct::Optional,
        };
        let policy = Self {
            name,
            hash: Digest::of(text.as_bytes()),
            mode: Mode::Enforce,
            on_refused: OnRefused::Next,
            subject: SubjectRule::Index,
            signatures: Some(Demand {
                at_least: 1,
                of: BTreeSet::from([AUTHORITY.to_owned()]),
                including: BTreeSet::new(),
                max_age_secs: None,
            }),
            unsafe_reason: None,
            attestations: Vec::new(),
            update: UpdateDemand::default(),
            allowed_registries: Vec::new(),
            pin: Pin::TagAndDigest,
            adopt: false,
            forbid_digest_key: false,
            authorities: BTreeMap::from([(AUTHORITY.to_owned(), authority)]),
        };
        let detail = format!(
            "`imagesVerification` with key `{}` of Secret `{namespace}/{}` proves no time and no \
             transparency: it is weaker than a PromotionPolicy",
            key.key, key.secret_name
        );
        (policy, Notice::new(Reason::PolicyUnsafe, detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(enabled: Option<bool>, secret: Option<&str>) -> ImagesVerification {
        ImagesVerification {
            enabled,
            cosign_key: secret.map(|name| CosignKey {
                secret_name: name.to_owned(),
                key: "cosign.pub".to_owned(),
            }),
        }
    }

    #[test]
    fn levels_merge_part_by_part() {
        let (spec, image) = (level(Some(true), Some("s")), level(None, Some("t")));
        let merged = ImagesVerification::merged([Some(&spec), None, Some(&image)]);
        assert_eq!(merged, Some(level(Some(true), Some("t"))));
        let off = level(Some(false), None);
        let merged = ImagesVerification::merged([Some(&spec), Some(&off)]);
        assert_eq!(merged, Some(level(Some(false), Some("s"))));
        assert_eq!(ImagesVerification::merged([None, None, None]), None);
    }

    #[test]
    fn a_reference_with_annotations_does_not_lose_the_level_of_the_spec() {
        let spec = level(Some(true), Some("s"));
        let merged = ImagesVerification::merged([Some(&spec), None]);
        let mapped = Effective::from_images_verification("argocd", merged.as_ref());
        assert!(matches!(mapped, Mapped::Policy(..)), "{mapped:?}");
    }

    #[test]
    fn a_cosign_key_is_one_signer_without_transparency_and_says_so() {
        let on = level(None, Some("s"));
        let mapped = Effective::from_images_verification("team", Some(&on));
        let Mapped::Policy(policy, notice) = mapped else {
            panic!("{mapped:?}")
        };
        assert_eq!(notice.reason, Reason::PolicyUnsafe);
        assert_eq!(policy.name, "team/imagesVerification");
        let authority = policy.authorities.get("cosignKey").unwrap();
        assert_eq!((authority.min_logs, authority.min_timestamps), (0, 0));
        assert!(authority.root.is_none());
        assert_eq!(policy.signatures.map(|demand| demand.at_least), Some(1));
    }

    #[test]
    fn verification_without_a_key_is_not_verification_switched_off() {
        let on = level(Some(true), None);
        let mapped = Effective::from_images_verification("team", Some(&on));
        assert!(matches!(mapped, Mapped::KeyMissing), "{mapped:?}");
        let off = level(Some(false), None);
        let mapped = Effective::from_images_verification("team", Some(&off));
        assert!(matches!(mapped, Mapped::Off), "{mapped:?}");
    }
}
