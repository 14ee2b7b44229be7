//! A run's config: models x encodings x tasks, from TOML.
//!
//! Reading goes text -> table -> `--set` overrides ([`overrides`]) -> sweeps expanded ([`sweep`]) ->
//! [`Config`]. Everything that can be known to be wrong without a model or a dataset is refused here.

mod difference;
pub(crate) mod overrides;
mod selection;
mod served;
mod sweep;
mod tune;

pub(crate) use difference::difference;
pub use selection::{Picked, Selection};
pub use served::ServedEntry;
pub use sweep::Sweep;
pub use tune::TuneKeys;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use longcode_base::pattern::matches;
use toml::{Table, Value};

use crate::encoding::{self, EncodingSpec};
use crate::error::{Error, ErrorKind, Result, refuse};
use crate::files::read_text;
use crate::hub::{self, Name};
use crate::kernels::Precision;
use crate::limits::{self, CELLS, ROWS, RUN_NAME};
use crate::paper;
use crate::task::{self, Task};

/// Folder of converted and bundled models.
const MODELS: &str = "models";

/// A run's config, resolved: names are unique, sweeps expanded, defaults filled in.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name, and that of its results directory.
    pub name: String,
    /// Seed of the choice of samples and of the bootstrap.
    pub seed: u64,
    /// Whether tasks without their data are skipped with a message, and the report begins with a table of
    /// all.
    pub suite: bool,
    /// The part of the paper that it reproduces: those numbers are printed next to the measured ones.
    pub paper: Option<&'static paper::Exhibit>,
    /// Checkpoints.
    pub models: Vec<ModelEntry>,
    /// Encodings: the rows of the tables.
    pub encodings: Vec<EncodingEntry>,
    /// Tasks.
    pub tasks: Vec<TaskEntry>,
    /// How to search among the encodings, for `longcode tune`.
    pub tune: Option<TuneKeys>,
    /// Where relative paths are looked for: next to the config file, one folder up, the working directory.
    pub search: Vec<PathBuf>,
    /// Whether tasks without their data are left out, though it is not a suite ([`Config::skip_missing`]).
    pub skips_missing_data: bool,
    /// What was left out because it is missing, in words.
    pub left_out: Vec<String>,
}

/// A `[[model]]`.
#[derive(Debug, Clone)]
pub struct ModelEntry {
    /// Its name in tables.
    pub name: String,
    /// Its path, as written in the config; of a served model its tokenizer's.
    pub path: String,
    /// How to get it if it is missing.
    pub obtain: Option<String>,
    /// The precision of its matrix products.
    pub precision: Precision,
    /// How to ask for it, if somebody else serves it.
    pub served: Option<ServedEntry>,
    /// The model of which it is the ceiling: what training at a longer length would have given.
    pub ceiling_of: Option<String>,
}

/// An `[[encoding]]`, one value of a sweep.
#[derive(Debug, Clone)]
pub struct EncodingEntry {
    /// Its name in tables.
    pub name: String,
    /// The encoding.
    pub spec: EncodingSpec,
    /// The sweep that this is one value of, if any.
    pub sweep: Option<Sweep>,
    /// Names of the models that it is for, or patterns of them; all models if empty.
    pub models: Vec<String>,
    /// The encoding's keys as the config has them, where `spec` has them for a model.
    written: Table,
}

impl EncodingEntry {
    /// A row for all models.
    pub fn new(name: String, spec: EncodingSpec) -> EncodingEntry {
        let written = spec.keys.clone();
        EncodingEntry { name, spec, sweep: None, models: Vec::new(), written }
    }

    /// Whether a model is run under it: it is named so, and the encoding is its server's where it is served, and
    /// only there.
    pub fn is_for(&self, model: &ModelEntry) -> bool {
        self.names(model) && self.spec.is_as_served() == model.served.is_some()
    }

