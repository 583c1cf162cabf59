// SPDX-License-Identifier: GPL-3.0-or-later
//! TLS as a client speaks it: who the server is, told by a pinned fingerprint or by an authority; and what it means when
//! that fails, in words for whoever is stuck.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use blendwire_credentials::{CurrentFingerprint, Fingerprint};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::{ClientError, Endpoint, Tls};

/// Puts `stream` inside TLS.
pub(crate) async fn wrap(
    endpoint: &Endpoint,
    tls: &Tls,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, ClientError> {
    let failed = |why: String| ClientError::Tls { endpoint: endpoint.clone(), why };
    let provider = Arc::new(ring::default_provider());
    let trust = match tls {
        Tls::Pinned(fingerprint) => Trust::Pinned(*fingerprint),
        Tls::Current(fingerprint) => Trust::Current(fingerprint.clone()),
        Tls::Verified { ca } => Trust::Authority(authorities(&provider, ca.as_deref()).map_err(failed)?),
        Tls::Off => return Err(failed("this client was told to go without TLS".to_owned())),
    };
    let verifier = Arc::new(Verifier { trust, provider: provider.clone(), seen: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_no_client_auth();
    let name = ServerName::try_from(endpoint.host.clone())
        .map_err(|_| failed(format!("{:?} is no host name that a certificate could be for", endpoint.host)))?;
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    connected.map_err(|error| match inner(&error) {
        Some(Error::InvalidMessage(_)) => ClientError::NotInTls { endpoint: endpoint.clone() },
        _ => failed(words(&error, verifier.seen())),
    })
}

/// What TLS itself says of it.
fn inner(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// Those that the system trusts, and those in the file.
fn authorities(provider: &Arc<CryptoProvider>, ca: Option<&Path>) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(ca) = ca {
        let unusable = |why: String| format!("the authority's file {} cannot be used: {why}", ca.display());
        let pem = std::fs::read(ca).map_err(|error| unusable(error.to_string()))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let certificates = certificates.map_err(|error| unusable(error.to_string()))?;
        if roots.add_parsable_certificates(certificates).0 == 0 {
            return Err(unusable("there is no certificate of an authority in it".to_owned()));
        }
    }
    if roots.is_empty() {
        return Err("this machine trusts no authority; give the server's fingerprint with --fingerprint, or the \
                    authority that signed its certificate with --ca"
            .to_owned());
    }
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    built.map_err(|error| error.to_string())
}

#[derive(Debug)]
enum Trust {
    Pinned(Fingerprint),
    Current(CurrentFingerprint),
    Authority(Arc<WebPkiServerVerifier>),
}

/// Remembers what the server showed, so that a person can compare it.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Fingerprint>>,
}

impl Verifier {
    fn seen(&self) -> Option<Fingerprint> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let fingerprint = Fingerprint::of(end_entity);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(fingerprint);
        match &self.trust {
            Trust::Pinned(pinned) if *pinned == fingerprint => Ok(ServerCertVerified::assertion()),
            Trust::Current(current) if current.get() == Some(fingerprint) => Ok(ServerCertVerified::assertion()),
            Trust::Pinned(_) | Trust::Current(_) => {
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            Trust::Authority(authority) => {
                authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
        }
    }

    // Whoever shows the certificate must also hold its key, pinned or not.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn words(error: &io::Error, seen: Option<Fingerprint>) -> String {
    let shown = seen.map_or_else(|| "unknown".to_owned(), |seen| seen.to_string());
    let pin = format!(
        "its fingerprint is {shown}: compare that with what `blendwire tls` shows on Blender's machine and, if it is the \
         same, give it with --fingerprint or BLENDWIRE_FINGERPRINT"
    );
    match inner(error) {
        Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => format!(
            "the server showed another certificate than the one of the fingerprint given: {shown}. Where it was renewed, \
             `blendwire tls` on Blender's machine shows the new fingerprint; else somebody is between you and Blender"
        ),
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => format!(
            "the server's certificate is signed by itself, or by an authority that this machine does not trust (give \
             that with --ca); {pin}"
        ),
        Some(Error::InvalidCertificate(
            why @ (CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }),
        )) => format!("the server's certificate is for another name ({why}): connect by a name that it is for; or {pin}"),
        Some(Error::InvalidCertificate(
            why @ (CertificateError::Expired | CertificateError::ExpiredContext { .. }),
        )) => format!(
            "the server's certificate has expired ({why}): renew it on Blender's machine (`blendwire tls --make` for one \
             that Blendwire made); or this machine's clock is wrong"
        ),
        Some(Error::InvalidCertificate(
            why @ (CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }),
        )) => format!("the server's certificate is not valid yet ({why}): check the clocks of both machines"),
        Some(Error::InvalidCertificate(why)) => format!("the server's certificate cannot be used ({why}); {pin}"),
        Some(other) => format!("{other}; `blendwire tls` on Blender's machine shows its certificate"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the server ended the connection in the middle of the handshake: it may not speak TLS (then --plain), or not \
             let this machine in; Blender's log says which"
                .to_owned()
        }
        None => error.to_string(),
    }
}
