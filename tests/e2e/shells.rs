// SPDX-License-Identifier: GPL-3.0-or-later
//! Completions in the shells that they are for, and the manual as `man` shows it. No Blender takes part.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use blendwire_e2e::Environment;

use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    suite.own("shells::completions_load_in_bash_zsh_and_fish", completions);
    suite.own("shells::the_manual_renders_without_a_warning", manual);
}

/// What a shell offers after `blendwire `, with nothing of the user's own loaded.
const BASH: &str = r#"
source "$SCRIPT"
complete -p blendwire | grep -q -- '-F _blendwire' || exit 3
COMP_WORDS=(blendwire "") COMP_CWORD=1
_blendwire blendwire "" blendwire
printf '%s\n' "${COMPREPLY[@]}"
"#;
/// `_describe` shows what `_blendwire_commands` has put together: there is no line editor to complete in.
const ZSH: &str = r#"
autoload -Uz compinit && compinit -D -u
source "$SCRIPT"
[[ $_comps[blendwire] == _blendwire ]] || exit 3
_describe() { print -l -- ${commands%%:*} }
_blendwire_commands
"#;
const FISH: &str = r"
source $SCRIPT
complete -C 'blendwire '
";

fn completions(environment: &Environment) -> Result<()> {
    let commands = commands(environment)?;
    let folder = tempfile::tempdir()?;
    let shells = [
        ("bash", &["--norc", "--noprofile", "-c"][..], BASH),
        ("zsh", &["-f", "-c"], ZSH),
        ("fish", &["--no-config", "-c"], FISH),
    ];
    for (shell, options, test) in shells {
        let script = folder.path().join(shell);
        fs_err::write(&script, output(Command::new(&environment.blendwire).args(["completions", shell]))?)?;
        let mut command = Command::new(shell);
        command.args(options).arg(test).env("SCRIPT", &script).env("HOME", folder.path()).current_dir(folder.path());
        let offered = output(&mut command).with_context(|| format!("in {shell}"))?;
        // fish puts the description behind a tab.
        let offered: BTreeSet<_> = offered.lines().map(|line| line.split('\t').next().unwrap_or(line)).collect();
        let missing: Vec<_> = commands.iter().filter(|name| !offered.contains(name.as_str())).collect();
        ensure!(missing.is_empty(), "{shell} does not offer {missing:?} but {offered:?}");
    }
    Ok(())
}

fn manual(environment: &Environment) -> Result<()> {
    let folder = tempfile::tempdir()?;
    output(Command::new(&environment.blendwire).args(["man", "--output"]).arg(folder.path()))?;
    let mut missing = commands(environment)?;
    missing.insert("addon-install".to_owned());
    for file in fs_err::read_dir(folder.path())? {
        let file = file?.path();
        let page = file.file_stem().context("a page without a name")?.to_string_lossy().into_owned();
        let shown = shown(&file).with_context(|| page.clone())?;
        for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES"] {
            ensure!(shown.lines().any(|line| line == heading), "{page} has no {heading}:\n{shown}");
        }
        ensure!(shown.contains(&format!("{page}(1)")), "{page} has no name:\n{shown}");
        missing.remove(page.trim_start_matches("blendwire").trim_start_matches('-'));
    }
    ensure!(missing.is_empty(), "no page about {missing:?}");
    let whole = output(Command::new(&environment.blendwire).arg("man"))?;
    ensure!(whole == fs_err::read_to_string(folder.path().join("blendwire.1"))?, "stdout has another page");
    Ok(())
}

/// The page as text. A warning is a mistake in it.
fn shown(page: &Path) -> Result<String> {
    let mut man = Command::new("man");
    man.args(["--warnings", "-l"]).arg(page).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "100").env("MANROFFOPT", "-c");
    output(man.env_remove("MANPATH").env("MANPAGER", "cat"))
}

/// The names that the help has below `Commands:`.
fn commands(environment: &Environment) -> Result<BTreeSet<String>> {
    let help = output(Command::new(&environment.blendwire).arg("--help"))?;
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = below.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let mut names: BTreeSet<_> = names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    names.remove("help");
    ensure!(names.len() > 10, "{help}");
    Ok(names)
}

/// What it prints, when it ends well and says nothing beside.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let is_quiet = said.is_empty() || said.starts_with("wrote ");
    ensure!(output.status.success() && is_quiet, "{command:?}: {} {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
