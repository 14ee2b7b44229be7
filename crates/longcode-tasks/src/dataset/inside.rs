//! Whether the target of a link stays in the folder that is read.

use std::fs;
use std::path::{Path, PathBuf};

use super::unreadable;
use longcode_base::error::Result;

/// A folder, with links resolved.
pub(super) struct Inside(PathBuf);

impl Inside {
    /// The folder `root`; in the Hugging Face cache the whole repository, since the files are links into it.
    ///
    /// # Errors
    /// When it cannot be resolved.
    pub(super) fn of(root: &Path) -> Result<Inside> {
        let root = fs::canonicalize(root).map_err(|e| unreadable(root, &e))?;
        let is_snapshots = |folder: &&Path| folder.file_name().is_some_and(|name| name == "snapshots");
        let of_cache = root.ancestors().find(is_snapshots).and_then(Path::parent);
        let of_cache = of_cache.filter(|repository| repository.join("blobs").is_dir()).map(Path::to_path_buf);
        Ok(Inside(of_cache.unwrap_or(root)))
    }

    /// Whether a path, with links followed, is in it.
    pub(super) fn holds(&self, path: &Path) -> bool {
        fs::canonicalize(path).is_ok_and(|path| path.starts_with(&self.0))
    }
}
