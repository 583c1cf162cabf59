// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire addon` with real Blenders, as a user with nothing but a home folder: from the installed Blender to the first
//! call, from an older version to this one, from one kind of add-on to the other, and back to nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::{Blender, Environment, Flavour, McpSession, Settings, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    suite.own("addon_command::a_fresh_account_gets_to_its_first_call", fresh);
    suite.own("addon_command::an_older_version_is_replaced_and_its_settings_stay", older);
    suite.own("addon_command::installs_into_a_newer_blender", newer);
}

/// A user's account with an installed Blender and nothing else.
struct Account<'a> {
    environment: &'a Environment,
    home: TempDir,
}

impl<'a> Account<'a> {
    fn new(environment: &'a Environment) -> Result<Self> {
        Ok(Self { environment, home: tempfile::Builder::new().prefix("blendwire-test-").tempdir()? })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The folder of Blender's settings.
    fn resources(&self) -> Result<PathBuf> {
        let (major, minor) = self.environment.version()?;
        Ok(self.file(&format!(".config/blender/{major}.{minor}")))
    }

    fn as_user(&self, mut command: Command) -> Command {
        for name in
            ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "BLENDER_USER_RESOURCES", "BLENDWIRE_BLENDER"]
        {
            command.env_remove(name);
        }
        for name in ["BLENDWIRE_TOKEN", "BLENDWIRE_PORT", "BLENDWIRE_HOST", "BLENDWIRE_INSTANCE", "BLENDWIRE_DATA_DIR"]
        {
            command.env_remove(name);
        }
        command.env("HOME", self.home.path()).env("BLENDWIRE_STATE_DIR", self.file("state"));
        command.env("BLENDWIRE_CONFIG_DIR", self.file("config")).stdin(Stdio::null());
        command
    }

