//! Keys of a JSON object, read by name and type. A value of another type is an error that names the key,
//! never a default; what a missing key means, or a null, is up to the caller.

use serde_json::{Map, Value};

use super::field_error;
use crate::error::Result;

/// The keys of config.json, or of an object in it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::checkpoint) struct Keys {
    map: Map<String, Value>,
    /// The key of the object itself; none if it is the file.
    within: Option<&'static str>,
}

/// What a key's value may be.
pub(in crate::checkpoint) trait KeyType: Sized {
    /// The kind in words, such as "a whole number of at least 0".
    const KIND: &'static str;

    /// The value, if it is one.
    fn of(value: &Value) -> Option<Self>;
}

impl KeyType for usize {
    const KIND: &'static str = "a whole number of at least 0";

    fn of(value: &Value) -> Option<usize> {
        value.as_u64().and_then(|number| number.try_into().ok())
    }
}

impl KeyType for f64 {
    const KIND: &'static str = "a number";

    fn of(value: &Value) -> Option<f64> {
        value.as_f64().filter(|number| number.is_finite())
    }
}

impl KeyType for bool {
    const KIND: &'static str = "true or false";

    fn of(value: &Value) -> Option<bool> {
        value.as_bool()
    }
}

impl KeyType for String {
    const KIND: &'static str = "a text";

    fn of(value: &Value) -> Option<String> {
        value.as_str().map(str::to_string)
    }
}

impl KeyType for Map<String, Value> {
    const KIND: &'static str = "an object";

    fn of(value: &Value) -> Option<Map<String, Value>> {
        value.as_object().cloned()
    }
}

/// A list of one type.
macro_rules! list {
    ($of:ty, $kind:literal) => {
        impl KeyType for Vec<$of> {
            const KIND: &'static str = $kind;

            fn of(value: &Value) -> Option<Vec<$of>> {
                value.as_array()?.iter().map(<$of>::of).collect()
            }
        }
    };
}

list!(usize, "a list of whole numbers of at least 0");
list!(f64, "a list of numbers");
list!(String, "a list of texts");

impl Keys {
    /// The keys of the object under the key `within`.
    pub(crate) fn new(map: Map<String, Value>, within: Option<&'static str>) -> Keys {
        Keys { map, within }
    }

    /// A key's value; `default` if it is missing.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the key, for a value of another type or null.
    pub(crate) fn or<T: KeyType>(&self, key: &str, default: T) -> Result<T> {
        match self.map.get(key) {
            None => Ok(default),
            Some(value) => self.typed(key, value),
        }
    }

    /// A key's value; none if it is null or missing.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the key, for a value of another type.
    pub(crate) fn optional<T: KeyType>(&self, key: &str) -> Result<Option<T>> {
        self.map.get(key).filter(|value| !value.is_null()).map(|value| self.typed(key, value)).transpose()
    }

    /// A key's value; none if it is null, `default` if it is missing.
    ///
    /// # Errors
    /// As [`Keys::optional`].
    pub(crate) fn or_null<T: KeyType>(&self, key: &str, default: T) -> Result<Option<T>> {
        if self.has(key) { self.optional(key) } else { Ok(Some(default)) }
    }

    /// A key's value; none if it is missing.
    ///
    /// # Errors
    /// As [`Keys::or`].
    pub(crate) fn given<T: KeyType>(&self, key: &str) -> Result<Option<T>> {
        self.map.get(key).map(|value| self.typed(key, value)).transpose()
    }

    /// The value of a key that must be present.
    ///
    /// # Errors
    /// As [`Keys::or`], and for a missing key.
    pub(crate) fn needed<T: KeyType>(&self, key: &str) -> Result<T> {
        self.given(key)?.ok_or_else(|| field_error(&self.name(key), "is missing"))
    }

    /// Whether a key is present, even if null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    /// Whether a key is present and is not null, false, 0 or empty.
    pub(crate) fn says(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(says_something)
    }

    /// All keys with their values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.map.iter()
    }

    /// A key's full name, such as `rope_scaling.factor`.
    pub(crate) fn name(&self, key: &str) -> String {
        match self.within {
            Some(within) => format!("{within}.{key}"),
            None => key.to_string(),
        }
    }

    fn typed<T: KeyType>(&self, key: &str, value: &Value) -> Result<T> {
        T::of(value).ok_or_else(|| {
            field_error(&self.name(key), &format!("is {}, and {} is meant", shown(value), T::KIND))
        })
    }
}

/// Whether a value is not null, false, 0, "" or an empty list or object.
pub(in crate::checkpoint) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(map) => !map.is_empty(),
    }
}

/// A value for an error message, cut if it is long.
fn shown(value: &Value) -> String {
    const LONGEST: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(value: Value) -> Keys {
        Keys::new(value.as_object().unwrap().clone(), Some("rope_scaling"))
    }

    #[test]
    fn a_value_of_another_type_is_named() {
        let keys = keys(json!({
            "text": "32", "float": 32.0, "negative": -1, "flag": true, "null": null, "list": [1, "2"], "one": 1,
            "large": 18446744073709551615u64,
        }));
        for key in ["text", "float", "negative", "flag", "null", "list"] {
            let error = keys.or(key, 7usize).unwrap_err();
            let place = format!("`rope_scaling.{key}`");
            assert!(error.to_string().contains(&place) && error.what.contains("whole number"), "{error}");
        }
        for key in ["text", "flag", "null", "list"] {
            assert!(keys.or(key, 7.0).unwrap_err().what.contains("a number"), "{key}");
        }
        for key in ["text", "float", "null", "one"] {
            assert!(keys.or(key, false).unwrap_err().what.contains("true or false"), "{key}");
        }
        assert!(keys.optional::<Vec<usize>>("list").is_err());
        assert_eq!(keys.or("one", 7.0).unwrap(), 1.0);
        assert_eq!(keys.or("large", 0usize).unwrap(), usize::MAX);
    }

    #[test]
    fn null_and_nothing() {
        let keys = keys(json!({ "null": null }));
        assert_eq!(keys.or("absent", 7usize).unwrap(), 7);
        assert_eq!(keys.optional::<usize>("absent").unwrap(), None);
        assert_eq!(keys.optional::<usize>("null").unwrap(), None);
        assert!(keys.given::<usize>("null").unwrap_err().what.contains("is null"));
        assert!(keys.needed::<usize>("absent").unwrap_err().what.contains("rope_scaling.absent is missing"));
        assert!(keys.has("null") && !keys.says("null"));
    }
}
