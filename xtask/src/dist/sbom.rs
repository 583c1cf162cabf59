// SPDX-License-Identifier: GPL-3.0-or-later
//! The bill of materials: every crate that the executable and the core in its add-on are linked from, as `CycloneDX` JSON.
//!
//! What is linked is cargo's to say (`cargo tree`, for this platform and these features, without what only runs at
//! build time), checksums are those of `Cargo.lock`, licences those of each crate. Written here and not by cargo-cyclonedx, which names
//! our own packages by their paths on the machine that builds, and gives each run another serial number.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use fs_err as fs;
use serde_json::{Map, Value, json};
use toml_edit::DocumentMut;

use crate::process;
use crate::workspace::Workspace;

const SPEC_VERSION: &str = "1.6";

/// The two that are given away; the second lies in the first.
const ROOTS: [&str; 2] = ["blendwire", "blendwire-native"];

/// Name and version.
type Crate = (String, String);

/// What a crate is linked from, for each.
type Graph = BTreeMap<Crate, BTreeSet<Crate>>;

/// The document, and what it lists.
pub(crate) struct Sbom {
    pub(crate) json: String,
    crates: BTreeSet<String>,
}

impl Sbom {
    pub(crate) fn make(workspace: &Workspace, source_date: Option<u64>) -> Result<Self> {
        let mut graph = Graph::new();
        for root in ROOTS {
            add_linked(&tree(workspace, root)?, &mut graph)?;
        }
        let known = Known::read(workspace)?;
        let root = (ROOTS[0].to_owned(), workspace.version.clone());
        let core = (ROOTS[1].to_owned(), workspace.version.clone());
        graph.entry(root.clone()).or_default().insert(core);
        let components: Vec<Value> =
            graph.keys().filter(|key| **key != root).map(|key| known.component(key)).collect::<Result<_>>()?;
        let dependencies: Vec<Value> = graph
            .iter()
            .map(|(key, on)| json!({"ref": reference(key), "dependsOn": on.iter().map(reference).collect::<Vec<_>>()}))
            .collect();
        let mut metadata = Map::new();
        if let Some(seconds) = source_date {
            let time = jiff::Timestamp::from_second(i64::try_from(seconds)?)?;
            metadata.insert("timestamp".to_owned(), json!(time.to_string()));
        }
        let mut product = known.component(&root)?;
        product["type"] = json!("application");
        metadata.insert("component".to_owned(), product);
        let document = json!({
            "$schema": format!("http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json"),
            "bomFormat": "CycloneDX",
            "specVersion": SPEC_VERSION,
            "version": 1,
            "metadata": metadata,
            "components": components,
            "dependencies": dependencies,
        });
        let crates = graph.keys().map(|(name, version)| format!("{name}-{version}")).collect();
        Ok(Self { json: serde_json::to_string_pretty(&document)? + "\n", crates })
    }

    /// How many crates it lists, ours among them.
    pub(crate) fn len(&self) -> usize {
        self.crates.len()
    }

    /// Looks for evidence in a file that was linked: the paths of crates' sources that are in messages of panics. Returns how
    /// many crates there were.
    ///
    /// # Errors
    /// Names those that are not listed.
    pub(crate) fn check_against(&self, linked: &[u8]) -> Result<usize> {
        let seen = crates_in(linked);
        let missing: Vec<&String> = seen.difference(&self.crates).collect();
        ensure!(missing.is_empty(), "the bill of materials lacks crates that are in the file: {missing:?}");
        Ok(seen.len())
    }
}

/// What `cargo tree` prints: a line for each way to each crate that is linked or runs at build time for one that is, with
/// its depth in front.
fn tree(workspace: &Workspace, package: &str) -> Result<String> {
    let mut command = process::cargo(workspace);
    command.args(["tree", "--locked", "--package", package, "--edges", "normal", "--no-dedupe"]);
    process::capture(command.args(["--prefix", "depth", "--format", " {p}"]))
}

/// Follows the tree, without the branches that grow from procedural macros: these run in the compiler.
fn add_linked(tree: &str, graph: &mut Graph) -> Result<()> {
    let mut way: Vec<Option<Crate>> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let (depth, name, version) = parts(line).with_context(|| format!("cargo tree printed {line:?}"))?;
        way.truncate(depth);
        let is_linked = !line.contains("(proc-macro)") && way.iter().all(Option::is_some);
        let this = is_linked.then(|| (name.to_owned(), version.to_owned()));
        if let Some(this) = &this {
            graph.entry(this.clone()).or_default();
            if let Some(Some(user)) = way.last() {
                graph.entry(user.clone()).or_default().insert(this.clone());
            }
        }
        way.push(this);
    }
    Ok(())
}

/// `2 tokio v1.54.0 (…)`.
fn parts(line: &str) -> Option<(usize, &str, &str)> {
    let mut words = line.split_whitespace();
    let depth = words.next()?.parse().ok()?;
    Some((depth, words.next()?, words.next()?.strip_prefix('v')?))
}

