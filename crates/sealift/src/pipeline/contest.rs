//! Two Applications on one slot: the same result is one edit, different results refuse both
//! (`slot-contested`).

use std::collections::BTreeMap;

use sealift_core::event::Decision;
use sealift_core::path::RepoPath;
use sealift_core::reason::Reason;

use super::branch::Group;
use super::find::Change;

/// What one Application wants at one key of one file.
struct Wish {
    group: usize,
    item: usize,
    application: String,
    value: String,
}

/// Refuses every change that another Application's wish for the same place contradicts. `groups`
/// share one repository.
pub(super) fn refuse_contested(groups: &mut [Group], changes: &mut [Vec<Change>]) {
    let mut wishes: BTreeMap<(String, RepoPath, String), Vec<Wish>> = BTreeMap::new();
    for (position, (group, changes)) in groups.iter().zip(changes.iter()).enumerate() {
        for change in changes {
            let Some(item) = group.items.get(change.item) else {
                continue;
            };
            for route in &change.slot.key.routes {
                let key = (
                    group.branch.clone(),
                    change.slot.key.path.clone(),
                    route.clone(),
                );
                wishes.entry(key).or_default().push(Wish {
                    group: position,
                    item: change.item,
                    application: item.application.id.to_string(),
                    value: change.new.to_string(),
                });
            }
        }
        for (item, slot, value) in &group.kept {
            let Some(owner) = group.items.get(*item) else {
                continue;
            };
            for route in &slot.routes {
                let key = (group.branch.clone(), slot.path.clone(), route.clone());
                wishes.entry(key).or_default().push(Wish {
                    group: position,
                    item: *item,
                    application: owner.application.id.to_string(),
                    value: value.clone(),
                });
            }
        }
    }
    for ((_, path, route), wishes) in wishes {
        let first = wishes.first().map(|wish| wish.value.clone());
        if wishes
            .iter()
            .all(|wish| Some(&wish.value) == first.as_ref())
        {
            continue;
        }
        let all: Vec<String> = wishes
            .iter()
            .map(|w| format!("`{}` wants `{}`", w.application, w.value))
            .collect();
        let detail = format!("`{route}` in `{path}`: {}", all.join(", "));
        for wish in wishes {
            let Some(item) = groups
                .get_mut(wish.group)
                .and_then(|g| g.items.get_mut(wish.item))
            else {
                continue;
            };
            if !item.is_decided() {
                item.decide(Decision::Refused, Reason::SlotContested, detail.clone());
            }
        }
    }
    for (group, changes) in groups.iter().zip(changes) {
        let open = |change: &Change| {
            group
                .items
                .get(change.item)
                .is_some_and(|item| !item.is_decided())
        };
        changes.retain(open);
    }
}
