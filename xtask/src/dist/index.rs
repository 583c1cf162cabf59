// SPDX-License-Identifier: GPL-3.0-or-later
//! What is said of the files of a release, those of other platforms included: `server.json` for the MCP registry, and
//! their checksums.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, ensure};
use fs_err as fs;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Product, bundle};

/// The newest that the registry has published.
const SCHEMA: &str = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json";

pub(super) const CHECKSUMS: &str = "SHA256SUMS";
pub(super) const SERVER: &str = "server.json";

/// Writes both into the folder that holds the files.
pub(super) fn write(product: &Product, folder: &Path) -> Result<()> {
    let bundles: Vec<String> = names(folder, product)?.into_iter().filter(|name| is_bundle(name)).collect();
    ensure!(!bundles.is_empty(), "{} has no .mcpb of version {}", folder.display(), product.version);
    let packages = bundles.iter().map(|name| Ok(package(product, name, &sha256(&folder.join(name))?)));
    let server = server(product, &packages.collect::<Result<Vec<_>>>()?);
    fs::write(folder.join(SERVER), serde_json::to_string_pretty(&server)? + "\n")?;
    let mut lines = String::new();
    for name in names(folder, product)? {
        writeln!(lines, "{}  {name}", sha256(&folder.join(&name))?)?;
    }
    Ok(fs::write(folder.join(CHECKSUMS), lines)?)
}

/// The files of this version, sorted. What another version has left there is none of this release.
fn names(folder: &Path, product: &Product) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name == SERVER || name.starts_with("blendwire-") && name.contains(&format!("-{}-", product.version)) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn is_bundle(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "mcpb")
}

fn sha256(path: &Path) -> Result<String> {
    let digest = Sha256::digest(fs::read(path)?);
    Ok(digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

fn package(product: &Product, name: &str, sha256: &str) -> Value {
    let Product { website, version, .. } = product;
    let variables = bundle::variables().map(|(name, description, is_secret)| {
        json!({"name": name, "description": description, "isRequired": false, "isSecret": is_secret})
    });
    json!({
        "registryType": "mcpb",
        "identifier": format!("{website}/releases/download/v{version}/{name}"),
        "fileSha256": sha256,
        "transport": {"type": "stdio"},
        "environmentVariables": variables.collect::<Vec<_>>(),
    })
}

fn server(product: &Product, packages: &[Value]) -> Value {
    json!({
        "$schema": SCHEMA,
        "name": "io.github.blendwire/blendwire",
        "title": "Blendwire",
        "description": product.description,
        "repository": {"url": product.website, "source": "github"},
        "websiteUrl": product.website,
        "version": product.version,
        "packages": packages,
    })
}
