//! Datasets: a reference on the command line or in a config becomes records, in file order.
//!
//! A [`Manifest`] (`datasets/NAME.toml`) says what a data set is, where its data are and in which format; the
//! format's reader gives [`Record`]s; a task makes samples of them, asking for what it needs by role (`text`,
//! `context`, `answers`, ...), so that a task knows no data set's field names. A path to the data itself
//! works without a manifest.
//!
//! To add a format, write one file here with a `pub(super) const ENTRY: Format`, and list it in [`FORMATS`].

mod fields;
mod gathered;
mod inside;
mod json;
mod jsonl;
mod lenient;
mod manifest;
mod open;
mod pages;
mod parquet;
mod record;
mod shards;
mod source_tree;

pub use manifest::{Manifest, TextKind};
pub use record::{Location, Origin, Record};

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use self::gathered::Gathered;
use self::record::Making;
use self::shards::Shards;
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::hash::Hasher;
use longcode_base::pattern::matches;
use longcode_hub::Name;
use longcode_structure::Language;

/// How the data of one format are found and read.
struct Format {
    /// Its name in a manifest's `format`.
    name: &'static str,
    /// Whether it reads this path if no manifest says so.
    takes: fn(&Path) -> bool,
    /// Gathers the records of a file in its order, or what is wrong with one; there may be none, and ids are
    /// not yet checked. Fails if the data cannot be divided into records.
    read: fn(&Path, &Making, &mut Gathered) -> Result<()>,
    /// For a format that reads folders, every file that `read` would read, sorted.
    files: Option<Files>,
}

/// The files below a folder.
type Files = fn(&Path) -> Result<Vec<PathBuf>>;

impl Format {
    /// Whether it reads a folder with everything below it.
    fn is_tree(&self) -> bool {
        self.files.is_some()
    }
}

/// All formats.
const FORMATS: &[Format] = &[json::ENTRY, jsonl::ENTRY, parquet::ENTRY, source_tree::ENTRY];

/// The folder of a search directory that holds the manifests.
const MANIFESTS: &str = "datasets";

/// A data set whose data exist, not yet read.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// What it is and how to read it.
    pub manifest: Manifest,
    /// The manifest's file; none if the data were named directly.
    pub manifest_path: Option<PathBuf>,
    /// The data: a file, a directory, or a pattern of names of files.
    pub path: PathBuf,
    /// Ids of the records that are wanted, or patterns of them; all if empty.
    pub ids: Vec<String>,
}

/// A line of `longcode datasets`.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The manifest.
    pub manifest: Manifest,
    /// Where the data are, or would be.
    pub path: PathBuf,
    /// Whether they exist; if not, `manifest.obtain` says how to get them.
    pub present: bool,
}

impl Dataset {
    /// Finds a data set. `reference` is the name of a manifest, looked for as `datasets/NAME.toml` in each
    /// directory of `search`, or a path, relative to each of them in turn, of a manifest, of a JSON or JSON
    /// lines file (plain or gzip), of a parquet file, of a directory of source files or of such files, or a
    /// pattern of their names. A name takes precedence over a path. `hf:org/name/file` is a file in the local
    /// Hugging Face cache.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`] when nothing has that name (with the existing names), the manifest is wrong
    /// (with its line), or the data are missing (with how to obtain them).
    pub fn open(reference: &str, search: &[PathBuf]) -> Result<Dataset> {
        Dataset::find(reference, search)?
    }

    /// Like [`Dataset::open`], but separates known data that are missing from other errors: the inner error
    /// says how to obtain them.
    ///
    /// # Errors
    /// As [`Dataset::open`], except for missing data.
    pub fn find(reference: &str, search: &[PathBuf]) -> Result<Result<Dataset>> {
        if let Some(name) = Name::dataset(reference)? {
            return name.cached().map_or_else(|e| Ok(Err(e)), |path| Dataset::from_data(path).map(Ok));
        }
        if let Some(path) = manifest_named(reference, search) {
            return Dataset::from_manifest(path);
        }
        // An empty reference is not a path: it would be the search directory itself.
        let paths: Vec<PathBuf> =
            search.iter().map(|dir| dir.join(reference)).filter(|_| !reference.is_empty()).collect();
        let mut found = paths.iter().find(|path| path.exists()).cloned();
        if found.is_none() && shards::is_pattern(Path::new(reference)) {
            found = first_that_matches(reference, search)?;
        }
        match found {
            Some(path) if path.extension().is_some_and(|e| e == "toml") => Dataset::from_manifest(path),
            Some(path) => Dataset::from_data(path).map(Ok),
            None => Err(unknown(reference, search)),
        }
    }

