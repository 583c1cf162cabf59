// SPDX-License-Identifier: GPL-3.0-or-later
//! Certificate and key, as files in PEM: read, or made by ourselves.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::secret_file::{self, Stamp};
use crate::{Fingerprint, SecretError};

/// A certificate of our own is told by its fingerprint, which changes with it: it lasts as long as software may.
const LASTS_YEARS: i32 = 10;

/// Where certificate and key lie. The certificate's file may hold the chain up to its authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// PEM of the certificate, its own first.
    pub certificate: PathBuf,
    /// PEM of the private key.
    pub key: PathBuf,
}

/// What a server proves who it is with.
#[derive(Debug)]
pub struct Identity {
    /// Its own certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key; its `Debug` shows nothing of it.
    pub key: PrivateKeyDer<'static>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read or written, or is open to others.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A file holds something else.
    #[error("{} holds no {what} in PEM (-----BEGIN …): {why}", .path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// What the parser said.
        why: String,
    },
    /// One of our own could not be made.
    #[error("cannot make a certificate: {0}")]
    NotMade(#[from] rcgen::Error),
}

impl Identity {
    /// The fingerprint of its certificate.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.chain.first().map(|certificate| Fingerprint::of(certificate))
    }
}

impl CertificateFiles {
    /// Change when another certificate or key is there.
    pub fn stamps(&self) -> [Option<Stamp>; 2] {
        [Stamp::of(&self.certificate), Stamp::of(&self.key)]
    }

    /// Reads both.
    pub fn read(&self) -> Result<Identity, CertificateError> {
        Ok(Identity { chain: self.read_chain()?, key: self.read_key()? })
    }

    /// Reads the certificate alone, which is no secret.
    pub fn read_chain(&self) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
        let path = &self.certificate;
        let not_pem = |why| CertificateError::NotPem { path: path.clone(), what: "certificate", why };
        let pem = std::fs::read(path).map_err(SecretError::io("read", path))?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain = chain.map_err(|error| not_pem(error.to_string()))?;
        if chain.is_empty() { Err(not_pem("there is none in it".to_owned())) } else { Ok(chain) }
    }

    fn read_key(&self) -> Result<PrivateKeyDer<'static>, CertificateError> {
        let path = &self.key;
        let pem = secret_file::read(path)?;
        PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| {
            let why = error.to_string();
            CertificateError::NotPem { path: path.clone(), what: "private key", why }
        })
    }

    /// Reads both, or makes a certificate for `names` (host names and addresses) that is signed by itself.
    pub fn read_or_make(&self, names: &[String]) -> Result<Identity, CertificateError> {
        // A key alone is what a crash half-way left.
        if is_missing(&self.certificate) {
            self.make(names)?;
        }
        self.read()
    }

    /// Makes a certificate for `names`, signed by itself, in place of what is there.
    pub fn make(&self, names: &[String]) -> Result<(), CertificateError> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "Blendwire");
        let now = std::time::SystemTime::now();
        // A client whose clock is behind by less than a day still takes it.
        let first = rcgen::date_time_ymd(1970, 1, 1) + now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        params.not_before = first - std::time::Duration::from_hours(24);
        params.not_after = first.replace_year(first.year() + LASTS_YEARS).unwrap_or(first);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        // The key first: with a certificate alone, the next start would say that its key is missing.
        secret_file::write(&self.key, &key.serialize_pem())?;
        secret_file::write(&self.certificate, &certificate.pem())?;
        Ok(())
    }
}

/// The names by which clients reach this machine: for a server that listens on `addresses`, as far as they say.
pub fn own_names(addresses: &[IpAddr]) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let host = gethostname::gethostname().into_string().ok();
    names.extend(host.filter(|name| !name.is_empty() && name.is_ascii()));
    names.extend(addresses.iter().filter(|address| !address.is_unspecified()).map(IpAddr::to_string));
    names.sort();
    names.dedup();
    names
}

fn is_missing(path: &Path) -> bool {
    matches!(path.metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> (tempfile::TempDir, CertificateFiles) {
        let folder = tempfile::tempdir().unwrap();
        let files = crate::Folder::at(folder.path()).own_certificate();
        (folder, files)
    }

    fn names() -> Vec<String> {
        vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()]
    }

    #[test]
    fn is_made_once_and_stays_the_same() {
        let (_folder, files) = files();
        let first = files.read_or_make(&names()).unwrap().fingerprint();
        assert_eq!(files.read_or_make(&names()).unwrap().fingerprint(), first);
        let stamps = files.stamps();
        files.make(&names()).unwrap();
        assert_ne!(files.read().unwrap().fingerprint(), first);
        assert_ne!(files.stamps(), stamps);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let (_folder, files) = files();
        files.make(&names()).unwrap();
        let said = |files: &CertificateFiles| files.read().unwrap_err().to_string();
        std::fs::remove_file(&files.key).unwrap();
        assert!(said(&files).contains("key.pem"), "{}", said(&files));
        secret_file::write(&files.key, "no key").unwrap();
        assert!(said(&files).contains("private key in PEM"), "{}", said(&files));
        secret_file::write(&files.certificate, "").unwrap();
        assert!(said(&files).contains("certificate in PEM"), "{}", said(&files));
    }
}
