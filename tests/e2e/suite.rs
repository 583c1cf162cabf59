// SPDX-License-Identifier: GPL-3.0-or-later
//! Collects tests and keeps the Blenders that they share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use blendwire_e2e::{Blender, Environment, Flavour, Settings};
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

/// The flavours that every test of the wire and of scripts runs in.
pub(crate) const EVERYWHERE: [Flavour; 3] = [Flavour::Bpy50, Flavour::Bpy52, Flavour::Windowed];

/// How many of the slowest tests are told at the end.
const SLOWEST_TOLD: usize = 20;

/// A Blender that tests take turns with; `None` until the first needs it.
type Slot = Arc<Mutex<Option<Blender>>>;

/// How long each test took, without its wait for a Blender that others use.
type Durations = Arc<Mutex<Vec<(Duration, String)>>>;

/// See the module.
pub(crate) struct Suite {
    environment: Arc<Environment>,
    shared: HashMap<Flavour, Slot>,
    trials: Vec<Trial>,
    durations: Durations,
}

impl Suite {
    pub(crate) fn new(environment: Environment) -> Self {
        let (shared, trials, durations) = Default::default();
        Self { environment: Arc::new(environment), shared, trials, durations }
    }

    /// Adds a test that runs in a shared Blender of each of `flavours`.
    pub(crate) fn shared<F>(&mut self, flavours: &[Flavour], name: &str, test: F)
    where
        F: Fn(&mut Blender) -> Result<()> + Clone + Send + 'static,
    {
        for flavour in flavours.iter().copied() {
            let slot = self.shared.entry(flavour).or_default().clone();
            let (environment, test, durations) = (self.environment.clone(), test.clone(), self.durations.clone());
            let name = format!("{}::{name}", flavour.name());
            self.trials.push(Trial::test(name.clone(), move || {
                let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
                timed(&durations, name, || {
                    let blender = alive(&mut slot, &environment, flavour)?;
                    test(blender).map_err(|error| error.context(last_words(blender)))
                })
            }));
        }
    }

    /// Windowed Blenders of other versions: what they are called, and where they are.
    pub(crate) fn other_blenders(&self) -> Vec<(&'static str, PathBuf)> {
        self.environment.other_blenders.clone()
    }

    /// Adds a test that starts what it needs.
    pub(crate) fn own<F>(&mut self, name: &str, test: F)
    where
        F: FnOnce(&Environment) -> Result<()> + Send + 'static,
    {
        let (environment, durations) = (self.environment.clone(), self.durations.clone());
        let name = name.to_owned();
        self.trials.push(Trial::test(name.clone(), move || timed(&durations, name, || test(&environment))));
    }

    /// Runs all, ends the shared Blenders, and tells what took longest.
    pub(crate) fn run(self, arguments: &Arguments) -> Conclusion {
        let conclusion = libtest_mimic::run(arguments, self.trials);
        for slot in self.shared.values() {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        let mut durations = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
        durations.sort_unstable_by(|one, other| other.cmp(one));
        println!("slowest:");
        for (duration, name) in durations.iter().take(SLOWEST_TOLD) {
            println!("{:>6.1} s  {name}", duration.as_secs_f64());
        }
        conclusion
    }
}

fn timed(durations: &Durations, name: String, test: impl FnOnce() -> Result<()>) -> Result<(), Failed> {
    let start = Instant::now();
    let verdict = test();
    durations.lock().unwrap_or_else(PoisonError::into_inner).push((start.elapsed(), name));
    verdict.map_err(|error| format!("{error:#}").into())
}

/// The shared Blender; a new one where the last test has ended it.
fn alive<'a>(slot: &'a mut Option<Blender>, environment: &Environment, flavour: Flavour) -> Result<&'a mut Blender> {
    let is_gone = slot.as_mut().is_none_or(|blender| blender.process.try_wait().is_some());
    if is_gone {
        *slot = None;
        *slot = Some(Blender::start(environment, flavour, &Settings::default())?);
    }
    slot.as_mut().ok_or_else(|| anyhow::anyhow!("no Blender"))
}

fn last_words(blender: &Blender) -> String {
    let output = blender.process.output();
    let lines: Vec<&str> = output.lines().collect();
    format!("Blender's last output:\n{}", lines[lines.len().saturating_sub(15)..].join("\n"))
}