    fn from_manifest(manifest_path: PathBuf) -> Result<Result<Dataset>> {
        let manifest = Manifest::load(&manifest_path)?;
        let path = manifest.data_path(&manifest_path);
        if !is_there(&path)? {
            let what = format!("the data of dataset \"{}\" are not there: {}", manifest.name, path.display());
            let fix = format!("{} (source: {})", manifest.obtain, manifest.source);
            return Ok(Err(Error::new(ErrorKind::Dataset, what).in_file(&manifest_path).fix(fix)));
        }
        Ok(Ok(Dataset { manifest, manifest_path: Some(manifest_path), path, ids: Vec::new() }))
    }

    fn from_data(path: PathBuf) -> Result<Dataset> {
        let format = format_of_data(&path)?;
        let manifest = Manifest::of_data(&path, format.name);
        Ok(Dataset { manifest, manifest_path: None, path, ids: Vec::new() })
    }

    /// The same data, of which only the records with these ids are wanted, or with ids that these match as patterns
    /// with `*` and `?`; all if there are none.
    #[must_use]
    pub fn with_ids(&self, ids: &[String]) -> Dataset {
        Dataset { ids: ids.to_vec(), ..self.clone() }
    }

    /// The wanted ones of records.
    fn wanted(&self, mut records: Vec<Record>) -> Result<Vec<Record>> {
        if self.ids.is_empty() {
            return Ok(records);
        }
        let mut found = vec![false; self.ids.len()];
        records.retain(|record| {
            let mut any = false;
            for (pattern, found) in self.ids.iter().zip(&mut found) {
                let matched = matches(pattern, &record.id);
                (any, *found) = (any || matched, *found || matched);
            }
            any
        });
        match self.ids.iter().zip(found).find(|(_, found)| !found) {
            None => Ok(records),
            Some((pattern, _)) => {
                Err(Error::new(ErrorKind::Dataset, format!("no record has the id `{pattern}`"))
                    .in_file(&self.path)
                    .at_key("ids")
                    .fix("give ids of the data set's records; * stands for any text"))
            }
        }
    }

    /// Every record, in file order.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], naming file and line: what cannot be read or decoded, a line that is not a
    /// JSON object, a field that is missing or of the wrong type, an id that occurs twice, or no record at
    /// all.
    pub fn records(&self) -> Result<Vec<Record>> {
        let records: Vec<Record> = self.read()?.into_iter().collect::<Result<_>>()?;
        unique_ids(&records)?;
        self.wanted(records)
    }

    /// Every complete record, in file order, and what is wrong with each of the others: a line that is not a
    /// JSON object, a field that is missing or of the wrong type, a file that is not UTF-8.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`] as [`Dataset::records`] for what concerns more than one record: data that
    /// cannot be read or decompressed, an id that occurs twice, or no record at all.
    pub fn whole_records(&self) -> Result<(Vec<Record>, Vec<Error>)> {
        let (mut records, mut refused) = (Vec::new(), Vec::new());
        for record in self.read()? {
            match record {
                Ok(record) => records.push(record),
                Err(error) => refused.push(error),
            }
        }
        unique_ids(&records)?;
        Ok((self.wanted(records)?, refused))
    }

    fn read(&self) -> Result<Vec<Result<Record>>> {
        let (format, shards) = (self.format()?, self.shards()?);
        let (mut gathered, mut making) = (Gathered::default(), self.manifest.making());
        for file in &shards.files {
            making.shard = (*file != self.path).then(|| shards.name(file));
            (format.read)(file, &making, &mut gathered)?;
        }
        let records = gathered.records;
        if records.is_empty() {
            return Err(Error::new(ErrorKind::Dataset, "the dataset is empty").in_file(&self.path).fix(
                format!(
                    "check the path; a directory must hold source files ({}), a file at least one line",
                    Language::every_extension()
                ),
            ));
        }
        Ok(records)
    }

