// SPDX-License-Identifier: GPL-3.0-or-later
//! What decides who gets in, as it lies in the user's own folder: the token and the certificate. Makes them, reads them
//! and refuses files that others could read.
//!
//! Server and command line both use it, so that a token shown by one is the token that the other wants.
//!
//! **Architecture invariant:** a secret leaves this crate as [`blendwire_protocol::Token`] or as a private key only;
//! no error and no `Debug` shows one.

mod certificate;
mod fingerprint;
mod folder;
mod secret_file;
mod token_file;

pub use certificate::{CertificateError, CertificateFiles, Identity, own_names};
pub use fingerprint::{CurrentFingerprint, Fingerprint, NotAFingerprint};
pub use folder::{Folder, NoFolder};
pub use secret_file::{SecretError, Stamp};
pub use token_file::{TokenFile, passing_token};
