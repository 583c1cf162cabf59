// SPDX-License-Identifier: GPL-3.0-or-later
//! `cargo xtask dist`: everything that is given away for this platform, the same bytes from whichever folder it is built in.
//!
//! | File | |
//! |---|---|
//! | `blendwire-VERSION-PLATFORM.zip` | the add-on |
//! | `blendwire-cli-VERSION-PLATFORM.tar.gz` (Windows: `.zip`) | the executable, which carries the same add-on |
//! | `blendwire-VERSION-PLATFORM.mcpb` | the executable for Claude Desktop |
//! | `blendwire-VERSION-PLATFORM.cdx.json` | what it is linked from |
//! | `server.json`, `SHA256SUMS` | for the MCP registry, and the checksums of all these |
//!
//! `run` builds; `assemble` packs what is built, and is what the suite calls with the executable that it has tested. How
//! the files of several platforms become one release is in docs/releasing.md.

pub(crate) mod archive;
mod bundle;
pub(crate) mod check;
pub(crate) mod flags;
mod glibc;
mod index;
mod sbom;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use fs_err as fs;
use toml_edit::DocumentMut;

use self::archive::{Entries, Entry};
use self::flags::Flags;
use self::glibc::Glibc;
use self::sbom::Sbom;
use crate::addon;
use crate::build::{self, Built};
use crate::workspace::Workspace;

/// What users are promised at most.
const EXECUTABLE_BYTES: u64 = 20_000_000;
/// What the same program may have in the profile `quick`: with 24 MB there it had 17 as it is given away.
const QUICK_EXECUTABLE_BYTES: u64 = 27_000_000;
const ADDON_BYTES: u64 = 10_000_000;

/// The registry takes 100 characters.
const DESCRIPTION: &str =
    "Drives a running Blender: Python with undo, viewport pictures, renders. One executable, no SDK.";

#[derive(Args)]
#[command(after_help = "Examples:
  cargo xtask dist
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) cargo xtask dist --max-glibc 2.28
  cargo xtask dist --index release    # once the files of all platforms are in the folder release")]
pub(crate) struct Options {
    /// Where the files go [default: target/dist]
    #[arg(long, value_name = "DIR", conflicts_with = "index")]
    out: Option<PathBuf>,
    /// Build nothing: write server.json and SHA256SUMS for the files of all platforms in this folder
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
    /// Fail when executable or core need a newer glibc than this one (Linux)
    #[arg(long, value_name = "VERSION", conflicts_with = "index")]
    max_glibc: Option<Glibc>,
}

/// What all files say of themselves.
struct Product {
    version: String,
    /// Where the sources and the releases are.
    website: String,
    description: &'static str,
    licence: Vec<u8>,
    readme: Vec<u8>,
}

impl Product {
    fn read(workspace: &Workspace) -> Result<Self> {
        let manifest = fs::read_to_string(workspace.root.join("addon/blendwire/blender_manifest.toml"))?;
        let manifest: DocumentMut = manifest.parse().context("blender_manifest.toml")?;
        let website = manifest.get("website").and_then(|item| item.as_str());
        Ok(Self {
            version: workspace.version.clone(),
            website: website.context("blender_manifest.toml names no website")?.to_owned(),
            description: DESCRIPTION,
            licence: fs::read(workspace.root.join("LICENSE"))?,
            readme: fs::read(workspace.root.join("README.md"))?,
        })
    }
}

/// What `assemble` made; all paths are absolute.
pub(crate) struct Assembled {
    files: Vec<PathBuf>,
    /// The `.mcpb`.
    pub(crate) bundle: PathBuf,
    /// Crates that the bill of materials lists, and those of them that are in the files for all to see.
    listed: usize,
    seen: usize,
    glibc: Option<Glibc>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if let Some(folder) = &options.index {
        return index::write(&Product::read(workspace)?, folder);
    }
    let out = options.out.clone().unwrap_or_else(|| workspace.dist());
    let flags = Flags::reproducible(workspace)?;
    let Built { zip, executable } = build::to_give_away(workspace, &flags, &out)?;
    let made = assemble(workspace, &executable, &zip, &out)?;
    made.weigh(&executable, EXECUTABLE_BYTES)?;
    if let (Some(most), Some(needed)) = (options.max_glibc, made.glibc) {
        ensure!(needed <= most, "the files need glibc {needed}, and {most} was allowed: build on an older system");
    }
    made.files.iter().for_each(|file| println!("{}", file.display()));
    Ok(())
}

