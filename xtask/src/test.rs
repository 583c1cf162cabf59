// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask test`: the whole suite in order, and the only thing that CI calls.
//!
//! The cheap steps come first and the first failure ends the run. A step that cannot get what it needs fails
//! with what to do: nothing is skipped, but for Blenders that are tested besides (`provide/window`). What a single step needs from earlier ones (`--only e2e` needs a
//! build and Blenders) is made on demand, so any step can be run alone.

use std::cell::OnceCell;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::build::{self, Built};
use crate::dist::{self, Assembled};
use crate::process::once;
use crate::provide::{self, Provided};
use crate::workspace::Workspace;
use crate::{addon, deny, fuzz, process, python, tidy};

/// Names the end-to-end tests, which are left out elsewhere.
const E2E: [&str; 2] = ["--test", "e2e"];

/// Tests wait more than they compute, for deadlines, for Blenders to start and for each other: two more than a machine of two
/// cores has keeps it busy.
const TESTS_AT_A_TIME: u8 = 4;

#[derive(Args)]
#[command(after_help = "Examples:\n  cargo xtask test\n  cargo xtask test hostile --only e2e")]
pub(crate) struct Options {
    /// Run only the end-to-end tests whose name contains this
    filter: Option<String>,
    /// Run one step alone, and what it needs
    #[arg(long, value_name = "STEP")]
    only: Option<Step>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Step {
    /// Rust is formatted
    Fmt,
    /// Clippy has nothing to say
    Lint,
    /// The rules of the repository hold
    Tidy,
    /// Licences, bans, sources and known holes of all dependencies
    Deny,
    /// Tests that need no Blender
    Unit,
    /// No input is found that breaks the protocol's readers
    Fuzz,
    /// The add-on and the tool snippets: formatting, lints, types
    Python,
    /// The add-on's zip and the executable
    Build,
    /// Blenders and foreign clients
    Provide,
    /// Blender's own validator accepts the zip
    Validate,
    /// What a release consists of is accepted by the tools that read it
    Dist,
    /// Real Blenders, real clients
    E2e,
}

/// A run of the suite, with what its steps share.
struct Suite<'a> {
    workspace: &'a Workspace,
    filter: Option<&'a str>,
    built: OnceCell<Built>,
    packed: OnceCell<Assembled>,
    provided: OnceCell<Provided>,
    timings: Vec<(Step, Duration)>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut suite = Suite {
        workspace,
        filter: options.filter.as_deref(),
        built: OnceCell::new(),
        packed: OnceCell::new(),
        provided: OnceCell::new(),
        timings: Vec::new(),
    };
    let steps = options.only.map_or_else(|| Step::value_variants().to_vec(), |step| vec![step]);
    let verdict = steps.into_iter().try_for_each(|step| suite.timed(step));
    suite.summarise();
    verdict
}

impl Suite<'_> {
    fn timed(&mut self, step: Step) -> Result<()> {
        println!("\n━━━ {} ━━━", name(step));
        let start = Instant::now();
        let verdict = self.step(step);
        self.timings.push((step, start.elapsed()));
        verdict.with_context(|| {
            let name = name(step);
            format!("step `{name}` failed; once mended, run it alone with `cargo xtask test --only {name}`")
        })
    }

    fn step(&self, step: Step) -> Result<()> {
        match step {
            Step::Fmt => {
                self.cargo(&["fmt", "--all", "--check"])?;
                self.cargo(&["fmt", "--manifest-path", "crates/protocol/fuzz/Cargo.toml", "--check"])?;
                self.cargo(&["fmt", "--manifest-path", "crates/bridge/fuzz/Cargo.toml", "--check"])
            }
            Step::Lint => self.lint(),
            Step::Tidy => tidy::run(self.workspace),
            Step::Deny => deny::check(self.workspace),
            Step::Unit => self.unit(),
            Step::Fuzz => fuzz::suite(self.workspace),
            Step::Python => python::check(self.workspace),
            Step::Build => self.built().map(|built| println!("{}", built.executable.display())),
            Step::Provide => self.provided().map(|provided| print!("{provided}")),
            Step::Validate => self.validate(),
            Step::Dist => self.dist(),
            Step::E2e => self.end_to_end(),
        }
    }

    fn cargo(&self, args: &[&str]) -> Result<()> {
        process::run(process::cargo(self.workspace).args(args))
    }

    fn lint(&self) -> Result<()> {
        for targets in [&["--all-targets"][..], &E2E] {
            let mut command = process::cargo(self.workspace);
            command.arg("clippy").args(build::WORKSPACE).args(targets);
            process::run(command.args(["--", "-D", "warnings"]))?;
        }
        Ok(())
    }

    fn unit(&self) -> Result<()> {
        let mut command = process::cargo(self.workspace);
        // By the environment, since tests in documents are started in another way.
        command.arg("test").args(build::WORKSPACE).env("RUST_TEST_THREADS", TESTS_AT_A_TIME.to_string());
        process::run(&mut command)
    }

    /// Needs an empty settings folder: the validator must not see this user's own extensions.
    fn validate(&self) -> Result<()> {
        let settings = tempfile::tempdir()?;
        let mut command = Command::new(self.provided()?.blender());
        command.args(["--command", "extension", "validate"]).arg(&self.built()?.zip);
        command.env("BLENDER_USER_RESOURCES", settings.path());
        command.env("BLENDWIRE_WORKSPACE", &self.workspace.root);
        process::run(&mut command)
    }

    fn dist(&self) -> Result<()> {
        dist::check::check(self.workspace, self.built()?, self.packed()?, &self.provided()?.mcpb()?)
    }

    fn end_to_end(&self) -> Result<()> {
        let mut command = process::cargo(self.workspace);
        // Blender and what is tested in it are optimised; what drives them need not be, and compiles in half the time.
        command.arg("test").args(build::WORKSPACE).args(E2E).arg("--");
        command.arg(format!("--test-threads={TESTS_AT_A_TIME}")).args(self.filter);
        command.envs(provide::test_environment(self.workspace, self.built()?, self.provided()?)?);
        command.env("BLENDWIRE_TEST_FAULTY_ADDON_ZIP", addon::pack_faulty(self.workspace)?);
        command.env("BLENDWIRE_TEST_BUNDLE", &self.packed()?.bundle);
        command.env("BLENDWIRE_TEST_BIN_WITH_FIXTURES", build::with_fixtures(self.workspace)?);
        process::run(&mut command)
    }

    fn built(&self) -> Result<&Built> {
        once(&self.built, || build::build(self.workspace))
    }

    fn packed(&self) -> Result<&Assembled> {
        once(&self.packed, || dist::check::pack(self.workspace, self.built()?))
    }

    fn provided(&self) -> Result<&Provided> {
        once(&self.provided, provide::provide)
    }

    fn summarise(&self) {
        println!("\n━━━ summary ━━━");
        for (step, duration) in &self.timings {
            println!("{:<9} {:>7.1} s", name(*step), duration.as_secs_f64());
        }
        let total: Duration = self.timings.iter().map(|(_, duration)| *duration).sum();
        println!("{:<9} {:>7.1} s", "total", total.as_secs_f64());
    }
}

fn name(step: Step) -> String {
    format!("{step:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_named_as_typed() {
        for step in Step::value_variants() {
            let typed = step.to_possible_value().unwrap();
            assert_eq!(typed.get_name(), name(*step));
        }
    }
}
