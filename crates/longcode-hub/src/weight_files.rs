//! The names of a checkpoint's safetensors files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::files::read_text;
use serde::Deserialize;

use crate::contents::{how_to_complete, missing};
use crate::is_plain_path;

/// The weights in one file.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// The names of the weight files if there are several.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// The weight files of a directory: model.safetensors, or the shards that its index names.
///
/// # Errors
/// [`ErrorKind::Model`] when there are none, or when the index is unreadable or names a file that does not
/// exist.
pub fn weight_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let single = dir.join(WEIGHTS);
    if single.exists() {
        return Ok(vec![single]);
    }
    let index = dir.join(INDEX);
    if !index.exists() {
        return Err(missing(dir, "model.safetensors and no model.safetensors.index.json", ErrorKind::Model));
    }
    let files: Vec<PathBuf> = shard_names(&index)?.iter().map(|name| dir.join(name)).collect();
    match files.iter().find(|file| !file.exists()) {
        Some(missing) => Err(Error::new(ErrorKind::Model, "a shard named by the index is missing")
            .in_file(missing)
            .fix(how_to_complete(dir))),
        None => Ok(files),
    }
}

/// An index of shards. Nothing else in it is read.
#[derive(Deserialize)]
struct Index {
    weight_map: Option<BTreeMap<String, String>>,
}

/// The shards that a model.safetensors.index.json names, each a file next to it.
///
/// # Errors
/// [`ErrorKind::Model`], naming the index: it cannot be read, or names none, or a file that is not next to
/// it.
pub(crate) fn shard_names(index: &Path) -> Result<BTreeSet<String>> {
    let bad = |what: String| Error::new(ErrorKind::Model, what).in_file(index).fix("get the index again");
    let json: Index = serde_json::from_str(&read_text(index, ErrorKind::Model)?).map_err(|e| {
        let what = if e.is_data() { "not an index of shards" } else { "not valid JSON" };
        bad(format!("{what}: {e}"))
    })?;
    let map = json.weight_map.ok_or_else(|| bad("no weight_map".into()))?;
    let names: BTreeSet<String> = map.into_values().collect();
    match names.iter().find(|name| name.contains('/') || !is_plain_path(name)) {
        Some(name) => Err(bad(format!("weight_map names {name:?}, which is not a file next to it"))),
        None if names.is_empty() => Err(bad("weight_map is empty".into())),
        None => Ok(names),
    }
}