/// Packs an executable and the add-on's zip that it carries.
pub(crate) fn assemble(workspace: &Workspace, executable: &Path, zip: &Path, out: &Path) -> Result<Assembled> {
    fs::create_dir_all(out)?;
    let out = fs::canonicalize(out)?;
    let product = Product::read(workspace)?;
    let (platform, source_date) = (addon::this_platform()?, archive::source_date()?);
    let name = |prefix: &str, extension: &str| out.join(format!("{prefix}-{}-{platform}.{extension}", product.version));

    let addon = name("blendwire", "zip");
    if !addon.exists() || fs::canonicalize(zip)? != fs::canonicalize(&addon)? {
        fs::copy(zip, &addon)?;
    }
    let program = fs::read(executable)?;
    let archive = name("blendwire-cli", if cfg!(windows) { "zip" } else { "tar.gz" });
    fs::write(&archive, pack(&product, &platform, &program, source_date)?)?;
    let bundle = name("blendwire", "mcpb");
    fs::write(&bundle, bundle::pack(&product, &program)?)?;
    let sbom = Sbom::make(workspace, source_date)?;
    let materials = name("blendwire", "cdx.json");
    fs::write(&materials, &sbom.json)?;
    index::write(&product, &out)?;

    let core = core_of(zip)?;
    let seen = sbom.check_against(&[program.as_slice(), &core].concat())?;
    let glibc = Glibc::needed(&program).max(Glibc::needed(&core));
    let files = vec![addon, archive, bundle.clone(), materials, out.join(index::SERVER), out.join(index::CHECKSUMS)];
    Ok(Assembled { files, bundle, listed: sbom.len(), seen, glibc })
}

/// The archive for those who want the command: one folder, as is the custom.
fn pack(product: &Product, platform: &str, program: &[u8], source_date: Option<u64>) -> Result<Vec<u8>> {
    let folder = format!("blendwire-{}-{platform}", product.version);
    let files = Entries::from([
        (format!("{folder}/{}", self::program()), Entry::program(program)),
        (format!("{folder}/LICENSE"), Entry::file(product.licence.as_slice())),
        (format!("{folder}/README.md"), Entry::file(product.readme.as_slice())),
    ]);
    if cfg!(windows) { archive::zip(&files) } else { archive::tar_gz(&files, source_date) }
}

/// The executable's file name.
fn program() -> String {
    format!("blendwire{}", std::env::consts::EXE_SUFFIX)
}

fn core_of(zip: &Path) -> Result<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(fs::File::open(zip)?)?;
    let mut core = Vec::new();
    archive.by_name(&addon::core_path())?.read_to_end(&mut core)?;
    Ok(core)
}

fn check_size(file: &Path, most: u64) -> Result<()> {
    let size = fs::metadata(file)?.len();
    ensure!(size <= most, "{} has {size} bytes, and {most} are the most: look at what was added", file.display());
    Ok(())
}

impl Assembled {
    /// Tells what everything takes, and fails where that is too much: the executable may have `most` bytes.
    fn weigh(&self, executable: &Path, most: u64) -> Result<()> {
        check_size(executable, most)?;
        check_size(&self.files[0], ADDON_BYTES)?;
        eprintln!("{:>7.2} MB  {} (at most {} MB)", megabytes(executable)?, program(), most / 1_000_000);
        for file in &self.files {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let most = if *file == self.files[0] {
                format!(" (at most {} MB)", ADDON_BYTES / 1_000_000)
            } else {
                String::new()
            };
            eprintln!("{:>7.2} MB  {name}{most}", megabytes(file)?);
        }
        eprintln!("{} crates in the bill of materials; {} of them were seen in the files", self.listed, self.seen);
        if let Some(glibc) = self.glibc {
            eprintln!("glibc {glibc} or later is needed");
        }
        Ok(())
    }
}

fn megabytes(file: &Path) -> Result<f64> {
    // Far below the 52 bits that a float holds exactly.
    let kilobytes = u32::try_from(fs::metadata(file)?.len() / 1000)?;
    Ok(f64::from(kilobytes) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_takes_the_description() {
        assert!(DESCRIPTION.chars().count() <= 100, "{}", DESCRIPTION.len());
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        fs::write(&file, "123").unwrap();
        assert!(check_size(&file, 3).is_ok());
        assert!(check_size(&file, 2).unwrap_err().to_string().contains("3 bytes"));
    }

    #[test]
    fn the_container_has_the_embedded_blender_of_launch() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
        let launch = read("crates/cli/src/commands/launch/embedded.rs");
        let newest = launch.split_once("bpy: \"").unwrap().1.split('"').next().unwrap();
        let recipe = read("packaging/container/Containerfile");
        assert!(recipe.contains(&format!("ARG BPY_VERSION={newest}\n")), "launch has bpy {newest}");
        assert!(recipe.contains(&format!("ARG BLENDWIRE_VERSION={}\n", env!("CARGO_PKG_VERSION"))));
    }
}