    /// Whether `models` names a model, by its name alone.
    pub(crate) fn names(&self, model: &ModelEntry) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| matches(pattern, &model.name))
    }

    /// The row for models of a trained length, in tokens: nothing in it is relative to that.
    ///
    /// # Errors
    /// As [`EncodingSpec::at`].
    pub fn at(&self, trained_length: usize) -> Result<EncodingEntry> {
        let at_name = |e: Error| e.at(format_args!("encoding \"{}\"", self.name));
        Ok(EncodingEntry { spec: self.spec.at(trained_length).map_err(at_name)?, ..self.clone() })
    }

    /// The value of a key, without TOML's quotes. In a sweep over `context` a row without one has all.
    pub fn value(&self, key: &str) -> Option<String> {
        let all = || key == "context" && self.is_swept_over(key);
        self.written.get(key).map(sweep::plain).or_else(|| all().then(|| sweep::ALL.into()))
    }

    fn is_swept_over(&self, key: &str) -> bool {
        self.sweep.iter().flat_map(|sweep| &sweep.keys).any(|swept| swept == key)
    }
}

/// A `[[task]]`, one value of a sweep.
#[derive(Debug, Clone)]
pub struct TaskEntry {
    /// Its name in tables.
    pub name: String,
    /// The kind's name.
    pub kind: &'static str,
    /// A manifest's name or a path.
    pub dataset: String,
    /// Ids of the records that it is of, or patterns of them; all records if empty.
    pub ids: Vec<String>,
    /// The task's keys with defaults filled in.
    pub keys: Table,
    /// What to do.
    pub task: Arc<dyn Task>,
}

fn text(text: &str) -> Value {
    Value::String(text.to_string())
}

fn texts(all: &[String]) -> Value {
    Value::Array(all.iter().map(|one| text(one)).collect())
}

impl ModelEntry {
    /// Its keys, as they go into the results.
    fn table(&self) -> Table {
        let mut table = Table::from_iter([("name".into(), text(&self.name))]);
        if let Some(served) = &self.served {
            table.extend(Table::try_from(served).expect("plain data"));
            return table;
        }
        table.insert("path".into(), text(&self.path));
        if self.precision != Precision::default() {
            table.insert("precision".into(), text(self.precision.name()));
        }
        table.extend(self.ceiling_of.as_ref().map(|model| ("ceiling_of".into(), text(model))));
        table
    }
}

impl EncodingEntry {
    /// Its kind and keys, which are all that a number depends on.
    pub(crate) fn kind_and_keys(&self) -> Table {
        let mut table = Table::from_iter([("kind".into(), text(self.spec.kind))]);
        table.extend(self.spec.pinned_keys());
        table
    }

    fn table(&self) -> Table {
        let mut table = Table::from_iter([("name".into(), text(&self.name))]);
        table.insert("kind".into(), text(self.spec.kind));
        table.extend(self.spec.keys.clone());
        if !self.models.is_empty() {
            table.insert("models".into(), texts(&self.models));
        }
        if let Some(sweep) = &self.sweep {
            table.insert("sweep".into(), Value::try_from(sweep).expect("plain data"));
        }
        table
    }
}

impl TaskEntry {
    /// Its kind and keys: with the data, all that a number depends on.
    pub(crate) fn kind_and_keys(&self) -> Table {
        let mut table = Table::from_iter([("kind".into(), text(self.kind))]);
        if !self.ids.is_empty() {
            table.insert("ids".into(), texts(&self.ids));
        }
        table.extend(self.keys.clone());
        table
    }

    fn table(&self) -> Table {
        let mut table = Table::from_iter([
            ("name".into(), text(&self.name)),
            ("kind".into(), text(self.kind)),
            ("dataset".into(), text(&self.dataset)),
        ]);
        table.extend(self.kind_and_keys());
        table
    }
}