    /// What a reader of the figures must know about the data: files that are skipped or missing.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], naming what cannot be read.
    pub fn notes(&self) -> Result<Vec<String>> {
        if self.format()?.is_tree() { source_tree::notes(&self.path) } else { Ok(self.shards()?.notes()) }
    }

    /// The files of the data, or the folder of a source tree.
    fn shards(&self) -> Result<Shards> {
        if self.format()?.is_tree() || self.path.is_file() {
            Ok(Shards { base: PathBuf::new(), files: vec![self.path.clone()] })
        } else {
            Shards::of(&self.path, &self.manifest.format)
        }
    }

    /// SHA-256 of the data, in hex: for a file, of its bytes on disk (what `sha256sum` prints); for several,
    /// of the sorted relative paths and contents of the files that are read.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`], naming the file that cannot be read.
    pub fn sha256(&self) -> Result<String> {
        let shards = match self.format()?.files {
            Some(files) => Shards { base: self.path.clone(), files: files(&self.path)? },
            None => self.shards()?,
        };
        let mut hash = Hasher::default();
        for file in &shards.files {
            if *file != self.path {
                let length = fs::metadata(file).map_err(|e| unreadable(file, &e))?.len();
                // Name and length before the contents, so that no two trees give the same stream of bytes.
                hash.update(format!("{}\0{length}\0", shards.name(file)).as_bytes());
            }
            hash.update_file(file).map_err(|e| unreadable(file, &e))?;
        }
        Ok(hash.finish())
    }

    fn format(&self) -> Result<&'static Format> {
        format_named(&self.manifest.format).ok_or_else(|| unknown_format(&self.manifest.format))
    }
}

/// Every data set with a manifest in `DIR/datasets` of a search directory, sorted by name. If two have the
/// same name, the first directory's counts, as for [`Dataset::open`].
///
/// # Errors
/// [`ErrorKind::Dataset`] when a manifest is wrong, naming its line, or a directory cannot be read.
pub fn list(search: &[PathBuf]) -> Result<Vec<Listed>> {
    let mut listed = BTreeMap::new();
    for manifest_path in manifest_paths(search)? {
        let manifest = Manifest::load(&manifest_path)?;
        let path = manifest.data_path(&manifest_path);
        let present = is_there(&path)?;
        listed.entry(manifest.name.clone()).or_insert(Listed { manifest, path, present });
    }
    Ok(listed.into_values().collect())
}

/// Whether there are data at this path.
fn is_there(path: &Path) -> Result<bool> {
    Ok(path.exists() || (shards::is_pattern(path) && !shards::matching(path)?.is_empty()))
}

