// SPDX-License-Identifier: GPL-3.0-or-later
//! What may stand in the settings. These comments are the descriptions in the JSON schema, too.

use std::collections::BTreeMap;
use std::path::PathBuf;

use blendwire_client::Fingerprint;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::endpoint::parse_host;

/// Settings of the blendwire command: Blenders by name. A token never stands here, only the file that holds it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "config.toml of Blendwire")]
pub(crate) struct Settings {
    /// The profile that is meant when neither options nor environment say which Blender.
    #[schemars(with = "Option<String>")]
    pub(super) default_profile: Option<Spanned<String>>,
    /// Blenders by name.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Profile>")]
    pub(super) profiles: BTreeMap<String, Spanned<Profile>>,
}

/// Where one Blender is, what it is known by and what is brought to it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Profile {
    /// Host name or address, without a port.
    #[serde(deserialize_with = "host")]
    pub(crate) host: Option<String>,
    /// Port, 9876 where none is given.
    #[serde(deserialize_with = "port")]
    #[schemars(range(min = 1))]
    pub(crate) port: Option<u16>,
    /// A running Blender of this machine instead, as `blendwire instances` lists it: its ID or the beginning of that, its
    /// process or its port. Without host and port.
    pub(crate) instance: Option<String>,
    /// File that holds the token, readable for its owner alone. Relative to the folder of this file; ~ is the home folder.
    #[serde(deserialize_with = "token_file")]
    pub(crate) token_file: Option<PathBuf>,
    /// SHA-256 of the one TLS certificate to take, as `blendwire tls` shows it on Blender's machine.
    #[serde(deserialize_with = "fingerprint")]
    #[schemars(with = "Option<String>", regex(pattern = "^([0-9A-Fa-f]{2}:?){32}$"))]
    pub(crate) fingerprint: Option<Fingerprint>,
    /// PEM file of the authority that signed the certificate. Relative to the folder of this file. Without fingerprint.
    pub(crate) ca: Option<PathBuf>,
    /// Use TLS on this machine too; for other machines it is used anyway.
    pub(crate) tls: bool,
    /// Use no TLS, on a network that is trusted. Without fingerprint, ca and tls.
    pub(crate) plain: bool,
}

impl Profile {
    /// What does not go together, if anything does not.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let Self { host, port, instance, fingerprint, ca, tls, plain, .. } = self;
        if instance.is_some() && (host.is_some() || port.is_some()) {
            return Some("instance names a Blender by itself: leave host and port out, or instance");
        }
        if *plain && (fingerprint.is_some() || ca.is_some() || *tls) {
            return Some("plain means no TLS: leave fingerprint, ca and tls out, or plain");
        }
        let both = fingerprint.is_some() && ca.is_some();
        both.then_some("fingerprint and ca each say which certificate to take: leave one of them out")
    }
}

/// The JSON schema, in the draft that editors of TOML know.
pub(crate) fn schema() -> serde_json::Value {
    let settings = SchemaSettings::draft07().with_transform(RecursiveTransform(without_null));
    settings.into_generator().into_root_schema_for::<Settings>().into()
}

/// TOML has no null: what may be left out is left out.
fn without_null(schema: &mut Schema) {
    let Some(types) = schema.get("type").and_then(|types| types.as_array()) else { return };
    let kind = types.iter().find(|kind| *kind != "null").cloned();
    schema.remove("default");
    if let Some(kind) = kind {
        schema.insert("type".to_owned(), kind);
    }
}

fn host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    parse_host("host", &String::deserialize(deserializer)?).map(Some).map_err(D::Error::custom)
}

fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let number = toml::Value::deserialize(deserializer)?.as_integer();
    let port = number.and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0);
    port.map(Some).ok_or_else(|| D::Error::custom("a port is a whole number from 1 to 65535, without quotes"))
}

fn fingerprint<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Fingerprint>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

/// Who puts the token itself there has meant well, and is not to find it in an error.
fn token_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let looks_like_a_token = text.len() >= 40 && text.bytes().all(is_of_token);
    if text.is_empty() || looks_like_a_token {
        return Err(D::Error::custom(
            "token_file is the path of a file that holds the token, and not the token itself",
        ));
    }
    Ok(Some(text.into()))
}
