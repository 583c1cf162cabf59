// SPDX-License-Identifier: GPL-3.0-or-later
//! What a command line starts in the end: many entries start a program that starts the server (`uvx`, `npx`, `cmd /c`,
//! `wsl`), and only the words that name something started tell what it is. Plain arguments may say anything.

/// A program that starts another one.
struct Starter {
    programs: &'static [&'static str],
    /// What it is told before the name of what it starts.
    verbs: &'static [&'static str],
    /// Options whose value says nothing of what is started.
    valued: &'static [&'static str],
    /// Options whose value is what is started, or the package or folder that this is in.
    naming: &'static [&'static str],
}

const STARTERS: &[Starter] = &[
    Starter {
        programs: &["uvx", "uv"],
        verbs: &["run", "tool"],
        valued: &["--python", "-p", "--with", "--index", "--default-index", "--index-url", "-i", "--extra-index-url"],
        naming: &["--from", "--directory", "--project", "-m", "--module"],
    },
    Starter {
        programs: &["npx", "npm", "pnpx", "pnpm", "bunx", "bun", "yarn", "node", "deno"],
        verbs: &["run", "exec", "x", "dlx"],
        valued: &["--registry", "--require", "-r", "--import"],
        naming: &["--package", "-p", "--prefix", "--cwd"],
    },
    Starter {
        programs: &["pipx"],
        verbs: &["run"],
        valued: &["--python", "--pip-args", "--index-url"],
        naming: &["--spec"],
    },
    Starter { programs: &["python", "pythonw", "py"], verbs: &[], valued: &["-X", "-W"], naming: &["-m"] },
    Starter {
        programs: &["docker", "podman"],
        verbs: &["run"],
        valued: &[
            "-v",
            "--volume",
            "--mount",
            "-e",
            "--env",
            "--env-file",
            "--name",
            "--network",
            "-p",
            "--publish",
            "-w",
        ],
        naming: &[],
    },
    Starter { programs: &["wsl"], verbs: &[], valued: &["-d", "--distribution", "-u", "--user", "--cd"], naming: &[] },
    Starter { programs: SHELLS, verbs: &[], valued: &[], naming: &[] },
    Starter { programs: &["env", "exec", "nohup"], verbs: &[], valued: &["-u"], naming: &[] },
];

/// They take a whole command in one word.
const SHELLS: &[&str] = &["sh", "bash", "zsh", "cmd", "powershell", "pwsh"];

/// What comes after its value are arguments of the module.
const MODULE: [&str; 2] = ["-m", "--module"];

/// See the module.
#[derive(Default)]
pub(super) struct Started {
    /// The words that name something started: programs, packages, modules, scripts.
    pub(super) names: Vec<String>,
    /// The last command, with its arguments: what is not started by way of another is the whole.
    pub(super) command: Vec<String>,
}

impl Started {
    /// Follows a command line.
    pub(super) fn by(words: &[String]) -> Self {
        let mut started = Self::default();
        started.follow(words);
        started
    }

    fn follow(&mut self, words: &[String]) {
        let Some((program, rest)) = words.split_first() else { return };
        self.names.push(program.clone());
        self.command = words.to_vec();
        let name = name(program);
        let Some(starter) = STARTERS.iter().find(|starter| starter.is(&name)) else { return };
        let mut rest = rest.iter();
        while let Some(word) = rest.next() {
            let (option, value) =
                word.split_once('=').map_or((word.as_str(), None), |(option, value)| (option, Some(value)));
            if starter.naming.contains(&option) {
                self.names.extend(value.map(str::to_owned).or_else(|| rest.next().cloned()));
                if MODULE.contains(&option) {
                    return;
                }
            } else if starter.valued.contains(&option) && value.is_none() {
                rest.next();
            } else if !is_passed_over(word, &name) && !starter.verbs.contains(&word.as_str()) {
                let rest: Vec<_> = std::iter::once(word).chain(rest).cloned().collect();
                return if SHELLS.contains(&name.as_str()) { self.follow_script(&rest) } else { self.follow(&rest) };
            }
        }
    }

    /// A shell's: `cd FOLDER && uvx blender-mcp` is two commands in one word.
    fn follow_script(&mut self, words: &[String]) {
        for command in words.join(" ").split(['&', '|', ';', '\n']) {
            let words: Vec<_> =
                command.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect();
            self.follow(&words);
        }
    }
}

impl Starter {
    /// Pythons have a version in their name.
    fn is(&self, name: &str) -> bool {
        self.programs.contains(&name) || self.programs.contains(&"python") && name.starts_with("python")
    }
}

/// An option without a value of its own, in the way of `cmd` too, or a variable that is set.
fn is_passed_over(word: &str, program: &str) -> bool {
    word.starts_with('-')
        || program == "cmd" && word.starts_with('/') && word.len() == 2
        || program == "env" && word.contains('=')
}

/// The name of a program, of whichever system.
pub(super) fn name(command: &str) -> String {
    let name = command.rsplit(['/', '\\']).next().unwrap_or(command).to_lowercase();
    let endings = [".exe", ".cmd", ".bat"];
    endings.iter().find_map(|ending| name.strip_suffix(ending)).map_or(name.clone(), str::to_owned)
}
