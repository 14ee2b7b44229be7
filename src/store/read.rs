//! samples.jsonl as it is read: line by line, each checked, and of each only what fits in few bytes is kept.
//! What a task made of a sample is read again when it is asked for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::growth::Renames;
use super::line::{self, Fields};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::STORED_LINE;
use crate::model::Seen;

/// Bytes of lines that are parsed in parallel: enough for all cores.
const TOGETHER: usize = 4 << 20;

/// A stored result.
#[derive(Debug, Clone)]
pub struct StoredSample {
    /// Number of the model in the config.
    pub model: usize,
    /// Number of the encoding in the config.
    pub encoding: usize,
    /// Number of the task in the config.
    pub task: usize,
    /// The sample's id.
    pub sample: Arc<str>,
    /// The bucket of the task.
    pub bucket: Arc<str>,
    /// Tokens of the sample.
    pub tokens: usize,
    /// Segments of these tokens by level of the encoding; none of an encoding without levels, and in results of an
    /// earlier longcode.
    pub segments: Box<[usize]>,
    /// Keys that its tokens saw; none in results of an earlier longcode.
    pub keys: Option<Seen>,
    /// sha256 of the sample's text.
    pub sha256: Arc<str>,
    /// Wall time of this sample.
    pub seconds: f64,
    /// Why there is no outcome, if it failed.
    pub failed: Option<Arc<str>>,
    /// Where the line is stored.
    place: Place,
}

/// A line of a file.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Number of the file.
    file: usize,
    start: u64,
    bytes: usize,
    /// Number of the line, from 1.
    number: usize,
}

/// What a file of samples holds.
pub(super) struct FileOfSamples {
    pub(super) samples: Vec<StoredSample>,
    /// Bytes of whole lines.
    pub(super) whole: u64,
    /// Bytes of a last line without a newline, which was cut.
    pub(super) cut: usize,
    /// Lines without a checksum.
    pub(super) unchecked: usize,
}

/// Reads a file of samples from its current position; `number` is the file's, for [`Sources`].
///
/// # Errors
/// [`ErrorKind::Results`], naming the line that is broken or damaged, or that names something that is none
/// of `names`.
pub(super) fn read_samples(file: &File, path: &Path, number: usize, names: &Names) -> Result<FileOfSamples> {
    let mut found = FileOfSamples { samples: Vec::new(), whole: 0, cut: 0, unchecked: 0 };
    let (mut reader, mut texts) = (BufReader::new(file), HashSet::new());
    let (mut block, mut ends) = (Vec::new(), Vec::new());
    let mut lines = 0;
    loop {
        found.cut += read_block(&mut reader, &mut block, &mut ends).map_err(|e| unreadable(path, &e))?;
        if block.len() > ends.last().map_or(0, |end| *end) {
            let what = format!("a line of more than {STORED_LINE} bytes");
            return Err(broken_line(path, lines + ends.len() + 1, what));
        }
        if ends.is_empty() {
            return Ok(found);
        }
        let starts = [0].into_iter().chain(ends.iter().copied());
        let bounds: Vec<(usize, usize)> = starts.zip(ends.iter().copied()).collect();
        let parsed: Vec<_> = bounds
            .par_iter()
            .enumerate()
            .map(|(n, &(start, end))| {
                let fields = line::parse::<IgnoredAny>(&block[start..end]);
                let numbers = fields.and_then(|fields| Ok((names.numbers(&fields)?, fields)));
                numbers.map_err(|what| broken_line(path, lines + n + 1, what))
            })
            .collect::<Result<_>>()?;
        for (n, ((start, end), (numbers, fields))) in bounds.iter().zip(parsed).enumerate() {
            let place = Place {
                file: number,
                start: found.whole + *start as u64,
                bytes: end - start,
                number: lines + n + 1,
            };
            found.unchecked += usize::from(!fields.is_checked());
            found.samples.push(StoredSample::new(numbers, fields, place, &mut texts));
        }
        found.whole += block.len() as u64;
        lines += ends.len();
    }
}

/// Fills `block` with whole lines, and `ends` with where each ends; gives the bytes of a last line that was
/// cut. A line that is too long stays in the block without an end.
fn read_block(
    reader: &mut BufReader<&File>,
    block: &mut Vec<u8>,
    ends: &mut Vec<usize>,
) -> std::io::Result<usize> {
    block.clear();
    ends.clear();
    while block.len() < TOGETHER {
        let start = block.len();
        let read = reader.by_ref().take(STORED_LINE as u64 + 1).read_until(b'\n', block)?;
        match block.last() {
            _ if read == 0 => break,
            Some(b'\n') => ends.push(block.len()),
            _ if read > STORED_LINE => break,
            _ => {
                block.truncate(start);
                return Ok(read);
            }
        }
    }
    Ok(0)
}

