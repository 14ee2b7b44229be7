//! Numbers of a table: finite, whole or above 0, and as many rows everywhere; errors name the row.

use super::arrays::{Array, wrong};
use longcode_base::error::Result;

/// How many rows the arrays of a plan have, and which of them said so first.
#[derive(Default)]
pub(super) struct Rows(Option<(String, usize)>);

impl Rows {
    /// How many there are; none if no array has rows.
    pub(super) fn count(&self) -> Option<usize> {
        self.0.as_ref().map(|(_, rows)| *rows)
    }

    fn agree(&mut self, name: &str, rows: usize) -> Result<()> {
        match &self.0 {
            Some((first, known)) if *known != rows => {
                let what = format!("`{name}` has {rows} rows, and `{first}` has {known}");
                Err(wrong(what, "give every array one number a token"))
            }
            Some(_) => Ok(()),
            None if rows == 0 => Err(wrong(format!("`{name}` has no rows"), "give one number a token")),
            None => {
                self.0 = Some((name.to_string(), rows));
                Ok(())
            }
        }
    }

    pub(super) fn positive(&mut self, name: &str, array: Array) -> Result<Vec<f64>> {
        let values = array.finite(name, 1)?;
        self.agree(name, values.len())?;
        match values.iter().position(|value| *value <= 0.0) {
            Some(n) => Err(wrong(format!("`{name}`, row {n}, is {}", values[n]), "give numbers above 0")),
            None => Ok(values),
        }
    }

    /// Keys: whole numbers.
    pub(super) fn whole(&mut self, name: &str, array: Array) -> Result<Vec<usize>> {
        let values = array.finite(name, 1)?;
        self.agree(name, values.len())?;
        whole(name, &values)
    }

    pub(super) fn of_bands(&mut self, name: &str, array: Array, count: usize) -> Result<Vec<Vec<f64>>> {
        let rows = array.shape[array.shape.len() - 1];
        let values = array.finite(name, 2)?;
        self.agree(name, rows)?;
        debug_assert_eq!(values.len(), rows * count);
        Ok(values.chunks_exact(rows).map(<[f64]>::to_vec).collect())
    }
}

impl Array {
    /// Its numbers, which must be finite and of at most some axes.
    pub(super) fn finite(self, name: &str, most_axes: usize) -> Result<Vec<f64>> {
        if self.shape.is_empty() || self.shape.len() > most_axes {
            let what = format!("`{name}` is of shape {:?}", self.shape);
            return Err(wrong(what, "docs/encodings.md has the shapes of a table"));
        }
        match self.values.iter().position(|value| !value.is_finite()) {
            Some(n) => {
                let (width, value) = (self.shape[self.shape.len() - 1], self.values[n]);
                let band =
                    if self.shape.len() == 2 { format!(", band {}", n / width) } else { String::new() };
                Err(wrong(format!("`{name}`{band}, row {}, is {value}", n % width), "give finite numbers"))
            }
            None => Ok(self.values),
        }
    }
}

fn whole(name: &str, values: &[f64]) -> Result<Vec<usize>> {
    let is_whole = |value: &f64| value.fract() == 0.0 && (0.0..=u32::MAX.into()).contains(value);
    match values.iter().position(|value| !is_whole(value)) {
        Some(n) => Err(wrong(format!("`{name}`, row {n}, is {}", values[n]), "give whole numbers from 0")),
        None => Ok(values.iter().map(|value| *value as usize).collect()),
    }
}

/// Edges of bands: from 0, without going down.
pub(super) fn edges(name: &str, array: &Array) -> Result<Vec<usize>> {
    let edges = whole(name, &array.clone().finite(name, 1)?)?;
    let rise = edges.windows(2).all(|pair| pair[0] <= pair[1]);
    if edges.len() < 2 || edges[0] != 0 || !rise {
        let fix = "give where each band begins and the last one ends, from 0, as [0, 16, 32]";
        return Err(wrong(format!("`{name}` is {edges:?}"), fix));
    }
    Ok(edges)
}

/// A single number above 0.
pub(super) fn factor(name: &str, array: Array) -> Result<f64> {
    match &array.values[..] {
        [value] if value.is_finite() && *value > 0.0 => Ok(*value),
        values => Err(wrong(format!("`{name}` is {values:?}"), "give one finite number above 0")),
    }
}

/// 0 or 1.
pub(super) fn flag(name: &str, array: &Array) -> Result<bool> {
    match &array.values[..] {
        [0.0] => Ok(false),
        [1.0] => Ok(true),
        values => Err(wrong(
            format!("`{name}` is {values:?}"),
            "give 0 for a zone that is not seen, or leave it out",
        )),
    }
}