fn reference((name, version): &Crate) -> String {
    format!("{name}@{version}")
}

/// What is known of each crate: licence, and checksum where it was published.
struct Known {
    licences: BTreeMap<Crate, String>,
    checksums: BTreeMap<Crate, String>,
}

impl Known {
    fn read(workspace: &Workspace) -> Result<Self> {
        let mut command = process::cargo(workspace);
        let metadata = process::capture(command.args(["metadata", "--locked", "--format-version=1"]))?;
        let metadata: Value = serde_json::from_str(&metadata).context("reading `cargo metadata`")?;
        let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let licences = packages.iter().map(|package| {
            // A slash is what cargo took before there were expressions.
            let licence = text(&package["license"]).replace('/', " OR ");
            (
                (text(&package["name"]), text(&package["version"])),
                licence.split_whitespace().collect::<Vec<_>>().join(" "),
            )
        });
        let lock: DocumentMut = fs::read_to_string(workspace.root.join("Cargo.lock"))?.parse().context("Cargo.lock")?;
        let locked = lock["package"].as_array_of_tables().context("Cargo.lock lists no packages")?;
        let checksums = locked.iter().filter_map(|package| {
            let text = |key| package.get(key).and_then(|item| item.as_str()).map(str::to_owned);
            Some(((text("name")?, text("version")?), text("checksum")?))
        });
        Ok(Self { licences: licences.collect(), checksums: checksums.collect() })
    }

    fn component(&self, key: &Crate) -> Result<Value> {
        let (name, version) = key;
        let Some(licence) = self.licences.get(key).filter(|licence| !licence.is_empty()) else {
            bail!("{name} {version} names no licence");
        };
        let mut component = json!({
            "type": "library",
            "bom-ref": reference(key),
            "name": name,
            "version": version,
            "licenses": [{"expression": licence}],
        });
        match self.checksums.get(key) {
            Some(checksum) => {
                component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
                component["purl"] = json!(format!("pkg:cargo/{name}@{}", version.replace('+', "%2B")));
            }
            None if name.starts_with("blendwire") => {}
            None => bail!("{name} {version} has no checksum in Cargo.lock: where does it come from?"),
        }
        Ok(component)
    }
}

/// Names with versions of the crates whose sources' paths are in these bytes: `registry/src/INDEX/NAME-VERSION/…`, or
/// what `flags` makes of that.
fn crates_in(bytes: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (mark, folders_before) in [("registry/src/", 1), ("registry\\src\\", 1), ("/crates/", 0), ("/crates\\", 0)] {
        let mut rest = bytes;
        while let Some(at) = memchr::memmem::find(rest, mark.as_bytes()) {
            rest = &rest[at + mark.len()..];
            let text = &rest[..rest.len().min(200)];
            let mut folders = text.split(|byte| matches!(byte, b'/' | b'\\')).skip(folders_before);
            let (name, next) = (folders.next().unwrap_or_default(), folders.next());
            // Our own crates lie in a folder of that name too, without a version.
            let has_version = name.windows(2).any(|pair| pair[0] == b'-' && pair[1].is_ascii_digit());
            if has_version && next.is_some() && name.iter().all(u8::is_ascii_graphic) {
                found.insert(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Crate {
        (name.to_owned(), "1.0.0".to_owned())
    }

    #[test]
    fn what_runs_in_the_compiler_is_not_linked() {
        let tree = "0 a v1.0.0 (/x)\n1 m v1.0.0 (proc-macro)\n2 syn v1.0.0\n1 b v1.0.0\n2 c v1.0.0\n1 c v1.0.0\n";
        let mut graph = Graph::new();
        add_linked(tree, &mut graph).unwrap();
        assert_eq!(graph.keys().cloned().collect::<Vec<_>>(), ["a", "b", "c"].map(key));
        assert_eq!(graph[&key("a")], BTreeSet::from(["b", "c"].map(key)));
        assert_eq!(graph[&key("b")], BTreeSet::from([key("c")]));
        assert!(add_linked("0 a", &mut graph).is_err());
    }

    #[test]
    fn crates_are_seen_in_what_was_linked() {
        let sources = b"\0/h/.cargo/registry/src/index.example-1/tokio-1.54.0/src/a.rs\0/crates/ring-0.17.14/src/b.rs\
            /x/crates/cli/src/main.rs\0/rust/deps/gimli-0.32.3/src/lib.rs";
        let names: Vec<_> = crates_in(sources).into_iter().collect();
        assert_eq!(names, ["ring-0.17.14", "tokio-1.54.0"]);
        let sbom = Sbom { json: String::new(), crates: BTreeSet::from(["ring-0.17.14".to_owned()]) };
        assert!(sbom.check_against(sources).unwrap_err().to_string().contains("tokio-1.54.0"));
        assert_eq!(sbom.check_against(b"/crates/ring-0.17.14/src/b.rs").unwrap(), 1);
    }
}
