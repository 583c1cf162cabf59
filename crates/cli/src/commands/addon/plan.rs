// SPDX-License-Identifier: GPL-3.0-or-later
//! What is to be done in one Blender: decided on what it told, before anything is changed.

use serde::Serialize;

use super::inside::{Addon, Inside, Kind, Wanted, modules};
use super::package::AddonVersion;

/// What happens to the add-on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// It was not there.
    Installed,
    /// Another version was there.
    Updated,
    /// The same version was there, and in another way or with other files.
    Reinstalled,
    /// It was there and not enabled.
    Enabled,
    /// It was as it is to be, or was not there to be removed.
    None,
    /// It is taken away.
    Removed,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) change: Change,
    /// The copy that stays, or is replaced.
    pub(super) target: Option<Addon>,
    /// Every other copy: two would register the same names, and want the same port.
    pub(super) others: Vec<Addon>,
    /// Whether files are put there; else it is enabled at most.
    pub(super) unpacks: bool,
}

impl Plan {
    /// Of a Blender that told `inside`. `is_unpacked` says whether a copy has the very files of that version.
    pub(super) fn new(
        inside: &Inside,
        kind: Kind,
        version: &AddonVersion,
        is_unpacked: impl Fn(&Addon) -> bool,
    ) -> Self {
        let fitting = || inside.ours.iter().filter(|addon| addon.kind == kind);
        let target = fitting().find(|addon| addon.enabled).or_else(|| fitting().next()).cloned();
        let others: Vec<_> = inside.ours.iter().filter(|addon| Some(*addon) != target.as_ref()).cloned().collect();
        let is_there = target.as_ref().is_some_and(|addon| addon.version == version.0 && is_unpacked(addon));
        let change = match &target {
            None if others.is_empty() => Change::Installed,
            _ if inside.ours.iter().any(|addon| addon.version != version.0) => Change::Updated,
            Some(target) if is_there && others.is_empty() && target.enabled => Change::None,
            Some(target) if is_there && others.is_empty() && !target.enabled => Change::Enabled,
            _ => Change::Reinstalled,
        };
        Self { change, target, others, unpacks: !is_there }
    }

    /// The newest version that is there now.
    pub(super) fn before(&self) -> Option<AddonVersion> {
        let versions = self.target.iter().chain(&self.others).map(|addon| AddonVersion(addon.version.clone()));
        versions.reduce(|newest, version| if version.is_newer_than(&newest) { version } else { newest })
    }

    /// What Blender is told to take out: other copies, and `rivals`.
    pub(super) fn out(&self, rivals: &[Addon]) -> Wanted {
        let (extensions, legacy): (Vec<_>, Vec<_>) =
            self.others.iter().partition(|addon| addon.kind == Kind::Extension);
        Wanted {
            // Of the target they stay where they are.
            settings_of: if self.target.is_none() { modules(&self.others) } else { Vec::new() },
            disable: modules(legacy.into_iter().chain(rivals)),
            uninstall: modules(extensions),
            ..Wanted::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addon(kind: Kind, version: &str, enabled: bool) -> Addon {
        let module = if kind == Kind::Legacy { "blendwire" } else { "bl_ext.user_default.blendwire" };
        Addon {
            module: module.to_owned(),
            kind,
            name: "MCP Server".to_owned(),
            version: version.to_owned(),
            enabled,
            folder: "/addons/blendwire".into(),
        }
    }

    fn plan(ours: &[Addon], is_unpacked: bool) -> Plan {
        let inside = Inside {
            ours: ours.to_vec(),
            rivals: Vec::new(),
            legacy_folder: "/addons".into(),
            settings: serde_json::Map::new(),
        };
        Plan::new(&inside, Kind::Extension, &AddonVersion("0.2.0".to_owned()), |_| is_unpacked)
    }

    #[test]
    fn what_is_there_decides_what_is_done() {
        let extension = |version, enabled| addon(Kind::Extension, version, enabled);
        let legacy = addon(Kind::Legacy, "0.2.0", true);
        let cases = [
            (plan(&[], false), Change::Installed, true),
            (plan(&[extension("0.1.0", true)], false), Change::Updated, true),
            (plan(&[extension("0.2.0", true)], true), Change::None, false),
            (plan(&[extension("0.2.0", false)], true), Change::Enabled, false),
            (plan(&[extension("0.2.0", true)], false), Change::Reinstalled, true),
            (plan(std::slice::from_ref(&legacy), true), Change::Reinstalled, true),
            (plan(&[addon(Kind::Legacy, "0.1.0", true)], true), Change::Updated, true),
            (plan(&[legacy, extension("0.2.0", true)], true), Change::Reinstalled, false),
        ];
        for (plan, change, unpacks) in cases {
            assert_eq!((plan.change, plan.unpacks), (change, unpacks), "{plan:?}");
        }
    }

    #[test]
    fn of_another_kind_the_settings_are_kept() {
        let out = plan(&[addon(Kind::Legacy, "0.2.0", true)], false).out(&[]);
        assert_eq!((out.settings_of, out.disable), (vec!["blendwire".to_owned()], vec!["blendwire".to_owned()]));
        let out = plan(&[addon(Kind::Legacy, "0.2.0", true), addon(Kind::Extension, "0.1.0", false)], false).out(&[]);
        assert!(out.settings_of.is_empty() && out.uninstall.is_empty() && out.disable == ["blendwire"]);
    }

    #[test]
    fn the_newest_is_what_was_there() {
        let plan = plan(&[addon(Kind::Legacy, "0.9.0", true), addon(Kind::Extension, "0.10.0", false)], false);
        assert_eq!(plan.before().unwrap().0, "0.10.0");
    }
}