impl Config {
    /// Reads a config file and applies `--set key.path=value` overrides.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] or [`ErrorKind::Encoding`], naming the file and the key.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Config> {
        let text = read_text(path, ErrorKind::Config)?;
        Config::parse(&text, overrides, search_beside(path)).map_err(|e| e.in_file(path))
    }

    /// Parses a config; see [`Config::read`].
    ///
    /// # Errors
    /// As [`Config::read`], without the file's name.
    pub fn parse(text: &str, overrides: &[String], search: Vec<PathBuf>) -> Result<Config> {
        let mut table: Table = toml::from_str(text).map_err(|e| {
            Error::new(ErrorKind::Config, format!("not valid TOML: {}", one_line(&e))).fix("fix the syntax")
        })?;
        overrides::apply(&mut table, overrides)?;
        let models = entries(&mut table, "model", model_entry)?;
        let encodings = encodings(&mut table, &models)?;
        let config = Config {
            name: run_name(&mut table)?,
            seed: seed(&mut table)?,
            suite: suite(&mut table)?,
            paper: paper(&mut table)?,
            models,
            encodings,
            tasks: entries(&mut table, "task", task_entries)?,
            tune: TuneKeys::take(&mut table)?,
            search,
            skips_missing_data: false,
            left_out: Vec::new(),
        };
        refuse_unknown(&table, &["name", "seed", "suite", "paper", "model", "encoding", "task", "tune"])?;
        unique("model", config.models.iter().map(|entry| &entry.name))?;
        unique("encoding", config.encodings.iter().map(|entry| &entry.name))?;
        unique("task", config.tasks.iter().map(|entry| &entry.name))?;
        config.refuse_too_much()?;
        config.refuse_rows_without_a_model()?;
        config.refuse_ceilings_of_nothing()?;
        Ok(config)
    }

    /// Refuses more models times encodings times tasks than any run has, before anything is counted for each.
    fn refuse_too_much(&self) -> Result<()> {
        let counts = [self.models.len(), self.encodings.len(), self.tasks.len()];
        let all: u128 = counts.iter().map(|&count| count as u128).product();
        if all <= CELLS as u128 {
            return Ok(());
        }
        let [models, encodings, tasks] = counts;
        Err(config_error(
            format!("{models} models, {encodings} encodings and {tasks} tasks are {all} rows, and {CELLS} are the most"),
            "give several configs",
        )
        .at_key("encoding"))
    }

    /// Refuses an encoding that is for none of the models.
    fn refuse_rows_without_a_model(&self) -> Result<()> {
        let is_for_none = |entry: &&EncodingEntry| !self.models.iter().any(|model| entry.names(model));
        let Some(entry) = self.encodings.iter().find(is_for_none) else { return Ok(()) };
        let known: Vec<&str> = self.models.iter().map(|model| &model.name[..]).collect();
        let what = format!("models is {}, and no model has such a name", texts(&entry.models));
        Err(config_error(what, format!("use some of: {}; * stands for any text", known.join(", ")))
            .at_key("models")
            .at(format_args!("encoding \"{}\"", entry.name)))
    }

    /// Reads the files that encodings name.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a file that is nowhere, [`ErrorKind::Encoding`] for one that is wrong.
    pub fn open_encodings(&mut self) -> Result<()> {
        let search = &self.search;
        for entry in &mut self.encodings {
            let found = |path: &Path| find(&path.to_string_lossy(), search);
            let opened = entry.spec.clone().opened(&found);
            entry.spec = opened.map_err(|e| e.at(format_args!("encoding \"{}\"", entry.name)))?;
        }
        Ok(())
    }

    /// Refuses a ceiling of a model that is not there, or is a ceiling itself.
    fn refuse_ceilings_of_nothing(&self) -> Result<()> {
        let may_have_one: Vec<&str> = self
            .models
            .iter()
            .filter(|model| model.ceiling_of.is_none())
            .map(|model| &model.name[..])
            .collect();
        let of_nothing = |model: &&ModelEntry| {
            model.ceiling_of.as_ref().is_some_and(|of| !may_have_one.contains(&&of[..]))
        };
        let Some(model) = self.models.iter().find(of_nothing) else { return Ok(()) };
        let of = model.ceiling_of.as_deref().unwrap_or_default();
        let why = if self.models.iter().any(|model| model.name == of) {
            "is a ceiling too"
        } else {
            "is not there"
        };
        let fix = match &may_have_one[..] {
            [] => "leave it out of one of the models".into(),
            known => format!("use one of: {}", known.join(", ")),
        };
        Err(config_error(format!("ceiling_of is \"{of}\", which {why}"), fix)
            .at_key("ceiling_of")
            .at(format_args!("model \"{}\"", model.name)))
    }

    /// The ceilings of a model.
    pub fn ceilings_of<'a>(&'a self, model: &'a str) -> impl Iterator<Item = &'a ModelEntry> {
        self.models.iter().filter(move |entry| entry.ceiling_of.as_deref() == Some(model))
    }

    /// The encodings for models of a trained length, in tokens, numbered as in the config.
    ///
    /// # Errors
    /// As [`EncodingEntry::at`].
    pub fn encodings_at(&self, trained_length: usize) -> Result<Vec<EncodingEntry>> {
        self.encodings.iter().map(|entry| entry.at(trained_length)).collect()
    }

    /// The config with sweeps expanded and defaults filled in, as it goes into the results.
    pub fn resolved(&self) -> Table {
        let array =
            |tables: &mut dyn Iterator<Item = Table>| Value::Array(tables.map(Value::Table).collect());
        let mut table = Table::from_iter([
            ("name".into(), text(&self.name)),
            // TOML integers are signed; `seed` refused what does not fit.
            ("seed".into(), Value::Integer(self.seed as i64)),
        ]);
        table.extend(self.suite.then(|| ("suite".into(), Value::Boolean(true))));
        table.extend(self.paper.map(|paper| ("paper".into(), text(paper.name))));
        table.extend([
            ("model".into(), array(&mut self.models.iter().map(ModelEntry::table))),
            ("encoding".into(), array(&mut self.encodings.iter().map(EncodingEntry::table))),
            ("task".into(), array(&mut self.tasks.iter().map(TaskEntry::table))),
        ]);
        let tune = self.tune.as_ref().map(|keys| Value::try_from(keys).expect("plain data"));
        table.extend(tune.map(|keys| ("tune".into(), keys)));
        table
    }

    /// Where a model is: at its path or, if it is named as on the hub, in the folder `models` or the local
    /// cache.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it is missing, with how to get it.
    pub fn find_model(&self, entry: &ModelEntry) -> Result<PathBuf> {
        let converted = || self.find(&format!("{MODELS}/{}", entry.path));
        let found = self.find(&entry.path).or_else(|missing| converted().map_err(|_| missing));
        let found = match (found, Name::model(&entry.path)) {
            // If the config says how to get it, its path is not a name.
            (Err(missing), Some(name)) => {
                name.cached().map_err(|e| if entry.obtain.is_some() { missing } else { e })
            }
            (found, _) => found,
        };
        found.map_err(|mut e| {
            e.fix = entry.obtain.clone().or(e.fix);
            e.at(format_args!("model \"{}\"", entry.name))
        })
    }

    /// Fetches what the config names on the Hugging Face hub and does not exist as a path: models as
    /// `org/name`, data sets as `hf:org/name/file`.
    ///
    /// # Errors
    /// As [`hub::fetch`].
    pub fn download(&self) -> Result<()> {
        // What a config says how to get in another way is not on the hub.
        for entry in self.models.iter().filter(|entry| entry.obtain.is_none()) {
            if let (Err(_), Some(name)) = (self.find(&entry.path), Name::model(&entry.path)) {
                let fetched =
                    if entry.served.is_some() { hub::fetch_text_side(&name) } else { hub::fetch(&name) };
                fetched.map_err(|e| e.at(format_args!("model \"{}\"", entry.name)))?;
            }
        }
        for entry in &self.tasks {
            let at_task = |e: Error| e.at(format_args!("task \"{}\"", entry.name));
            let evaluator = entry.task.evaluator().filter(|one| self.find(one.model).is_err());
            if let Some(name) = evaluator.and_then(|one| Name::model(one.model)) {
                hub::fetch(&name).map_err(at_task)?;
            }
            if let Some(name) = Name::dataset(&entry.dataset).map_err(at_task)? {
                hub::fetch(&name).map_err(at_task)?;
            }
        }
        Ok(())
    }

    /// The first existing path among the places that a relative path is looked for.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it exists in none.
    pub fn find(&self, path: &str) -> Result<PathBuf> {
        find(path, &self.search)
    }
}

