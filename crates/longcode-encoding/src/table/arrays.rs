//! A file as named arrays of numbers. JSON's nested names are joined by dots, as safetensors writes them.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::files;
use longcode_base::limits;

/// The numbers of one name, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Array {
    /// Lengths of at most two axes; none of a single number.
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f64>,
}

/// All arrays of a file by their names.
#[derive(Debug, Default)]
pub(super) struct Arrays(pub(super) BTreeMap<String, Array>);

/// An error of a file's content.
pub(super) fn wrong(what: impl Into<String>, fix: &str) -> Error {
    Error::new(ErrorKind::Encoding, what).fix(fix)
}

/// Which of the two forms a file has, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    SafeTensors,
}

impl Form {
    fn of(path: &Path) -> Result<Form> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => Ok(Form::Json),
            Some("safetensors") => Ok(Form::SafeTensors),
            _ => Err(wrong(
                "a table is JSON or safetensors, by the file's name",
                "name it .json or .safetensors",
            )
            .in_file(path)),
        }
    }

    /// Bytes that such a file may have.
    fn most(self) -> u64 {
        match self {
            Form::Json => limits::TABLE_JSON_BYTES,
            Form::SafeTensors => limits::TABLE_BYTES,
        }
    }
}

/// The bytes of a table's file.
///
/// # Errors
/// [`ErrorKind::Encoding`], naming the file, when its name says neither form, or it cannot be read or is too large.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    files::read_at_most(path, Form::of(path)?.most(), ErrorKind::Encoding)
}

impl Arrays {
    /// Removes an array.
    pub(super) fn take(&mut self, name: &str) -> Option<Array> {
        self.0.remove(name)
    }

    /// The arrays of a file's bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Encoding`], naming what is neither a number nor an array of numbers.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Arrays> {
        match Form::of(path)? {
            Form::Json => Arrays::of_json(bytes),
            Form::SafeTensors => Arrays::of_tensors(bytes),
        }
    }

    fn of_json(bytes: &[u8]) -> Result<Arrays> {
        let value: Value = serde_json::from_slice(bytes).map_err(|e| {
            wrong(format!("not valid JSON: {e}"), "fix the syntax; JSON has no NaN and no Infinity")
        })?;
        let mut arrays = Arrays::default();
        arrays.add("", &value)?;
        Ok(arrays)
    }

    /// Adds a value under a name: objects and lists of objects add their parts.
    fn add(&mut self, name: &str, value: &Value) -> Result<()> {
        let inside = |key: &str| if name.is_empty() { key.to_string() } else { format!("{name}.{key}") };
        match value {
            Value::Object(parts) if parts.is_empty() && !name.is_empty() => {
                Err(wrong(format!("`{name}` says nothing"), "say what it is, or leave it out"))
            }
            Value::Object(parts) => parts.iter().try_for_each(|(key, part)| self.add(&inside(key), part)),
            Value::Array(parts) if parts.iter().any(Value::is_object) => {
                parts.iter().enumerate().try_for_each(|(n, part)| self.add(&inside(&n.to_string()), part))
            }
            _ => {
                let array = Array::of_json(name, value)?;
                self.0.insert(name.to_string(), array);
                Ok(())
            }
        }
    }

    fn of_tensors(bytes: &[u8]) -> Result<Arrays> {
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|e| wrong(format!("not a safetensors file: {e}"), "write the file again"))?;
        let read = |(name, view): (String, safetensors::tensor::TensorView)| {
            Ok((name.clone(), Array::of_tensor(&name, &view)?))
        };
        tensors.tensors().into_iter().map(read).collect::<Result<_>>().map(Arrays)
    }
}

impl Array {
    fn of_json(name: &str, value: &Value) -> Result<Array> {
        let not_numbers = || {
            let what = format!("`{name}` is not a number, a list of numbers, or a list of lists of them");
            wrong(what, "docs/encodings.md has the names of a table and their shapes")
        };
        let number = |value: &Value| value.as_f64().ok_or_else(not_numbers);
        let Value::Array(rows) = value else {
            return Ok(Array { shape: Vec::new(), values: vec![number(value)?] });
        };
        if !rows.iter().any(Value::is_array) {
            let values = rows.iter().map(number).collect::<Result<Vec<_>>>()?;
            return Ok(Array { shape: vec![values.len()], values });
        }
        let rows =
            rows.iter().map(|row| row.as_array().ok_or_else(not_numbers)).collect::<Result<Vec<_>>>()?;
        let width = rows.first().map_or(0, |row| row.len());
        if let Some(n) = rows.iter().position(|row| row.len() != width) {
            let what = format!("row {n} of `{name}` has {} numbers, and row 0 has {width}", rows[n].len());
            return Err(wrong(what, "give every row as many"));
        }
        let values = rows.iter().flat_map(|row| row.iter()).map(number).collect::<Result<Vec<_>>>()?;
        Ok(Array { shape: vec![rows.len(), width], values })
    }

    fn of_tensor(name: &str, view: &safetensors::tensor::TensorView) -> Result<Array> {
        if view.shape().len() > 2 {
            let what = format!("`{name}` has {} axes", view.shape().len());
            return Err(wrong(what, "give one or two; docs/encodings.md has the shapes"));
        }
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F64 => numbers(data, f64::from_le_bytes),
            Dtype::F32 => numbers(data, |bytes| f64::from(f32::from_le_bytes(bytes))),
            Dtype::I64 => numbers(data, |bytes| i64::from_le_bytes(bytes) as f64),
            Dtype::I32 => numbers(data, |bytes| f64::from(i32::from_le_bytes(bytes))),
            other => {
                let what = format!("`{name}` is of type {other:?}");
                return Err(wrong(what, "give F64, F32, I64 or I32"));
            }
        };
        Ok(Array { shape: view.shape().to_vec(), values })
    }
}

/// Little-endian numbers of `N` bytes.
fn numbers<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.chunks_exact(N).map(|bytes| number(bytes.try_into().expect("N bytes"))).collect()
}
