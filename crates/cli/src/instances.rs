// SPDX-License-Identifier: GPL-3.0-or-later
//! The Blenders of this user that run on this machine, and which of them is meant. Several are never guessed at.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use blendwire_client::Endpoint;
use blendwire_protocol::Instance;
use blendwire_state::{Found, Instances};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::{env_vars, printer};

/// The folder for what is kept between starts. Without a home folder there is none, and no server has left anything.
pub(crate) fn state_folder() -> Option<PathBuf> {
    let named = env_vars::read(env_vars::STATE_DIR).map(PathBuf::from);
    blendwire_state::folder(named.as_deref())
}

/// Removes what servers left that ended without saying so. Gives of how many.
pub(crate) fn sweep() -> usize {
    state_folder().map_or(0, |state| Instances::in_state(&state).sweep())
}

/// What the state folder tells of running servers.
pub(crate) fn look() -> Result<Found> {
    let Some(state) = state_folder() else { return Ok(Found::default()) };
    let instances = Instances::in_state(&state);
    instances.look().with_context(|| {
        format!(
            "cannot look for running Blenders in {}: name the port with --port, or the folder that Blender uses with {}",
            instances.path().display(),
            env_vars::STATE_DIR
        )
    })
}

/// Why it is not clear which Blender is meant.
#[derive(Debug)]
pub(crate) struct Unclear {
    what: String,
    running: Vec<Instance>,
}

impl Unclear {
    /// In words: what is unclear, those that could be meant, and what to do.
    pub(crate) fn told(&self, advice: Advice) -> String {
        let Self { what, running } = self;
        if running.is_empty() {
            return format!("{what}: none runs that can be found; {}", advice.start);
        }
        format!("{what}:\n{}\n{}", table(running), advice.choose)
    }
}

/// What whoever is told can do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advice {
    /// Where several could be meant.
    pub(crate) choose: &'static str,
    /// Where none runs.
    pub(crate) start: &'static str,
}

impl Advice {
    /// For people at a shell.
    pub(crate) const fn at_a_shell(choose: &'static str) -> Self {
        Self { choose, start: "`blendwire launch` starts one" }
    }
}

/// The one that is meant: of `wanted` where that is said, else the only one. `None` where none runs and none is wanted.
///
/// # Errors
/// When several could be meant, or none fits.
pub(crate) fn choose(running: Vec<Instance>, wanted: Option<&str>) -> Result<Option<Instance>, Unclear> {
    let several = || "several Blenders run".to_owned();
    let Some(wanted) = wanted else {
        return only(running, several).map_err(|(what, running)| Unclear { what, running });
    };
    let wanted = wanted.trim();
    if let Some(exact) = running.iter().find(|instance| instance.instance == wanted) {
        return Ok(Some(exact.clone()));
    }
    let fitting: Vec<_> = running.iter().filter(|instance| fits(instance, wanted)).cloned().collect();
    if fitting.is_empty() {
        return Err(Unclear { what: format!("no running Blender is {wanted:?}"), running });
    }
    only(fitting, || format!("{wanted:?} fits several Blenders")).map_err(|(what, running)| Unclear { what, running })
}

fn only(
    mut instances: Vec<Instance>,
    what: impl FnOnce() -> String,
) -> Result<Option<Instance>, (String, Vec<Instance>)> {
    if instances.len() > 1 { Err((what(), instances)) } else { Ok(instances.pop()) }
}

/// Whether `wanted` is the beginning of its id, its process id or its port.
fn fits(instance: &Instance, wanted: &str) -> bool {
    let is_port = || Endpoint::of_instance(instance).is_some_and(|endpoint| endpoint.port.to_string() == wanted);
    !wanted.is_empty() && (instance.instance.starts_with(wanted) || instance.pid.to_string() == wanted || is_port())
}

/// One row for each, below their headings.
pub(crate) fn table(instances: &[Instance]) -> String {
    let headings = ["ID", "BLENDER", "RUNS", "PROCESS", "ENDPOINT", "SINCE"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(headings).chain(instances.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let line = |row: &[String; 6]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// One that runs, in a line of its own.
pub(crate) fn line(instance: &Instance) -> String {
    let [id, blender, runs, process, endpoint, _] = row(instance);
    format!("{id} Blender {blender} ({runs}, process {process}) at {endpoint}")
}

fn row(instance: &Instance) -> [String; 6] {
    let Instance { instance: id, pid, background, versions, started, .. } = instance;
    let endpoint =
        Endpoint::of_instance(instance).map_or_else(|| "unknown".to_owned(), |endpoint| endpoint.to_string());
    let since = Timestamp::from_second(*started).unwrap_or_default().to_zoned(TimeZone::system());
    let row = [
        id.clone(),
        versions.blender.clone(),
        if *background { "background" } else { "windowed" }.to_owned(),
        pid.to_string(),
        endpoint,
        since.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    ];
    row.map(|cell| printer::one_line(&cell))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOW: Advice = Advice::at_a_shell("how");

    fn instance(id: &str, pid: u32, port: u16) -> Instance {
        let endpoints = vec![format!("127.0.0.1:{port}"), format!("[::1]:{port}")];
        Instance { instance: id.to_owned(), pid, endpoints, ..Instance::default() }
    }

    fn chosen(wanted: Option<&str>) -> Result<Option<u32>, String> {
        let running = vec![instance("abc1", 11, 9876), instance("abd2", 22, 9877), instance("11ff", 33, 9878)];
        let chosen = choose(running, wanted).map_err(|unclear| unclear.told(HOW))?;
        Ok(chosen.map(|instance| instance.pid))
    }

    #[test]
    fn id_beginning_process_and_port_each_name_one() {
        for (wanted, pid) in [("abc1", 11), ("abd", 22), (" abd2 ", 22), ("22", 22), ("9876", 11), ("11f", 33)] {
            assert_eq!(chosen(Some(wanted)), Ok(Some(pid)), "{wanted}");
        }
    }

    #[test]
    fn what_fits_several_or_none_is_told_with_those_that_run() {
        // The default port is no reason to prefer one.
        let told = chosen(None).unwrap_err();
        assert!(told.starts_with("several Blenders run:\n") && told.lines().count() == 6, "{told}");
        // A process id here, the beginning of an id there.
        for wanted in ["ab", "11"] {
            let told = chosen(Some(wanted)).unwrap_err();
            assert!(told.contains("fits several") && told.lines().count() == 5, "{told}");
        }
        for wanted in ["x", "", "987"] {
            let told = chosen(Some(wanted)).unwrap_err();
            assert!(told.contains("no running Blender is") && told.contains("abc1"), "{told}");
        }
    }

    #[test]
    fn the_only_one_is_meant_and_none_is_none() {
        assert_eq!(choose(vec![instance("a", 1, 5)], None).unwrap().unwrap().pid, 1);
        assert_eq!(choose(Vec::new(), None).unwrap(), None);
        let told = choose(Vec::new(), Some("a")).unwrap_err().told(HOW);
        assert!(told.contains("blendwire launch"), "{told}");
    }
}