/// The pattern in the first directory in which it matches a file.
fn first_that_matches(pattern: &str, search: &[PathBuf]) -> Result<Option<PathBuf>> {
    for dir in search {
        // What looks like a pattern in the directory's own name is not one.
        let dir = dir.to_str().map(glob::Pattern::escape).unwrap_or_default();
        let path = Path::new(&dir).join(pattern);
        if !shards::matching(&path)?.is_empty() {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// How to read data without a manifest.
fn format_of_data(path: &Path) -> Result<&'static Format> {
    let of_file = |path: &Path| FORMATS.iter().find(|format| (format.takes)(path));
    let found = if path.is_dir() && !source_tree::is_one(path)? {
        match shards::format_of(path)? {
            // The first file shows whether JSON is a document or lines.
            Some(format) => of_file(&Shards::of(path, format)?.files[0]),
            None => of_file(path),
        }
    } else if path.exists() {
        of_file(path)
    } else {
        shards::matching(path)?.first().and_then(|file| of_file(file))
    };
    found.ok_or_else(|| {
        Error::new(ErrorKind::Dataset, "not a file that can be read as a dataset").in_file(path).fix(
            "give a .json, .jsonl or .parquet file (the first two also as .gz), a directory of source files, or a \
             manifest (.toml) that names the format",
        )
    })
}

fn format_named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

fn unknown_format(name: &str) -> Error {
    let names: Vec<_> = FORMATS.iter().map(|format| format!("\"{}\"", format.name)).collect();
    Error::new(ErrorKind::Dataset, format!("no format \"{name}\""))
        .at("format")
        .fix(format!("give one of {}", names.join(", ")))
}

fn manifest_named(name: &str, search: &[PathBuf]) -> Option<PathBuf> {
    let is_name = !name.is_empty() && !name.contains(['/', '\\']);
    let mut paths = search.iter().map(|dir| dir.join(MANIFESTS).join(format!("{name}.toml")));
    paths.find(|path| is_name && path.is_file())
}

fn manifest_paths(search: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for dir in search.iter().map(|dir| dir.join(MANIFESTS)).filter(|dir| dir.is_dir()) {
        let mut found = Vec::new();
        for entry in fs::read_dir(&dir).map_err(|e| unreadable(&dir, &e))? {
            found.push(entry.map_err(|e| unreadable(&dir, &e))?.path());
        }
        found.retain(|path| path.is_file() && path.extension().is_some_and(|e| e == "toml"));
        found.sort();
        paths.append(&mut found);
    }
    Ok(paths)
}

fn unknown(reference: &str, search: &[PathBuf]) -> Error {
    let manifests = manifest_paths(search).unwrap_or_default();
    let mut names: Vec<_> = manifests.iter().filter_map(|path| path.file_stem()?.to_str()).collect();
    names.sort_unstable();
    names.dedup();
    let names = if names.is_empty() { "no manifest was found".into() } else { names.join(", ") };
    let places: Vec<_> = search.iter().map(|dir| dir.display().to_string()).collect();
    Error::new(ErrorKind::Dataset, format!("no dataset \"{reference}\", neither a name nor a path"))
        .at(format!("looked in {}", places.join(", ")))
        .fix(format!("give a path that exists or one of the names: {names}"))
}

fn unique_ids(records: &[Record]) -> Result<()> {
    let mut first: HashMap<&str, &Origin> = HashMap::with_capacity(records.len());
    for record in records {
        if let Some(earlier) = first.insert(&record.id, &record.origin) {
            let what = format!("the id \"{}\" occurs twice, first at {earlier}", record.id);
            return Err(Error::new(ErrorKind::Dataset, what).at(&record.origin).fix(
                "take out one of the two, or map `id` to a field that is unique ([fields] of a manifest)",
            ));
        }
    }
    Ok(())
}

/// The error of bytes that cannot be read or unpacked.
fn unreadable_bytes(error: &io::Error) -> Error {
    use io::ErrorKind::{FileTooLarge, InvalidData, InvalidInput, UnexpectedEof};
    let again = "get the file again";
    let (what, fix) = match error.kind() {
        UnexpectedEof => ("the gzip data end early".to_string(), again),
        InvalidInput | InvalidData => (format!("the gzip data are damaged: {error}"), again),
        FileTooLarge => {
            (error.to_string(), "if that is right, unpack it yourself (gunzip); SECURITY.md lists the limits")
        }
        _ => (format!("cannot read: {error}"), "check the file and its permissions"),
    };
    Error::new(ErrorKind::Dataset, what).fix(fix)
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorKind::Dataset, format!("cannot read: {error}"))
        .in_file(path)
        .fix("check the path and its permissions")
}

/// A relative path with forward slashes on every system: it is used in ids and hashes.
fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "name = \"tiny\"\nwhat = \"two lines\"\nlicence = \"MIT\"\nsource = \"here\"\n\
        obtain = \"put tiny.jsonl beside the manifest\"\nformat = \"jsonl\"\npath = \"tiny.jsonl\"\n\
        language = \"python\"\n";

    fn home() -> (tempfile::TempDir, Vec<PathBuf>) {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("datasets")).unwrap();
        fs::write(home.path().join("datasets/tiny.toml"), MANIFEST).unwrap();
        let search = vec![home.path().join("not-there"), home.path().to_path_buf()];
        (home, search)
    }

    fn repository() -> Vec<PathBuf> {
        vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")]
    }

    #[test]
    fn a_name_and_every_kind_of_path_open() {
        let (home, search) = home();
        fs::write(home.path().join("datasets/tiny.jsonl"), "{\"text\":\"x = 1\"}\n").unwrap();
        fs::write(home.path().join("a.py"), "x = 1\n").unwrap();
        for reference in ["tiny", "datasets/tiny.toml", "datasets/tiny.jsonl", "."] {
            let dataset = Dataset::open(reference, &search).unwrap();
            assert_eq!(dataset.records().unwrap().len(), 1, "{reference}");
        }
        let named = Dataset::open("tiny", &search).unwrap();
        assert_eq!(named.records().unwrap()[0].language, Some(Language::Python));
        assert!(named.manifest_path.is_some());
    }

    #[test]
    fn an_unknown_name_lists_the_names() {
        let (_home, search) = home();
        for reference in ["tinny", "data/tinny.jsonl", ""] {
            let error = Dataset::open(reference, &search).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Dataset);
            assert!(error.what.contains(reference) && error.fix.unwrap().contains("tiny"));
        }
    }

    #[test]
    fn missing_data_say_how_to_obtain_them() {
        let (_home, search) = home();
        let error = Dataset::open("tiny", &search).unwrap_err();
        assert!(error.what.contains("tiny.jsonl"));
        assert_eq!(error.fix.as_deref(), Some("put tiny.jsonl beside the manifest (source: here)"));
        let listed = list(&search).unwrap();
        assert_eq!(listed.len(), 1);
        assert!(!listed[0].present);
    }

    #[test]
    fn an_empty_dataset_is_refused() {
        let (home, search) = home();
        fs::write(home.path().join("datasets/tiny.jsonl"), "").unwrap();
        let error = Dataset::open("tiny", &search).unwrap().records().unwrap_err();
        assert!(error.what.contains("empty") && error.place.unwrap().contains("tiny.jsonl"));
        fs::create_dir(home.path().join("none")).unwrap();
        assert!(Dataset::open("none", &search).unwrap().records().unwrap_err().what.contains("empty"));
    }

    #[test]
    fn whole_records_are_told_from_the_others() {
        let (home, search) = home();
        fs::write(home.path().join("d.jsonl"), "{\"_id\":\"a\"}\n{\"_id\":[1]}\n{\"_id\"\n{\"_id\":\"d\"}\n")
            .unwrap();
        let dataset = Dataset::open("d.jsonl", &search).unwrap();
        let (records, refused) = dataset.whole_records().unwrap();
        assert_eq!(records.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), ["a", "d"]);
        let places: Vec<_> = refused.iter().map(|error| error.place.clone().unwrap()).collect();
        assert!(places[0].ends_with("d.jsonl:2") && places[1].ends_with("d.jsonl:3"), "{places:?}");
        assert_eq!(dataset.records().unwrap_err(), refused[0]);
    }

    #[test]
    fn an_id_that_occurs_twice_is_refused() {
        let (home, search) = home();
        let lines = "{\"path\":\"a.py\",\"text\":\"1\"}\n{\"path\":\"b.py\",\"text\":\"1\"}\n\
            {\"path\":\"a.py\",\"text\":\"2\"}\n";
        fs::write(home.path().join("twice.jsonl"), lines).unwrap();
        let error = Dataset::open("twice.jsonl", &search).unwrap().records().unwrap_err();
        assert!(error.what.contains("a.py") && error.what.contains("twice.jsonl:1"));
        assert!(error.place.unwrap().ends_with("twice.jsonl:3"));
    }

    #[test]
    fn a_file_of_no_known_format_is_refused() {
        let (home, search) = home();
        fs::write(home.path().join("data.arrow"), "ARROW1").unwrap();
        let error = Dataset::open("data.arrow", &search).unwrap_err();
        assert!(error.place.unwrap().ends_with("data.arrow") && error.fix.unwrap().contains(".jsonl"));
    }

    #[test]
    fn the_hash_of_a_file_is_the_one_sha256sum_prints() {
        let (home, search) = home();
        fs::write(home.path().join("abc.jsonl"), "abc").unwrap();
        let hash = Dataset::open("abc.jsonl", &search).unwrap().sha256().unwrap();
        assert_eq!(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn the_hash_of_a_directory_knows_names_and_contents() {
        let (home, search) = home();
        let hash = |name: &str, text: &str| {
            let dir = tempfile::tempdir_in(home.path()).unwrap();
            fs::write(dir.path().join(name), text).unwrap();
            fs::write(dir.path().join("notes.txt"), dir.path().display().to_string()).unwrap();
            Dataset::open(dir.path().to_str().unwrap(), &search).unwrap().sha256().unwrap()
        };
        assert_eq!(hash("a.py", "1"), hash("a.py", "1"));
        assert_ne!(hash("a.py", "1"), hash("b.py", "1"));
        assert_ne!(hash("a.py", "1"), hash("a.py", "2"));
    }

    #[test]
    fn the_bundled_datasets_read() {
        for (name, language) in [("code-python", Language::Python), ("code-java", Language::Java)] {
            let dataset = Dataset::open(name, &repository()).unwrap();
            let records = dataset.records().unwrap();
            assert_eq!(records.len(), 144, "{name}: 24 in each of 6 buckets");
            let mut packages = Vec::new();
            for record in &records {
                assert_eq!(record.language, Some(language));
                assert!(!record.text("text").unwrap().trim().is_empty());
                packages.push(record.text("repo_name").unwrap());
            }
            packages.sort_unstable();
            packages.dedup();
            assert_eq!(packages.len(), 8, "{name}: packages");
            for package in packages {
                let licences = repository()[0].join("datasets/licenses").join(package);
                assert!(licences.join("SOURCE.txt").is_file(), "{package}");
            }
        }
    }

    #[test]
    fn the_substitutes_have_what_completion_asks_for() {
        for name in ["lcc-substitute", "repobench-p-substitute"] {
            let dataset = Dataset::open(name, &repository()).unwrap();
            assert!(dataset.manifest.what.starts_with("Substitute for "), "{name}");
            let records = dataset.records().unwrap();
            let mut buckets = [0; 3];
            for record in &records {
                let prompt = format!("{}{}", record.text("context").unwrap(), record.text("input").unwrap());
                let words = prompt.split_whitespace().count();
                assert_eq!(record.count("length").unwrap(), words, "{}", record.id);
                buckets[(words / 4000).min(2)] += 1;
                let [answer] = record.texts("answers").unwrap()[..] else { panic!("{}", record.id) };
                assert!(!["`", "#", "//", "\n"].iter().any(|mark| answer.contains(mark)), "{answer}");
                assert!(prompt.ends_with('\n') && record.language.is_some(), "{}", record.id);
            }
            assert_eq!(buckets, [28, 12, 8], "{name}");
        }
    }

    #[test]
    fn every_manifest_of_the_repository_loads() {
        let listed = list(&repository()).unwrap();
        let names: Vec<_> = listed.iter().map(|one| one.manifest.name.as_str()).collect();
        let expected = [
            "cclongeval-chunk",
            "cclongeval-function",
            "cclongeval-function-look-alike",
            "code-java",
            "code-python",
            "code-symbol-understanding",
            "codeparrot-valid",
            "crosscodeeval-java",
            "crosscodeeval-java-look-alike",
            "crosscodeeval-python",
            "eval-java",
            "eval-python",
            "eval-text",
            "fill-in-lines-look-alike",
            "infinitebench-code-debug",
            "infinitebench-code-debug-look-alike",
            "infinitebench-code-run",
            "infinitebench-code-run-look-alike",
            "lca-project-level",
            "lca-project-level-look-alike",
            "lcc",
            "lcc-substitute",
            "long-code-qa-32k",
            "long-code-qa-32k-look-alike",
            "long-context-code-qa",
            "longbench-v2",
            "longbench-v2-look-alike",
            "longcodeu-cu-p",
            "longcodeu-cu-p-look-alike",
            "repobench-p",
            "repobench-p-substitute",
            "repobench-v1.1-java",
            "repobench-v1.1-java-look-alike",
            "repobench-v1.1-python",
            "repobench-v1.1-python-look-alike",
            "repoeval-function",
            "repoeval-line",
            "repoeval-line-look-alike",
            "repoqa",
            "repoqa-look-alike",
            "rerope-eval",
        ];
        assert_eq!(names, expected);
        assert!(listed.iter().filter(|one| one.manifest.name.starts_with("code-p")).all(|one| one.present));
    }
}
