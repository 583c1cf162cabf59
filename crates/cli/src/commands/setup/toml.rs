// SPDX-License-Identifier: GPL-3.0-or-later
//! Codex's TOML file: comments, order and line ends stay as they are.

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;
use similar::{Change, ChangeTag, TextDiff};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike};

use super::document::Fields;

pub(super) fn entries(text: &str, path: &[String]) -> Result<Vec<(String, Value)>> {
    let mut document = parse(text)?;
    let Some(table) = find(&mut document, path)? else { return Ok(Vec::new()) };
    Ok(table.iter().map(|(name, item)| (name.to_owned(), json(item))).collect())
}

pub(super) fn put(text: &str, path: &[String], name: &str, fields: &Fields) -> Result<String> {
    edited(text, |document| {
        let is_empty = document.is_empty();
        let mut table: &mut dyn TableLike = document.as_table_mut();
        for key in path {
            table = inner(table, key, implicit)?;
        }
        let is_inline = table.iter().any(|(_, item)| item.is_value());
        let entry = inner(table, name, || if is_inline { inline() } else { after_a_blank_line(is_empty) })?;
        for (key, value) in fields {
            if entry.get(key).map(json).as_ref() != Some(value) {
                set(entry, key, value);
            }
        }
        Ok(())
    })
}

pub(super) fn take(text: &str, path: &[String], name: &str) -> Result<String> {
    edited(text, |document| {
        if let Some(table) = find(document, path)? {
            table.remove(name);
        }
        Ok(())
    })
}

fn parse(text: &str) -> Result<DocumentMut> {
    text.parse().map_err(|error| anyhow!("it is no TOML: {error}"))
}

fn edited(text: &str, edit: impl FnOnce(&mut DocumentMut) -> Result<()>) -> Result<String> {
    let mut document = parse(text)?;
    edit(&mut document)?;
    Ok(with_line_ends_of(text, &document.to_string()))
}

/// The library writes line ends as Unix has them: lines that were there before get their own back.
fn with_line_ends_of(old: &str, edited: &str) -> String {
    if !old.contains("\r\n") {
        return edited.to_owned();
    }
    let (plain, edited) = (old.replace("\r\n", "\n"), edited.replace("\r\n", "\n"));
    let olds: Vec<_> = old.split_inclusive('\n').collect();
    let lines = TextDiff::from_lines(&plain, &edited);
    let line = |change: Change<&str>| match (change.tag(), change.old_index()) {
        (ChangeTag::Equal, Some(at)) => olds[at].to_owned(),
        (ChangeTag::Delete, _) => String::new(),
        _ => change.value().replace('\n', "\r\n"),
    };
    lines.iter_all_changes().map(line).collect()
}

fn find<'a>(document: &'a mut DocumentMut, path: &[String]) -> Result<Option<&'a mut dyn TableLike>> {
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for key in path {
        match table.get_mut(key) {
            None => return Ok(None),
            Some(item) => table = as_table(item, key)?,
        }
    }
    Ok(Some(table))
}

fn inner<'a>(table: &'a mut dyn TableLike, key: &str, new: impl FnOnce() -> Item) -> Result<&'a mut dyn TableLike> {
    if table.get(key).is_none() {
        table.insert(key, new());
    }
    as_table(table.get_mut(key).context("just made")?, key)
}

fn as_table<'a>(item: &'a mut Item, key: &str) -> Result<&'a mut dyn TableLike> {
    item.as_table_like_mut().with_context(|| format!("{key:?} in it is no table ([{key}])"))
}

/// A table that has no heading of its own.
fn implicit() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

fn inline() -> Item {
    Item::Value(InlineTable::new().into())
}

fn after_a_blank_line(is_first: bool) -> Item {
    let mut table = Table::new();
    table.decor_mut().set_prefix(if is_first { "" } else { "\n" });
    Item::Table(table)
}

/// Puts the value in the place of another, with the blanks and the comment around that.
fn set(entry: &mut dyn TableLike, key: &str, value: &Value) {
    let mut new: toml_edit::Value = match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Array>().into(),
        Value::Object(fields) => {
            let texts = fields.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
            texts.collect::<InlineTable>().into()
        }
        value => value.as_str().unwrap_or_default().into(),
    };
    if let Some(old) = entry.get(key).and_then(Item::as_value) {
        *new.decor_mut() = old.decor().clone();
    }
    entry.insert(key, Item::Value(new));
}

/// As far as entries are looked at: strings, lists and tables.
fn json(item: &Item) -> Value {
    if let Some(text) = item.as_str() {
        return text.into();
    }
    if let Some(items) = item.as_array() {
        return items.iter().map(|item| json(&Item::Value(item.clone()))).collect();
    }
    match item.as_table_like() {
        Some(table) => Value::Object(table.iter().map(|(name, item)| (name.to_owned(), json(item))).collect()),
        None => Value::Null,
    }
}
