// SPDX-License-Identifier: GPL-3.0-or-later
//! The user's rules about who may connect, out of the dictionary that the add-on gives.

use std::path::PathBuf;

use blendwire_bridge::{AccessError, AccessRules};
use blendwire_credentials::{CertificateFiles, Folder};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::start_error;

/// The rules, and where the user keeps token and certificate.
#[derive(Debug, Default)]
pub(crate) struct Access {
    pub(crate) rules: AccessRules,
    pub(crate) folder: Option<Folder>,
}

/// Reads `other_users`, `require_token`, `allowed_clients`, `open_networks` (lists of addresses and networks),
/// `tls_certificate`, `tls_key` and `config_dir` (paths; empty for those of the user).
///
/// # Errors
/// `StartError` in words for the user.
pub(crate) fn read(given: &Bound<'_, PyDict>) -> PyResult<Access> {
    let py = given.py();
    let networks = |key, read: fn(&[String]) -> Result<Vec<_>, AccessError>| {
        let texts: Vec<String> = item(given, key)?;
        read(&texts).map_err(|error| start_error(py, error.to_string(), "config"))
    };
    let path = |key| {
        item::<String>(given, key).map(|text| Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty()))
    };
    let certificate = match (path("tls_certificate")?, path("tls_key")?) {
        (Some(certificate), Some(key)) => Some(CertificateFiles { certificate, key }),
        (None, None) => None,
        (given, _) => {
            let missing = if given.is_some() { "key" } else { "certificate" };
            let why = format!(
                "the {missing} for TLS is missing: give both files, or neither for a certificate that is made here"
            );
            return Err(start_error(py, why, "tls"));
        }
    };
    let rules = AccessRules {
        other_users: item(given, "other_users")?,
        require_token: item(given, "require_token")?,
        allowed: networks("allowed_clients", AccessRules::networks)?,
        open: networks("open_networks", AccessRules::open_networks)?,
        certificate,
    };
    let folder = path("config_dir")?.map(Folder::at).or_else(|| Folder::of_user().ok());
    Ok(Access { rules, folder })
}

fn item<'py, T: for<'a> FromPyObject<'a, 'py, Error = PyErr> + Default>(
    given: &Bound<'py, PyDict>,
    key: &str,
) -> PyResult<T> {
    given.get_item(key)?.map_or_else(|| Ok(T::default()), |value| value.extract())
}
