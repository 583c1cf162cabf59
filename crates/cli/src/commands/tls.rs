// SPDX-License-Identifier: GPL-3.0-or-later
//! `blendwire tls`: the certificate that TLS clients are shown, looked at or made.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use blendwire_credentials::{CertificateFiles, Fingerprint, own_names};
use serde::Serialize;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::access;
use crate::args::TlsArgs;
use crate::exit::{Ended, Failure};
use crate::printer;

pub(crate) fn run(args: &TlsArgs) -> Ended {
    let files = match &args.certificate {
        Some(path) => CertificateFiles { certificate: path.clone(), key: path.clone() },
        None => access::folder().map_err(Failure::could_not_start)?.own_certificate(),
    };
    if args.make {
        let names = if args.name.is_empty() { own_names(&[]) } else { args.name.clone() };
        files.make(&names).map_err(Failure::failed)?;
        printer::talk("Made. Running servers show it to the next client that connects; pinned fingerprints change.");
    } else if args.certificate.is_none() && !files.certificate.exists() {
        return Err(Failure::failed(anyhow!(
            "there is no certificate at {} yet: Blender makes one when a client wants TLS, or make it now with `blendwire \
             tls --make`; one that is set in Blender's preferences is looked at with --certificate FILE",
            files.certificate.display()
        )));
    }
    let shown = look(&files).map_err(Failure::failed)?;
    if args.json {
        return printer::data(&serde_json::to_string(&shown).map_err(Failure::failed)?);
    }
    printer::table(&shown.table())
}

#[derive(Serialize)]
struct Shown<'a> {
    file: &'a Path,
    fingerprint: String,
    names: Vec<String>,
    not_before: String,
    not_after: String,
    is_valid_now: bool,
    is_signed_by_itself: bool,
}

impl Shown<'_> {
    fn table(&self) -> String {
        let warning = if self.is_valid_now { "" } else { "  (not valid now: renew it, or check this machine's clock)" };
        let signed = if self.is_signed_by_itself { "itself: clients need the fingerprint" } else { "an authority" };
        format!(
            "file          {}\nfingerprint   {}\nfor           {}\nvalid         {} to {}{warning}\nsigned by     {signed}",
            self.file.display(),
            self.fingerprint,
            self.names.join(", "),
            self.not_before,
            self.not_after,
        )
    }
}

fn look(files: &CertificateFiles) -> Result<Shown<'_>> {
    let chain = files.read_chain()?;
    let der = chain.first().context("there is no certificate in it")?;
    let (_, certificate) = X509Certificate::from_der(der)
        .with_context(|| format!("{} holds no certificate that can be read", files.certificate.display()))?;
    let names =
        certificate.subject_alternative_name()?.map(|names| names.value.general_names.iter().map(name).collect());
    Ok(Shown {
        file: &files.certificate,
        fingerprint: Fingerprint::of(der).to_string(),
        names: names.unwrap_or_default(),
        not_before: certificate.validity().not_before.to_string(),
        not_after: certificate.validity().not_after.to_string(),
        is_valid_now: certificate.validity().is_valid(),
        is_signed_by_itself: certificate.verify_signature(None).is_ok(),
    })
}

fn name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        }
        .unwrap_or_default(),
        other => other.to_string(),
    }
}
