// SPDX-License-Identifier: GPL-3.0-or-later
//! The folder that holds token and certificate, and what is where in it.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use crate::{CertificateFiles, TokenFile};

/// Where one user keeps what lets others in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

/// The system does not say where this user's files are.
#[derive(Debug, thiserror::Error)]
#[error("the system names no home folder; say where token and certificate are with BLENDWIRE_CONFIG_DIR")]
pub struct NoFolder;

impl Folder {
    /// This folder.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// `blendwire` in the place that the system has for a user's settings: `$XDG_CONFIG_HOME` or `~/.config` on Linux
    /// and macOS, `%APPDATA%` on Windows.
    pub fn of_user() -> Result<Self, NoFolder> {
        let strategy = etcetera::choose_base_strategy().map_err(|_| NoFolder)?;
        Ok(Self(strategy.config_dir().join("blendwire")))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The token.
    pub fn token(&self) -> TokenFile {
        TokenFile::new(self.0.join("token"))
    }

    /// The certificate that is made on demand, and its key.
    pub fn own_certificate(&self) -> CertificateFiles {
        CertificateFiles { certificate: self.0.join("certificate.pem"), key: self.0.join("key.pem") }
    }
}
