// SPDX-License-Identifier: GPL-3.0-or-later
//! A JSON object as its keys and values in their order, double keys and all, read apart from the code under test.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

pub(crate) struct Object(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Object(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// What an object has under a key.
pub(crate) enum Key {
    /// Nothing, or `null`.
    Absent,
    Is(Value),
    /// It stands there twice, or has a value that cannot be kept, such as half of a surrogate pair.
    Unreadable,
}

impl Object {
    /// `None` when the text is no JSON object.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    pub(crate) fn get(&self, key: &str) -> Key {
        let mut values = self.0.iter().filter(|(name, _)| name == key).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (None, _) => Key::Absent,
            (Some(value), None) => match serde_json::from_str(value.get()) {
                Ok(Value::Null) => Key::Absent,
                Ok(value) => Key::Is(value),
                Err(_) => Key::Unreadable,
            },
            (Some(_), Some(_)) => Key::Unreadable,
        }
    }

    /// The text of the value, as it stands there the first time.
    pub(crate) fn raw(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.get())
    }

    /// The value, `None` where it is absent or cannot be read.
    pub(crate) fn value(&self, key: &str) -> Option<Value> {
        match self.get(key) {
            Key::Is(value) => Some(value),
            Key::Absent | Key::Unreadable => None,
        }
    }

    /// The same object in another order, with other white space, and with a key that nobody knows.
    pub(crate) fn rewritten(&self, order: u8) -> Vec<u8> {
        let mut pairs: Vec<(&str, &str)> = self.0.iter().map(|(key, value)| (key.as_str(), value.get())).collect();
        if order & 1 == 1 {
            pairs.reverse();
        }
        if !pairs.is_empty() {
            let by = usize::from(order >> 1) % pairs.len();
            pairs.rotate_left(by);
        }
        pairs.insert(usize::from(order) % (pairs.len() + 1), ("of a later version", r#"{"type": [{"id": "}"}]}"#));
        let pairs: Vec<String> =
            pairs.iter().map(|(key, value)| format!("{}:\r\n{value}\t", Value::from(*key))).collect();
        format!("{{{} }}", pairs.join(" , ")).into_bytes()
    }
}
