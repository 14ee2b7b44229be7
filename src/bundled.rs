//! What the quickstart needs, inside the program: a model, two data sets with their licences, the config, and a few source files to try
//!
//! `build.rs` lists the files.

use std::fs;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::files::{make_directory, write_whole};

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// The config among them.
pub(crate) const CONFIG: &str = "configs/quickstart.toml";

/// Writes the files into a folder, those that are there already excepted: what somebody changed stays as it is. Gives
/// the names of files that are there with other contents.
///
/// # Errors
/// [`ErrorKind::Write`].
pub(crate) fn unpack(folder: &Path) -> Result<Vec<&'static str>> {
    let mut others = Vec::new();
    for (name, bytes) in FILES {
        let path = folder.join(name);
        if path.exists() {
            let there = fs::read(&path).map_err(|e| {
                Error::new(ErrorKind::Write, format!("cannot read the file: {e}"))
                    .in_file(&path)
                    .fix("give another folder")
            })?;
            others.extend((there != *bytes).then_some(*name));
        } else {
            make_directory(path.parent().unwrap_or(folder))?;
            write_whole(&path, bytes)?;
        }
    }
    Ok(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unpacked_is_kept_where_it_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        assert!(unpack(folder.path()).unwrap().is_empty());
        for name in [CONFIG, "models/nano/model.safetensors", "datasets/code-java.toml"] {
            assert!(folder.path().join(name).exists(), "{name}");
        }
        fs::write(folder.path().join(CONFIG), "name = \"mine\"\n").unwrap();
        fs::remove_file(folder.path().join("datasets/code-java.toml")).unwrap();
        assert_eq!(unpack(folder.path()).unwrap(), [CONFIG]);
        assert_eq!(fs::read_to_string(folder.path().join(CONFIG)).unwrap(), "name = \"mine\"\n");
        assert!(folder.path().join("datasets/code-java.toml").exists());
    }
}
