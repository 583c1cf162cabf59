// SPDX-License-Identifier: GPL-3.0-or-later
//! The certificate that TLS clients are shown: the user's, or one of our own that is made when the first one comes. It
//! is read again when its files have changed, so that a renewed one needs no restart.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use blendwire_credentials::{CertificateError, CertificateFiles, Fingerprint, Folder, Stamp, own_names};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{AlertDescription, Error, ServerConfig};

/// What TLS clients may be told that they speak to (ALPN). Without it some would begin with HTTP/2.
const HTTP_1_1: &[u8] = b"http/1.1";

/// See the module.
#[derive(Debug)]
pub(crate) struct Tls {
    /// `None` where the user gave none and the system names no folder for one of ours.
    files: Option<CertificateFiles>,
    /// Whether one may be made, and for which names.
    own_names: Option<Vec<String>>,
    known: Mutex<Option<Known>>,
    /// That of the certificate shown last, under a lock that nobody holds while files are read.
    shown: Mutex<Option<Fingerprint>>,
}

struct Known {
    stamps: [Option<Stamp>; 2],
    acceptor: TlsAcceptor,
    /// The first of the chain.
    certificate: CertificateDer<'static>,
    fingerprint: Fingerprint,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Known").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoTls {
    #[error("{0}")]
    Certificate(#[from] CertificateError),
    #[error("certificate and key are no pair, or of a kind that is not supported: {0}")]
    Unusable(#[from] Error),
    #[error("the certificate's file is empty")]
    Empty,
    #[error("the system names no folder for a certificate; set BLENDWIRE_CONFIG_DIR, or give certificate and key")]
    NoFolder,
}

impl Tls {
    /// With the user's certificate, else with one of our own in `folder` for a server that listens on `endpoints`.
    pub(crate) fn new(given: Option<&CertificateFiles>, folder: Option<&Folder>, endpoints: &[SocketAddr]) -> Self {
        let addresses: Vec<_> = endpoints.iter().map(SocketAddr::ip).collect();
        let own_names = given.is_none().then(|| own_names(&addresses));
        let files = given.cloned().or_else(|| folder.map(Folder::own_certificate));
        Self { files, own_names, known: Mutex::default(), shown: Mutex::default() }
    }

    /// What accepts a TLS client now. Reads files: not for the network thread.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, NoTls> {
        let files = self.files.as_ref().ok_or(NoTls::NoFolder)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = files.stamps();
        if let Some(known) = known.as_ref().filter(|known| known.stamps == stamps) {
            return Ok(known.acceptor.clone());
        }
        match self.load(files) {
            Ok(loaded) => {
                log::info!("TLS clients are shown the certificate {}", loaded.fingerprint);
                *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(loaded.fingerprint);
                Ok(known.insert(loaded).acceptor.clone())
            }
            Err(error) => {
                let Some(known) = known.as_mut() else { return Err(error) };
                // Half of a renewal, perhaps: what was good goes on until its files change again.
                log::error!("the changed certificate cannot be used, the one before stays: {error}");
                known.stamps = stamps;
                Ok(known.acceptor.clone())
            }
        }
    }

    /// Of the certificate that clients have been shown last.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the certificate that clients are shown says that this server has this name.
    pub(crate) fn is_for(&self, name: &str) -> bool {
        let Ok(name) = ServerName::try_from(name) else { return false };
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let parsed = known.as_ref().and_then(|known| ParsedCertificate::try_from(&known.certificate).ok());
        parsed.is_some_and(|parsed| verify_server_name(&parsed, &name).is_ok())
    }

    fn load(&self, files: &CertificateFiles) -> Result<Known, NoTls> {
        // Before they are read: what is replaced meanwhile is read again.
        let stamps = files.stamps();
        let identity = match &self.own_names {
            Some(names) => files.read_or_make(names)?,
            None => files.read()?,
        };
        let fingerprint = identity.fingerprint().ok_or(NoTls::Empty)?;
        let certificate = identity.chain.first().cloned().ok_or(NoTls::Empty)?;
        // Said by name: which cryptography a process uses by default is not ours to say inside Blender.
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
        let mut config = config.with_single_cert(identity.chain, identity.key)?;
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        Ok(Known { stamps, acceptor: TlsAcceptor::from(Arc::new(config)), certificate, fingerprint })
    }
}

/// What a failed handshake means, for the log.
pub(crate) fn handshake_words(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired),
        )) => format!(
            "the client does not trust this server's certificate ({alert:?}): give it the fingerprint that `blendwire \
             tls` shows, or the authority that signed it"
        ),
        Some(Error::PeerIncompatible(why)) => format!("the client's TLS is too old or too different: {why:?}"),
        _ => error.to_string(),
    }
}
