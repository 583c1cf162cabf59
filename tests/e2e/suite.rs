// SPDX-License-Identifier: GPL-3.0-or-later
//! Collects tests and keeps the Blenders that they share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use blendwire_e2e::{Blender, Environment, Flavour, Settings};
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

/// The flavours that every test of the wire and of scripts runs in.
pub(crate) const EVERYWHERE: [Flavour; 3] = [Flavour::Bpy50, Flavour::Bpy52, Flavour::Windowed];

/// A Blender that tests take turns with; `None` until the first needs it.
type Slot = Arc<Mutex<Option<Blender>>>;

/// See the module.
pub(crate) struct Suite {
    environment: Arc<Environment>,
    shared: HashMap<Flavour, Slot>,
    trials: Vec<Trial>,
}

impl Suite {
    pub(crate) fn new(environment: Environment) -> Self {
        Self { environment: Arc::new(environment), shared: HashMap::new(), trials: Vec::new() }
    }

    /// Adds a test that runs in a shared Blender of each of `flavours`.
    pub(crate) fn shared<F>(&mut self, flavours: &[Flavour], name: &str, test: F)
    where
        F: Fn(&mut Blender) -> Result<()> + Clone + Send + 'static,
    {
        for flavour in flavours.iter().copied() {
            let slot = self.shared.entry(flavour).or_default().clone();
            let (environment, test) = (self.environment.clone(), test.clone());
            self.trials.push(Trial::test(format!("{}::{name}", flavour.name()), move || {
                let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
                let blender = alive(&mut slot, &environment, flavour).map_err(failed)?;
                test(blender).map_err(|error| failed(error.context(last_words(blender))))
            }));
        }
    }

    /// Adds a test that starts what it needs.
    pub(crate) fn own<F>(&mut self, name: &str, test: F)
    where
        F: FnOnce(&Environment) -> Result<()> + Send + 'static,
    {
        let environment = self.environment.clone();
        self.trials.push(Trial::test(name.to_owned(), move || test(&environment).map_err(failed)));
    }

    /// Runs all, then ends the shared Blenders.
    pub(crate) fn run(self, arguments: &Arguments) -> Conclusion {
        let conclusion = libtest_mimic::run(arguments, self.trials);
        for slot in self.shared.values() {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        conclusion
    }
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

fn failed(error: impl std::borrow::Borrow<anyhow::Error>) -> Failed {
    format!("{:#}", error.borrow()).into()
}