impl StoredSample {
    /// A stored result; names that many lines share are kept once, in `texts`.
    fn new(
        [model, encoding, task]: [usize; 3],
        fields: Fields<IgnoredAny>,
        place: Place,
        texts: &mut HashSet<Arc<str>>,
    ) -> StoredSample {
        let mut kept = |text: String| match texts.get(&text[..]) {
            Some(known) => known.clone(),
            None => {
                let text: Arc<str> = text.into();
                texts.insert(text.clone());
                text
            }
        };
        StoredSample {
            model,
            encoding,
            task,
            sample: kept(fields.sample),
            bucket: kept(fields.bucket),
            tokens: fields.tokens,
            segments: fields.segments.into(),
            keys: fields.keys,
            sha256: kept(fields.sha256),
            seconds: fields.seconds,
            failed: fields.failed.map(kept),
            place,
        }
    }
}

/// Numbers of a config's models, encodings and tasks by name.
pub(super) struct Names<'a> {
    models: HashMap<&'a str, usize>,
    encodings: HashMap<&'a str, usize>,
    tasks: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    pub(super) fn of(config: &'a Config) -> Names<'a> {
        Names {
            models: config.models.iter().enumerate().map(|(n, one)| (&one.name[..], n)).collect(),
            encodings: config.encodings.iter().enumerate().map(|(n, one)| (&one.name[..], n)).collect(),
            tasks: config.tasks.iter().enumerate().map(|(n, one)| (&one.name[..], n)).collect(),
        }
    }

    /// The same, also by the names that stored results have.
    pub(super) fn with_earlier(mut self, renames: &'a Renames) -> Names<'a> {
        let add = |known: &mut HashMap<&'a str, usize>, names: &'a BTreeMap<String, String>| {
            for (there, now) in names {
                known.insert(there, known[&now[..]]);
            }
        };
        add(&mut self.models, &renames.models);
        add(&mut self.encodings, &renames.encodings);
        add(&mut self.tasks, &renames.tasks);
        self
    }

    /// The numbers of a line, or what the config does not have.
    fn numbers(&self, line: &Fields<IgnoredAny>) -> std::result::Result<[usize; 3], String> {
        let find = |known: &HashMap<&str, usize>, what: &str, name: &str| {
            known.get(name).copied().ok_or_else(|| format!("the config has no {what} \"{name}\""))
        };
        Ok([
            find(&self.models, "model", &line.model)?,
            find(&self.encodings, "encoding", &line.encoding)?,
            find(&self.tasks, "task", &line.task)?,
        ])
    }
}

/// The files that outcomes are read from.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<Source>);

#[derive(Debug)]
struct Source {
    path: PathBuf,
    file: Mutex<File>,
}

impl Sources {
    /// The number that the next file gets.
    pub(super) fn next(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, path: PathBuf, file: File) {
        self.0.push(Source { path, file: Mutex::new(file) });
    }

    /// Adds the files of `others` after these, and makes `samples` of those others refer to them here.
    pub(super) fn extend(&mut self, others: Sources, samples: &mut [StoredSample]) {
        let before = self.next();
        samples.iter_mut().for_each(|sample| sample.place.file += before);
        self.0.extend(others.0);
    }

    /// What the task made of a sample; none if it failed.
    ///
    /// # Errors
    /// [`ErrorKind::Results`] when the file has changed.
    pub(super) fn outcome(&self, sample: &StoredSample) -> Result<Option<Value>> {
        if sample.failed.is_some() {
            return Ok(None);
        }
        let Place { file, start, bytes, number } = sample.place;
        let Source { path, file } = &self.0[file];
        let mut line = vec![0; bytes];
        let read = {
            let mut file = file.lock().expect("reading does not panic");
            file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut line))
        };
        read.map_err(|e| unreadable(path, &e))?;
        let fields = line::parse::<Value>(&line).map_err(|what| broken_line(path, number, what))?;
        Ok(fields.outcome)
    }

    /// Where a line is stored, in words.
    pub(super) fn place(&self, sample: &StoredSample) -> String {
        format!("{}:{}", self.0[sample.place.file].path.display(), sample.place.number)
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Results, format!("cannot read the file: {error}"))
        .in_file(path)
        .fix("check the path and its permissions, and that nothing else writes to it")
}

fn broken_line(path: &Path, number: usize, what: String) -> Error {
    Error::new(ErrorKind::Results, what).at(format_args!("{}:{number}", path.display())).fix(LINE_FIX)
}

/// What to do with a line that is not a result.
pub(super) const LINE_FIX: &str =
    "remove the line, whose sample is then computed again, or start over with --fresh";