/// Where the relative paths in a config file are looked for.
pub(crate) fn search_beside(config: &Path) -> Vec<PathBuf> {
    let beside = config.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut search = vec![beside.clone(), beside.join(".."), PathBuf::from(".")];
    search.dedup();
    search
}

/// See [`Config::find`].
pub(crate) fn find(path: &str, search: &[PathBuf]) -> Result<PathBuf> {
    search.iter().map(|dir| dir.join(path)).find(|found| found.exists()).ok_or_else(|| {
        let tried: Vec<_> = search.iter().map(|dir| dir.join(path).display().to_string()).collect();
        config_error(format!("`{path}` does not exist"), format!("looked for {}", tried.join(", ")))
    })
}

fn config_error(what: impl Into<String>, fix: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, what).fix(fix)
}

/// A TOML error's message and position on one line, with the line that it is in if that is short.
pub(crate) fn one_line(error: &toml::de::Error) -> String {
    const SHORT: usize = 400;
    let text = error.to_string();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.len() <= SHORT {
        words(&text)
    } else {
        let place = text.lines().next().unwrap_or_default();
        let message = words(error.message());
        let end = message.floor_char_boundary(SHORT);
        format!("{}: {}", words(&place[..place.floor_char_boundary(SHORT)]), &message[..end])
    }
}

