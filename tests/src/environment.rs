// SPDX-License-Identifier: GPL-3.0-or-later
//! What there is to test with, as `cargo xtask provide` sets it out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};

use crate::template::Templates;

/// Paths of everything that the tests start.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The `blendwire` executable.
    pub blendwire: PathBuf,
    /// The add-on for this platform.
    pub addon_zip: PathBuf,
    /// A Python with the `bpy` module 4.2.
    pub bpy_4_2: PathBuf,
    /// A Python with the `bpy` module 5.0.
    pub bpy_5_0: PathBuf,
    /// A Python with the `bpy` module 5.2.
    pub bpy_5_2: PathBuf,
    /// A Blender with its window.
    pub blender: PathBuf,
    /// Others with theirs, of other versions: what they are called in the names of tests, and where they are.
    pub other_blenders: Vec<(&'static str, PathBuf)>,
    /// Of `blender`, once somebody has asked.
    version: OnceLock<(u32, u32)>,
    /// The virtual display's server.
    pub xvfb: PathBuf,
    /// A Python with the official connector's MCP server (`blmcp`).
    pub connector: PathBuf,
    /// A Python with mcp-for-blender's MCP server (`blender_mcp`).
    pub mcp_for_blender: PathBuf,
    /// A Python with version 2.3 of MCP's SDK; `connector` has 1.30.
    pub mcp_2_3: PathBuf,
    /// Node.js.
    pub node: PathBuf,
    /// MCP's conformance suite, for Node.js.
    pub conformance: PathBuf,
    /// MCP's inspector, likewise.
    pub inspector: PathBuf,
    /// A Chromium that runs headless.
    #[cfg(target_os = "linux")]
    pub browser: PathBuf,
    /// The program that sets up network devices.
    #[cfg(target_os = "linux")]
    pub ip: PathBuf,
    /// The firewall of Linux.
    #[cfg(target_os = "linux")]
    pub nft: PathBuf,
    /// The server of OpenSSH, which wants to be called by its whole path.
    #[cfg(target_os = "linux")]
    pub sshd: PathBuf,
    /// Where pictures and logs that a person may want to see are kept.
    pub artefacts: PathBuf,
    /// The root of the repository.
    pub workspace: PathBuf,
    pub(crate) templates: Templates,
}

/// Windowed Blenders of other versions: what they are called in the names of tests, and the variables that name them.
const OTHER_BLENDERS: [(&str, &str); 2] =
    [("blender_4_0", "BLENDWIRE_TEST_BLENDER_4_0"), ("blender_newest", "BLENDWIRE_TEST_BLENDER_NEWEST")];

impl Environment {
    /// Reads the environment variables.
    ///
    /// # Errors
    /// Names the variable that is missing and the command that sets them all.
    pub fn from_env() -> Result<Self> {
        Ok(Self {
            blendwire: path("BLENDWIRE_TEST_BIN")?,
            addon_zip: path("BLENDWIRE_TEST_ADDON_ZIP")?,
            bpy_4_2: path("BLENDWIRE_TEST_BPY_4_2")?,
            bpy_5_0: path("BLENDWIRE_TEST_BPY_5_0")?,
            bpy_5_2: path("BLENDWIRE_TEST_BPY_5_2")?,
            blender: path("BLENDWIRE_TEST_BLENDER")?,
            other_blenders: OTHER_BLENDERS
                .iter()
                .filter_map(|(name, variable)| Some((*name, std::env::var_os(variable)?.into())))
                .collect(),
            version: OnceLock::new(),
            xvfb: path("BLENDWIRE_TEST_XVFB")?,
            connector: path("BLENDWIRE_TEST_CONNECTOR")?,
            mcp_for_blender: path("BLENDWIRE_TEST_MCP_FOR_BLENDER")?,
            mcp_2_3: path("BLENDWIRE_TEST_MCP_2_3")?,
            node: path("BLENDWIRE_TEST_NODE")?,
            conformance: path("BLENDWIRE_TEST_CONFORMANCE")?,
            inspector: path("BLENDWIRE_TEST_INSPECTOR")?,
            #[cfg(target_os = "linux")]
            browser: path("BLENDWIRE_TEST_BROWSER")?,
            #[cfg(target_os = "linux")]
            ip: path("BLENDWIRE_TEST_IP")?,
            #[cfg(target_os = "linux")]
            nft: path("BLENDWIRE_TEST_NFT")?,
            #[cfg(target_os = "linux")]
            sshd: path("BLENDWIRE_TEST_SSHD")?,
            artefacts: path("BLENDWIRE_TEST_ARTEFACTS")?,
            workspace: path("BLENDWIRE_WORKSPACE")?,
            templates: Templates::default(),
        })
    }