    /// The command, with this Blender on PATH.
    fn blendwire(&self, args: &[&str]) -> Result<Command> {
        let folder = self.environment.blender.parent().context("Blender is in a folder")?;
        let mut command = self.as_user(Command::new(&self.environment.blendwire));
        command.args(args).env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display()));
        Ok(command)
    }

    /// Runs it; gives what it printed as JSON.
    fn json(&self, args: &[&str]) -> Result<Value> {
        let output = self.blendwire(&[args, &["--json"]].concat())?.output()?;
        serde_json::from_slice(&output.stdout).with_context(|| format!("{args:?}: {output:?}"))
    }

    /// Of the answer, what concerns the Blender of this account.
    fn of_blender(&self, args: &[&str]) -> Result<Value> {
        let all = self.json(args)?;
        let of_blender =
            all.as_array().into_iter().flatten().find(|one| one["path"] == json!(self.environment.blender));
        of_blender.cloned().with_context(|| format!("{args:?}: {all}"))
    }

    /// One finding of `doctor`.
    fn finding(&self, id: &str) -> Result<Value> {
        let found = self.json(&["doctor", id])?;
        let finding = found.as_array().into_iter().flatten().find(|finding| finding["id"] == id);
        finding.cloned().with_context(|| format!("no {id} in {found}"))
    }

    /// Runs Python in a background Blender with this account's preferences.
    fn python(&self, code: &str) -> Result<String> {
        let mut command = self.as_user(Command::new(&self.environment.blender));
        command.args(["--background", "--python-exit-code", "1", "--python-expr", code]);
        let output = command.output()?;
        ensure!(output.status.success(), "{output:?}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The add-on of this build as another version.
    fn repacked(&self, version: &str) -> Result<PathBuf> {
        let path = self.file(&format!("blendwire-{version}.zip"));
        let numbers = version.replace('.', ", ");
        let code = format!(
            "import re, sys, zipfile\n\
             old, new = zipfile.ZipFile(sys.argv[1]), zipfile.ZipFile(sys.argv[2], 'w', zipfile.ZIP_DEFLATED)\n\
             for name in old.namelist():\n    \
                 data = old.read(name)\n    \
                 if name.endswith('blender_manifest.toml'):\n        \
                     data = re.sub(rb'(?m)^version = .*$', b'version = \"{version}\"', data)\n    \
                 if name == 'blendwire/__init__.py':\n        \
                     data = re.sub(rb'\"version\": .*', b'\"version\": ({numbers}),', data)\n    \
                 new.writestr(name, data)\n\
             new.close()"
        );
        let mut command = Command::new(&self.environment.bpy_5_2);
        let done = command.args(["-c", &code]).arg(&self.environment.addon_zip).arg(&path).status()?;
        ensure!(done.success(), "cannot repack the add-on");
        Ok(path)
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

pub(crate) fn fresh(environment: &Environment) -> Result<()> {
    let account = Account::new(environment)?;
    // A client that has been started once.
    fs_err::create_dir(account.file(".cursor"))?;
    let before = account.finding("addon")?;
    ensure!(before["state"] == "warning" && before["remedies"][0] == "blendwire addon install", "{before}");

    let mut steps: Vec<(&str, Duration)> = Vec::new();
    let mut since = Instant::now();
    let mut step = |name| {
        steps.push((name, since.elapsed()));
        since = Instant::now();
    };
    let installed = account.of_blender(&["addon", "install"])?;
    let (kind, folder) = if environment.has_extensions()? {
        ("extension", "extensions/user_default/blendwire")
    } else {
        ("legacy", "scripts/addons/blendwire")
    };
    ensure!(installed["change"] == "installed" && installed["kind"] == kind, "{installed}");
    step("addon install");
    let status = account.of_blender(&["addon", "status"])?;
    let folder = account.resources()?.join(folder);
    ensure!(status["addons"][0]["enabled"] == true && status["addons"][0]["folder"] == json!(folder), "{status}");
    ensure!(status["addons"][0]["version"] == env!("CARGO_PKG_VERSION") && status["others"] == json!([]), "{status}");
    step("addon status");
    let setup = account.json(&["setup", "--dry-run"])?;
    ensure!(setup["clients"][0]["client"] == "cursor" && setup["clients"][0]["change"] == "added", "{setup}");
    step("setup --dry-run");
    let done = account.blendwire(&["setup", "cursor"])?.output()?;
    ensure!(done.status.success(), "{}", told(&done));
    step("setup");
    let blender = start(environment, &account)?;
    step("Blender");
    all_well(&account)?;
    step("doctor");
    told_soon(&account)?;
    step("doctor, for people");
    let session = McpSession::start(account.blendwire(&["mcp"])?)?;
    let call = session.call("execute_blender_code", json!({"code": "result = bpy.context.object.name"}))?;
    ensure!(call.value()["result"] == "Cube", "{}", call.text());
    step("first call over stdio");
    let total: Duration = steps.iter().map(|(_, took)| *took).sum();
    println!("a fresh account's first call after {total:.1?}: {steps:.1?}");

    let again = account.blendwire(&["addon", "install"])?.output()?;
    ensure!(again.status.success() && told(&again).contains("already installed"), "{}", told(&again));
    let status = account.of_blender(&["addon", "status"])?;
    ensure!(status["running"][0]["pid"] == blender.process.pid(), "{status}");
    let gone = account.blendwire(&["addon", "uninstall"])?.output()?;
    let (told, pid) = (told(&gone), blender.process.pid());
    ensure!(gone.status.success() && told.contains("removed: ") && !folder.exists(), "{told}");
    ensure!(told.contains(&format!("process {pid}")) && told.contains("restart it"), "{told}");
    ensure!(told.contains(&format!("'{}'", account.file("state").display())), "{told}");
    Ok(())
}

/// The checks have deadlines of their own, which a machine that has just started a Blender may miss once.
fn all_well(account: &Account<'_>) -> Result<()> {
    let mut not_well = Vec::new();
    let looked = wait_until("all checks to be well", Duration::from_mins(2), || {
        let found = account.json(&["doctor"]).ok()?;
        let is_well = |finding: &&Value| finding["state"] == "ok" || finding["id"] == "temporary-space";
        not_well = found.as_array()?.iter().filter(|finding| !is_well(finding)).cloned().collect();
        not_well.is_empty().then_some(())
    });
    looked.with_context(|| format!("{not_well:?}"))
}

/// An idle machine needs less than two seconds; others run tests meanwhile, so that it may take a few tries.
fn told_soon(account: &Account<'_>) -> Result<()> {
    let mut last = String::new();
    let looked = wait_until("all checks within 8 s", Duration::from_mins(3), || {
        let told = told(&account.blendwire(&["doctor"]).ok()?.output().ok()?);
        told.trim_end().lines().last().unwrap_or_default().clone_into(&mut last);
        println!("doctor: {last}");
        let secs: f64 = last.rsplit_once(" in ")?.1.strip_suffix(" s")?.parse().ok()?;
        (secs < 8.0).then_some(())
    });
    looked.with_context(|| last)
}

/// As a user starts it, at a port of the test's own.
fn start(environment: &Environment, account: &Account<'_>) -> Result<Blender> {
    let settings = Settings {
        resources: Some(account.resources()?),
        state: Some(account.file("state")),
        variables: vec![("BLENDWIRE_CONFIG_DIR".to_owned(), account.file("config").display().to_string())],
        ..Settings::default()
    };
    Blender::start(environment, Flavour::Windowed, &settings)
}

/// An add-on whose name begins with the letters.
const FOR_MINECRAFT: &str = "bl_info = {'name': 'MCprep', 'version': (1, 2), 'blender': (3, 0, 0), 'category': 'Interface'}\n\
     def register(): pass\ndef unregister(): pass\n";

fn older(environment: &Environment) -> Result<()> {
    let account = Account::new(environment)?;
    let (older, own) = (account.repacked("0.0.9")?, env!("CARGO_PKG_VERSION"));
    let older = older.to_str().context("a path of text")?;
    // As it was in Blender 4.1, whose settings a later one takes over.
    let installed = account.of_blender(&["addon", "install", "--zip", older, "--as", "legacy"])?;
    ensure!(installed["change"] == "installed" && installed["version"] == "0.0.9", "{installed}");
    let scripts = account.resources()?.join("scripts/addons");
    ensure!(scripts.join("blendwire/__init__.py").is_file(), "{installed}");
    fs_err::copy(crate::foreign::theirs(environment)?, scripts.join("another_one.py"))?;
    fs_err::write(scripts.join("mcprep_like.py"), FOR_MINECRAFT)?;
    // The user's own settings: of the add-on, of another one, and of Blender.
    account.python(
        "import bpy\npreferences = bpy.context.preferences\nours = preferences.addons['blendwire'].preferences\n\
         ours.port = 9988\nours.features -= {'undo', 'rollback'}\nours.guard_files = 'deny'\n\
         preferences.view.ui_scale = 1.25\nbpy.ops.preferences.addon_enable(module='another_one')\n\
         bpy.ops.preferences.addon_enable(module='mcprep_like')\nbpy.ops.wm.save_userpref()",
    )?;
    let finding = account.finding("addon")?;
    ensure!(finding["state"] == "warning" && finding["seen"].to_string().contains("0.0.9 in Blender"), "{finding}");

    let planned = account.blendwire(&["addon", "install", "--dry-run"])?.output()?;
    let plan = told(&planned);
    ensure!(plan.contains(&format!("would be updated: 0.0.9 → {own}")) && plan.contains("--disable-others"), "{plan}");
    let updated = account.of_blender(&["addon", "install", "--disable-others"])?;
    ensure!(
        updated["change"] == "updated" && updated["before"] == "0.0.9" && updated["kind"] == "extension",
        "{updated}"
    );
    ensure!(updated["disabled"][0]["module"] == "another_one" && !scripts.join("blendwire").exists(), "{updated}");
    let finding = account.finding("addon")?;
    ensure!(finding["state"] == "ok" && finding["seen"].to_string().contains("enabled"), "{finding}");

    // Back: only when that is wanted, and the extension is replaced by Blender itself.
    let newer = account.repacked("9.0.0")?;
    let newer = account.of_blender(&["addon", "install", "--zip", newer.to_str().context("a path of text")?])?;
    ensure!(newer["change"] == "updated" && newer["before"] == own && newer["version"] == "9.0.0", "{newer}");
    let refused = account.blendwire(&["addon", "install"])?.output()?;
    ensure!(refused.status.code() == Some(1) && told(&refused).contains("--downgrade"), "{}", told(&refused));
    let back = account.of_blender(&["addon", "install", "--downgrade"])?;
    ensure!(back["before"] == "9.0.0" && back["version"] == own, "{back}");
    let kept = account.python(
        "import bpy\npreferences = bpy.context.preferences\naddons = preferences.addons\n\
         ours = addons['bl_ext.user_default.blendwire'].preferences\n\
         print('forbidden', sorted(set(ours.bl_rna.properties['features'].enum_items.keys()) - ours.features), ours.guard_files)\n\
         print('kept', ours.port, round(preferences.view.ui_scale, 2), \
         'another_one' in addons, 'blendwire' in addons, 'mcprep_like' in addons)",
    )?;
    ensure!(kept.contains("kept 9988 1.25 False False True"), "{kept}");
    // What clients may not do they may not do afterwards either.
    ensure!(kept.contains("forbidden ['rollback', 'undo'] deny"), "{kept}");
    switched_off(&account)
}

/// By hand, in Blender's preferences: the folders are as before, and the settings are gone.
fn switched_off(account: &Account<'_>) -> Result<()> {
    account.python(
        "import bpy\nbpy.ops.preferences.addon_disable(module='bl_ext.user_default.blendwire')\nbpy.ops.wm.save_userpref()",
    )?;
    // A Blender that does not answer in time has not said so; that is well, as far as the check knows.
    let finding = wait_until("the check to tell of it", Duration::from_mins(2), || {
        let finding = account.finding("addon").ok()?;
        (finding["state"] == "warning" && finding["seen"].to_string().contains("not enabled")).then_some(finding)
    })?;
    ensure!(finding["remedies"][0].to_string().contains("blendwire addon install"), "{finding}");
    account.of_blender(&["addon", "install"])?;
    let finding = account.finding("addon")?;
    ensure!(finding["state"] == "ok" && finding["seen"].to_string().contains("enabled"), "{finding}");
    Ok(())
}

/// Blender's own Python module in the place of an executable: the same operators, without a window.
fn newer(environment: &Environment) -> Result<()> {
    let account = Account::new(environment)?;
    let folder = account.file("blender-5.2");
    executable(&folder, &environment.bpy_5_2)?;
    let blender = folder.to_str().context("a path of text")?;
    let of = |verb: &str| Ok::<_, anyhow::Error>(account.json(&["addon", verb, "--blender", blender])?[0].clone());
    // By hand, from the zip that is carried.
    let built = account.blendwire(&["addon", "build", "--output"])?.arg(account.home.path()).output()?;
    let zip = String::from_utf8(built.stdout.clone())?.trim().to_owned();
    ensure!(built.status.success(), "{}", told(&built));
    ensure!(fs_err::read(&zip)? == fs_err::read(&environment.addon_zip)?, "{zip} is another one");
    let by_hand = account.json(&["addon", "install", "--blender", blender, "--zip", &zip])?[0].take();
    ensure!(by_hand["change"] == "installed" && by_hand["version"] == env!("CARGO_PKG_VERSION"), "{by_hand}");
    of("uninstall")?;
    let installed = of("install")?;
    ensure!(installed["change"] == "installed" && installed["kind"] == "extension", "{installed}");
    let addon = account.file(".config/blender/5.2/extensions/user_default/blendwire");
    ensure!(addon.join("__init__.py").is_file(), "{installed}");
    let removed = of("uninstall")?;
    ensure!(removed["change"] == "removed" && !addon.exists(), "{removed}");
    Ok(())
}

fn executable(folder: &Path, python: &Path) -> Result<()> {
    fs_err::create_dir(folder)?;
    fs_err::write(
        folder.join("blender.py"),
        // An installed Blender says its version at once; the module would take seconds to load for that.
        "import sys\nfrom importlib.metadata import version\nif '--version' in sys.argv: print('Blender', version('bpy'))\n\
         else:\n    import bpy\n    exec(sys.argv[sys.argv.index('--python-expr') + 1])\n",
    )?;
    let script = format!("#!/bin/sh\nexec '{}' '{}/blender.py' \"$@\"\n", python.display(), folder.display());
    // Written by another process: see `text file busy`.
    let mut command = Command::new("sh");
    command.args(["-c", "printf %s \"$2\" > \"$1\" && chmod +x \"$1\"", "sh"]).arg(folder.join("blender")).arg(script);
    ensure!(command.status()?.success());
    Ok(())
}