fn refuse_unknown(table: &Table, known: &[&str]) -> Result<()> {
    match table.keys().next() {
        Some(key) => {
            Err(config_error(format!("unknown key `{key}`"), format!("use one of: {}", known.join(", ")))
                .at_key(key))
        }
        None => Ok(()),
    }
}

/// Removes a key that must be a string, if present.
fn take_text(table: &mut Table, key: &str) -> Result<Option<String>> {
    match table.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
        Some(other) => {
            Err(config_error(format!("{key} is {other}"), "give a text that is not empty").at_key(key))
        }
    }
}

/// Removes a key that must be a string or a list of strings, if present.
fn take_texts(table: &mut Table, key: &str) -> Result<Option<Vec<String>>> {
    let values = match table.remove(key) {
        None => return Ok(None),
        Some(Value::Array(values)) => values,
        Some(value) => vec![value],
    };
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.trim().is_empty());
    if values.is_empty() || !values.iter().all(is_text) {
        let what = format!("{key} is {}", Value::Array(values));
        return Err(
            config_error(what, format!("give a text or a list of texts: {key} = [\"a\", \"b\"]")).at_key(key)
        );
    }
    Ok(Some(values.iter().filter_map(Value::as_str).map(str::to_string).collect()))
}

fn need_text(table: &mut Table, key: &str) -> Result<String> {
    take_text(table, key)?
        .ok_or_else(|| config_error(format!("no `{key}`"), format!("add {key} = \"...\"")).at_key(key))
}

fn run_name(table: &mut Table) -> Result<String> {
    let name = need_text(table, "name")?;
    check_run_name(&name)?;
    Ok(name)
}

/// Refuses a name that cannot name a results directory.
pub(crate) fn check_run_name(name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(is_plain) || name.starts_with('.') {
        return refuse(
            "name",
            format!("name \"{name}\" cannot name a directory"),
            "use letters, digits, - _ and . only",
        );
    }
    if name.len() > RUN_NAME {
        return refuse(
            "name",
            format!(
                "the name has {} bytes, and {RUN_NAME} are the most that a directory's may have here",
                name.len()
            ),
            "give a shorter one",
        );
    }
    Ok(())
}

fn seed(table: &mut Table) -> Result<u64> {
    match table.remove("seed") {
        None => Ok(0),
        Some(Value::Integer(seed)) if seed >= 0 => Ok(seed as u64),
        Some(other) => {
            Err(config_error(format!("seed is {other}"), "give a whole number of at least 0").at_key("seed"))
        }
    }
}

