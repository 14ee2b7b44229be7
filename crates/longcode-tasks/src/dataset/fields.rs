//! Reads the fields of a record: only those that a role may ask for, and no more bytes than a record may
//! take.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::lenient::Mark;
use super::record::Roles;
use longcode_base::limits;

/// The fields of a record, by their names in the data.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    pub values: Map<String, Value>,
    /// Fields that hold what cannot be kept, and what that is: reported when such a field is asked for.
    pub unreadable: Vec<(String, &'static str)>,
    /// Bytes that they take.
    pub bytes: usize,
}

/// A JSON value that should be a record.
pub(super) enum Entry {
    Object(Fields),
    List,
    /// Something else.
    Other,
}

impl Fields {
    /// Marks a field whose value was taken out of the text.
    pub(super) fn mark(&mut self, mark: Mark) {
        if self.values.contains_key(&mark.key) {
            self.unreadable.push((mark.key, mark.what));
        }
    }
}

/// Reads an [`Entry`], skipping the fields that no role asks for.
pub(super) struct EntrySeed<'a> {
    pub roles: &'a Roles,
}

impl<'de> DeserializeSeed<'de> for EntrySeed<'_> {
    type Value = Entry;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Entry, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed<'_> {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Entry, A::Error> {
        let left = Cell::new(limits::RECORD_BYTES);
        let mut values = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            if self.roles.ask_for(&key) {
                spend::<A::Error>(&left, key.len())?;
                // Of two the last would count, and nobody would notice.
                if values.contains_key(&key) {
                    return Err(serde::de::Error::custom(format_args!("the key `{key}` is there twice")));
                }
                values.insert(key, object.next_value_seed(Bounded(&left))?);
            } else {
                object.next_value::<IgnoredAny>()?;
                if self.roles.are_usual() {
                    spend::<A::Error>(&left, key.len())?;
                    values.insert(key, Value::Null);
                }
            }
        }
        Ok(Entry::Object(Fields { values, unreadable: Vec::new(), bytes: limits::RECORD_BYTES - left.get() }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entry, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Entry::List)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Entry, E> {
        Ok(Entry::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Entry, E> {
        Ok(Entry::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Entry, E> {
        Ok(Entry::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Entry, E> {
        Ok(Entry::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Entry, E> {
        Ok(Entry::Other)
    }

    fn visit_unit<E>(self) -> Result<Entry, E> {
        Ok(Entry::Other)
    }
}

/// Subtracts a value's bytes from what a record may still take. A list of numbers takes many times the bytes
/// of its text.
fn spend<E: serde::de::Error>(left: &Cell<usize>, bytes: usize) -> Result<(), E> {
    match left.get().checked_sub(bytes.saturating_add(limits::VALUE_COST)) {
        Some(rest) => {
            left.set(rest);
            Ok(())
        }
        None => Err(E::custom(format_args!("the record takes more than {} bytes", limits::RECORD_BYTES))),
    }
}

/// Reads a value like serde_json, limited to what a record may still take.
struct Bounded<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        spend(self.0, 0).map(|()| value.into())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        spend(self.0, 0).map(|()| value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        spend(self.0, 0).map(|()| value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        spend(self.0, 0).map(|()| Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        spend(self.0, value.len()).map(|()| value.into())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        spend(self.0, 0).map(|()| Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        spend::<A::Error>(self.0, 0)?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Bounded(self.0))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        spend::<A::Error>(self.0, 0)?;
        let mut values = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            spend::<A::Error>(self.0, key.len())?;
            values.insert(key, object.next_value_seed(Bounded(self.0))?);
        }
        Ok(Value::Object(values))
    }
}