    /// The same, with another windowed Blender, whose pictures get a folder of their own.
    ///
    /// # Errors
    /// When that folder cannot be made.
    pub fn with_blender(&self, name: &str, blender: &Path) -> Result<Self> {
        let artefacts = self.artefacts.join(name);
        fs_err::create_dir_all(&artefacts)?;
        Ok(Self { blender: blender.to_owned(), version: OnceLock::new(), artefacts, ..self.clone() })
    }

    /// The version of the windowed Blender, major and minor.
    ///
    /// # Errors
    /// When it does not run, or says something else.
    pub fn version(&self) -> Result<(u32, u32)> {
        if let Some(version) = self.version.get() {
            return Ok(*version);
        }
        let output = Command::new(&self.blender).arg("--version").output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().find_map(|line| line.strip_prefix("Blender "));
        let mut numbers = line.unwrap_or_default().split(['.', ' ']).filter_map(|number| number.parse().ok());
        let version = numbers.next().zip(numbers.next());
        let version = version.with_context(|| format!("{}: no version in: {said}", self.blender.display()))?;
        Ok(*self.version.get_or_init(|| version))
    }

    /// Whether the windowed Blender knows extensions. An earlier one has add-ons of the old kind, and no commands of theirs.
    ///
    /// # Errors
    /// As [`Environment::version`].
    pub fn has_extensions(&self) -> Result<bool> {
        Ok(self.version()? >= (4, 2))
    }

    /// The same, with an add-on that panics where a test wants it (`crates/bridge/src/panics.rs`), and whose MCP server has
    /// what the conformance suite calls by name.
    ///
    /// # Errors
    /// When the environment variable is missing.
    pub fn with_faults(&self) -> Result<Self> {
        Ok(Self { addon_zip: path("BLENDWIRE_TEST_FAULTY_ADDON_ZIP")?, ..self.clone() })
    }

    /// The same, with an executable whose MCP server has what the conformance suite calls by name.
    ///
    /// # Errors
    /// When the environment variable is missing.
    pub fn with_fixtures(&self) -> Result<Self> {
        Ok(Self { blendwire: path("BLENDWIRE_TEST_BIN_WITH_FIXTURES")?, ..self.clone() })
    }
}

/// The bundle for Claude Desktop, and what unpacks and reads it.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The `.mcpb`.
    pub file: PathBuf,
    /// The entry point of its maker's own tool, for Node.js.
    pub tool: PathBuf,
}

impl Bundle {
    /// Reads the environment variables.
    ///
    /// # Errors
    /// As [`Environment::from_env`].
    pub fn from_env() -> Result<Self> {
        Ok(Self { file: path("BLENDWIRE_TEST_BUNDLE")?, tool: path("BLENDWIRE_TEST_MCPB")? })
    }
}

fn path(variable: &str) -> Result<PathBuf> {
    let value = std::env::var_os(variable)
        .with_context(|| format!("{variable} is not set; run the tests with `cargo xtask test`, which provides it"))?;
    Ok(PathBuf::from(value))
}