fn suite(table: &mut Table) -> Result<bool> {
    match table.remove("suite") {
        None => Ok(false),
        Some(Value::Boolean(suite)) => Ok(suite),
        Some(other) => {
            Err(config_error(format!("suite is {other}"), "give true, or leave it out").at_key("suite"))
        }
    }
}

fn paper(table: &mut Table) -> Result<Option<&'static paper::Exhibit>> {
    let Some(name) = take_text(table, "paper")? else { return Ok(None) };
    let names: Vec<_> = paper::EXHIBITS.iter().map(|exhibit| exhibit.name).collect();
    paper::find(&name).map(Some).ok_or_else(|| {
        config_error(format!("paper is \"{name}\""), format!("use one of: {}", names.join(", ")))
            .at_key("paper")
    })
}

/// The entries of `[[key]]`, each table expanded by its sweep.
fn entries<T>(table: &mut Table, key: &str, read: fn(Table) -> Result<Vec<T>>) -> Result<Vec<T>> {
    let missing =
        || config_error(format!("no [[{key}]]"), format!("add at least one [[{key}]] table")).at_key(key);
    let tables = match table.remove(key) {
        Some(Value::Array(tables)) if !tables.is_empty() => tables,
        Some(Value::Table(_)) => {
            return Err(config_error(
                format!("`{key}` is one table"),
                format!("write [[{key}]], with two brackets"),
            )
            .at_key(key));
        }
        _ => return Err(missing()),
    };
    let mut all = Vec::new();
    for (number, value) in tables.into_iter().enumerate() {
        let Value::Table(entry) = value else { return Err(missing()) };
        let label = match entry.get("name").or(entry.get("kind")).and_then(Value::as_str) {
            Some(name) => format!("{key} \"{name}\""),
            None => format!("{key} {number}"),
        };
        all.extend(read(entry).map_err(|e| e.at(label))?);
        if all.len() > ROWS {
            return Err(sweep::too_many(all.len() as u128).at_key(key));
        }
    }
    Ok(all)
}

fn model_entry(mut table: Table) -> Result<Vec<ModelEntry>> {
    let name = take_text(&mut table, "name")?;
    if table.contains_key("endpoint") {
        return Ok(vec![served::served_entry(name, table)?]);
    }
    let path = need_text(&mut table, "path")?;
    let obtain = take_text(&mut table, "obtain")?;
    let precision = match take_text(&mut table, "precision")? {
        None => Precision::default(),
        Some(name) => {
            name.parse().map_err(|what| config_error(what, "leave it out for f32").at_key("precision"))?
        }
    };
    let ceiling_of = take_text(&mut table, "ceiling_of")?;
    refuse_unknown(&table, &["name", "path", "obtain", "precision", "ceiling_of", "endpoint"])?;
    let folder =
        || Path::new(&path).file_name().map_or(path.clone(), |name| name.to_string_lossy().into_owned());
    Ok(vec![ModelEntry {
        name: name.unwrap_or_else(folder),
        path,
        obtain,
        precision,
        served: None,
        ceiling_of,
    }])
}

/// The rows of a config. Served models have one kind alone, which needs no table.
///
/// # Errors
/// [`ErrorKind::Config`] or [`ErrorKind::Encoding`] when a model has no row, or a row no model.
fn encodings(table: &mut Table, models: &[ModelEntry]) -> Result<Vec<EncodingEntry>> {
    let (served, local): (Vec<_>, Vec<_>) = models.iter().partition(|model| model.served.is_some());
    let none = !table.contains_key("encoding");
    let mut rows =
        if none && local.is_empty() { Vec::new() } else { entries(table, "encoding", encoding_entries)? };
    let is_as_served = |row: &&EncodingEntry| row.spec.is_as_served();
    match (rows.iter().find(is_as_served), &served[..]) {
        (Some(row), []) => {
            return Err(config_error(
                "as_served is of served models, and no [[model]] has an `endpoint`",
                "leave it out",
            )
            .at(format_args!("encoding \"{}\"", row.name)));
        }
        (None, [_, ..]) => {
            let spec = EncodingSpec::parse(encoding::AS_SERVED)?;
            rows.push(EncodingEntry::new(encoding::AS_SERVED.into(), spec));
        }
        _ => {}
    }
    for row in rows.iter().filter(is_as_served) {
        row.spec.check_as_served().map_err(|e| e.at(format_args!("encoding \"{}\"", row.name)))?;
    }
    match local.first() {
        Some(model) if rows.iter().all(|row| row.spec.is_as_served()) => Err(config_error(
            "this model has no [[encoding]]: all rows are as_served",
            "add one, as kind = \"rope\"",
        )
        .at(format_args!("model \"{}\"", model.name))),
        _ => Ok(rows),
    }
}

