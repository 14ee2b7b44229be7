//! Keys that take several values: `2/8/2/4` in a spec, the same as a string or a list in a config.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One value or several, with `/` between them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct List<T>(pub Vec<T>);

impl<T: Display> Display for List<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.iter().map(T::to_string).collect::<Vec<_>>().join("/"))
    }
}

impl<T: Display + Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [value] => value.serialize(serializer),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de, T: FromStr<Err: Display> + Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "one value, several as \"2/8\", or a list of them")]
        enum Written<T> {
            One(T),
            Several(Vec<T>),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::One(value) => Ok(List(vec![value])),
            Written::Several(values) => Ok(List(values)),
            Written::Text(text) => text
                .split('/')
                .map(|part| part.trim().parse())
                .collect::<Result<_, _>>()
                .map(List)
                .map_err(|e| serde::de::Error::custom(format!("{text:?} is not a list: {e}"))),
        }
    }
}
