// SPDX-License-Identifier: GPL-3.0-or-later
//! The JSON files: comments, trailing commas, indentation and line ends stay as they are.

use anyhow::{Context as _, Result, anyhow, bail};
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstObjectProp, CstRootNode};
use serde_json::Value;

use super::document::Fields;

pub(super) fn entries(text: &str, path: &[String]) -> Result<Vec<(String, Value)>> {
    let Some(table) = find(&parse(text)?, path)? else { return Ok(Vec::new()) };
    let properties = table.properties().into_iter();
    Ok(properties.filter_map(|property| Some((property.decoded_name()?, property.to_serde_value()?))).collect())
}

pub(super) fn put(text: &str, path: &[String], name: &str, fields: &Fields) -> Result<String> {
    // Nothing but blanks: what is made ends with a line end, as files do.
    let root = parse(if text.trim().is_empty() { "{}\n" } else { text })?;
    let mut table = root_object(&root)?.unwrap_or_else(|| root.object_value_or_set());
    for key in path.iter().map(String::as_str).chain([name]) {
        table = match object(&table, key)? {
            Some(inner) => inner,
            None => table.object_value_or_set(key),
        };
    }
    for (key, value) in fields {
        match only(&table, key)? {
            Some(property) if property.to_serde_value().as_ref() == Some(value) => {}
            Some(property) => property.set_value(input(value)),
            None => drop(table.append(key, input(value))),
        }
    }
    Ok(root.to_string())
}

pub(super) fn take(text: &str, path: &[String], name: &str) -> Result<String> {
    let root = parse(text)?;
    if let Some(table) = find(&root, path)?
        && let Some(property) = only(&table, name)?
    {
        property.remove();
    }
    Ok(root.to_string())
}

/// Comments and trailing commas are what clients take; nothing else that is no JSON.
fn parse(text: &str) -> Result<CstRootNode> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    CstRootNode::parse(text, &options).map_err(|error| anyhow!("it is no JSON: {error}"))
}

fn find(root: &CstRootNode, path: &[String]) -> Result<Option<CstObject>> {
    let mut found = root_object(root)?;
    for key in path {
        let Some(table) = found else { return Ok(None) };
        found = object(&table, key)?;
    }
    Ok(found)
}

fn root_object(root: &CstRootNode) -> Result<Option<CstObject>> {
    let Some(value) = root.value() else { return Ok(None) };
    value.as_object().map(Some).context("it holds no object ({…}), which a client's settings are")
}

fn object(table: &CstObject, key: &str) -> Result<Option<CstObject>> {
    let Some(property) = only(table, key)? else { return Ok(None) };
    property.object_value().map(Some).with_context(|| format!("{key:?} in it is no object ({{…}})"))
}

/// Of two properties with one name clients take one or the other.
fn only(table: &CstObject, key: &str) -> Result<Option<CstObjectProp>> {
    let mut named = table.properties().into_iter().filter(|property| property.decoded_name().as_deref() == Some(key));
    let first = named.next();
    if named.next().is_some() {
        bail!("{key:?} is in it twice");
    }
    Ok(first)
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(is_so) => CstInputValue::Bool(*is_so),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(fields) => {
            CstInputValue::Object(fields.iter().map(|(name, value)| (name.clone(), input(value))).collect())
        }
    }
}