fn encoding_entries(mut table: Table) -> Result<Vec<EncodingEntry>> {
    let kind = need_text(&mut table, "kind")?;
    let name = take_text(&mut table, "name")?.unwrap_or_else(|| kind.clone());
    let models = take_texts(&mut table, "models")?.unwrap_or_default();
    let known = take_sweep(&mut table)?;
    let lists = [encoding::find_kind(&kind)?.lists, &["layers"]].concat();
    let expanded = sweep::expand(table, &lists)?;
    let sweep = match (known, expanded.keys.is_empty()) {
        (known, true) => known,
        (None, false) => Some(Sweep { of: name.clone(), keys: expanded.keys }),
        (Some(_), false) => {
            let what = "`sweep` says that this is one value of a sweep, and a key has several values";
            return Err(config_error(what, "take out `sweep`: a list makes a sweep").at_key("sweep"));
        }
    };
    expanded
        .entries
        .into_iter()
        .map(|(suffix, keys)| {
            let spec = EncodingSpec::from_table(&kind, keys)?;
            let (sweep, models) = (sweep.clone(), models.clone());
            Ok(EncodingEntry { sweep, models, ..EncodingEntry::new(format!("{name}{suffix}"), spec) })
        })
        .collect()
}

/// The sweep that an entry of a resolved config is one value of.
fn take_sweep(table: &mut Table) -> Result<Option<Sweep>> {
    table
        .remove("sweep")
        .map(|value| {
            value.try_into().map_err(|e: toml::de::Error| {
                config_error(
                    format!("sweep: {}", one_line(&e)),
                    "take it out: a list as a key's value makes a sweep",
                )
                .at_key("sweep")
            })
        })
        .transpose()
}

fn task_entries(mut table: Table) -> Result<Vec<TaskEntry>> {
    let kind = task::find_kind(&need_text(&mut table, "kind")?)?;
    let dataset = need_text(&mut table, "dataset")?;
    let name = take_text(&mut table, "name")?.unwrap_or_else(|| format!("{}-{dataset}", kind.name));
    let ids = take_texts(&mut table, "ids")?.unwrap_or_default();
    let values = sweep::expand(table, kind.lists)?.entries;
    values
        .into_iter()
        .map(|(suffix, keys)| {
            check_new_tokens(&keys)?;
            let (task, keys) = task::parse(kind, keys)?;
            let name = format!("{name}{suffix}");
            let (dataset, ids) = (dataset.clone(), ids.clone());
            Ok(TaskEntry { name, kind: kind.name, dataset, ids, keys, task })
        })
        .collect()
}

/// Refuses more new tokens than any sequence has, in a task of any kind.
fn check_new_tokens(keys: &Table) -> Result<()> {
    let key = "max_new_tokens";
    match keys.get(key).and_then(toml::Value::as_integer) {
        Some(tokens) if tokens > limits::SEQUENCE as i64 => {
            let what = format!("{key} is {tokens}, more than {}", limits::SEQUENCE);
            Err(config_error(what, "ask for fewer tokens").at_key(key))
        }
        _ => Ok(()),
    }
}

fn unique<'a>(key: &str, names: impl Iterator<Item = &'a String>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(config_error(format!("two {key}s are named \"{name}\""), "give each its own name")
                .at(format_args!("{key} \"{name}\"")));
        }
    }
    Ok(())
}
