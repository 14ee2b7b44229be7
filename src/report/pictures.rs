//! Which pictures a report has: curves by position, by bucket and by the value of a sweep ([`curves`]),
//! and grids of length by depth.
//!
//! [`curves`]: super::curves

use std::collections::{BTreeSet, HashSet};

use super::contributions::{self, Contributions};
use super::structure::Structure;
use super::{Row, Section, Standings};
use crate::config::{Config, EncodingEntry, TaskEntry};
use crate::draw::heatmap::{HeatMap, Panel};
use crate::hash::sha256;
use crate::limits::FILE_NAME;
use crate::store::Results;
use crate::task::{Better, Metric, Ruler};

/// The file of the picture of all rows.
const ALL: &str = "all-rows";

/// A picture of a section.
#[derive(Debug)]
pub struct Picture {
    /// What it shows.
    pub title: String,
    /// The SVG file's content.
    pub svg: String,
    name: String,
}

impl Picture {
    /// Its file as SVG.
    pub fn svg_file(&self) -> String {
        format!("{}.svg", self.name)
    }

    /// Its file as PNG.
    pub fn png_file(&self) -> String {
        format!("{}.png", self.name)
    }
}

/// All rows on all tasks.
pub(super) fn of_all(name: &str, standings: &Standings) -> Picture {
    let title = format!("{name}: all rows");
    Picture { svg: standings.picture(title.clone()), title, name: ALL.into() }
}

/// Draws every section's pictures.
pub(super) fn pictures(
    results: &Results,
    rows: &[Row],
    structures: &[Structure],
    sections: &mut [Section],
    baseline: &str,
) {
    let mut names = FileNames::default();
    names.unique(ALL);
    for section in sections {
        let rows = rows.iter().filter(|row| row.model == section.model && row.task == section.task);
        let task = results.config.tasks.iter().find(|task| task.name == section.task);
        let shown = ModelOnTask {
            config: &results.config,
            task: task.expect("a section's task is in the config"),
            rows: rows.collect(),
            contributions: &section.contributions,
            structure: structures.iter().find(|one| [one.model, one.task] == [&section.model, &section.task]),
            trained_length: section.trained_length,
            heading: format!("{} on {}", section.model, section.task),
            baseline,
        };
        let named = |(what, svg): (String, String)| Picture {
            title: shown.title(&what),
            svg,
            name: names.unique(&format!("{}-{}-{what}", section.model, section.task)),
        };
        let curves = section.context_curves.as_ref().map(|curves| {
            let what = curves.picture_name();
            let svg = curves.picture(shown.title(&what), section.trained_length);
            (what, svg)
        });
        section.pictures = shown.all().into_iter().chain(curves).map(named).collect();
    }
}

/// One model's figures on one task. A picture is what it shows, in words, and its SVG.
pub(super) struct ModelOnTask<'a> {
    pub(super) config: &'a Config,
    pub(super) task: &'a TaskEntry,
    pub(super) rows: Vec<&'a Row>,
    /// What its differences are made of.
    contributions: &'a [Contributions],
    /// Units beside their controls, where there are any.
    structure: Option<&'a Structure<'a>>,
    pub(super) trained_length: usize,
    /// Model and task.
    heading: String,
    /// The encoding that differences are taken from.
    pub(super) baseline: &'a str,
}

impl<'a> ModelOnTask<'a> {
    fn all(&self) -> Vec<(String, String)> {
        let metrics = self.task.task.metrics();
        // Of a perplexity the loss is drawn: a collapse would flatten every other curve.
        let main = metrics.first().and_then(|first| metrics.iter().find(|metric| metric.name == first.of));
        let mut pictures: Vec<_> = self.contributions().into_iter().chain(self.structure()).collect();
        if let Some(metric) = main {
            pictures.extend(Ruler::ALL.into_iter().filter_map(|ruler| self.along(ruler, metric)));
            pictures.extend(self.by_seen(metric));
            pictures.extend(self.gains(metric));
            pictures.extend(self.sweeps(metric));
        }
        pictures.extend(metrics.iter().filter_map(|metric| self.grid(metric)));
        pictures
    }

    /// Where the differences of the loss from the baseline come from.
    fn contributions(&self) -> Option<(String, String)> {
        let what = "what a difference is made of".to_string();
        let title = self.title("what is further back worth, and at which tokens?");
        let svg = contributions::picture(self.contributions, self.baseline, title)?;
        Some((what, svg))
    }

    /// Size and structure of segments, apart.
    fn structure(&self) -> Option<(String, String)> {
        let what = self.structure?.picture_title();
        let svg = self.structure?.picture(self.title(&what))?;
        Some((what, svg))
    }

    pub(super) fn title(&self, what: &str) -> String {
        format!("{}: {what}", self.heading)
    }

    pub(super) fn rows_of(&self, metric: &Metric) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().copied().filter(move |row| row.metric == *metric)
    }

    /// The grid of lengths and depths; none without cells.
    fn grid(&self, metric: &Metric) -> Option<(String, String)> {
        let cells: Vec<((usize, u8), &Row)> =
            self.rows_of(metric).filter_map(|row| Some((row.group.cell()?, row))).collect();
        if cells.is_empty() {
            return None;
        }
        let lengths: BTreeSet<usize> = cells.iter().map(|((length, _), _)| *length).collect();
        let depths: BTreeSet<u8> = cells.iter().map(|((_, depth), _)| *depth).collect();
        let panel = |encoding: &EncodingEntry| {
            let value = |place| {
                let found = cells.iter().find(|(own, row)| *own == place && row.encoding == encoding.name);
                found.map(|(_, row)| row.estimate.value)
            };
            let row = |depth: &u8| lengths.iter().map(|length| value((*length, *depth))).collect();
            Panel { name: encoding.name.clone(), cells: depths.iter().map(row).collect() }
        };
        let measured = |panel: &Panel| panel.cells.iter().flatten().any(Option::is_some);
        let what = format!("{} by length and depth", metric.words());
        let map = HeatMap {
            title: self.title(&what),
            within: lengths.iter().filter(|length| **length <= self.trained_length).count(),
            trained_length: self.trained_length,
            range: range(cells.iter().map(|(_, row)| row.estimate.value), metric),
            panels: self.config.encodings.iter().map(panel).filter(measured).collect(),
            lengths: lengths.into_iter().collect(),
            depths: depths.into_iter().collect(),
        };
        Some((what, map.svg()))
    }
}

/// The scale of a grid: 0 to 1 for shares, what was measured for anything else.
fn range(values: impl Iterator<Item = f64> + Clone, metric: &Metric) -> (f64, f64) {
    let (least, most) =
        (values.clone().fold(f64::INFINITY, f64::min), values.fold(f64::NEG_INFINITY, f64::max));
    let share = metric.better == Better::Higher && least >= 0.0 && most <= 1.0;
    if share { (0.0, 1.0) } else { (least, most.max(least + 1e-9)) }
}

/// Names of files, each given once. Every file and directory that is called after names of a config has its name here.
#[derive(Default)]
pub(super) struct FileNames(HashSet<String>);

impl FileNames {
    /// A name as a file's, of letters, digits, dots, underscores and dashes, not hidden, and of at most [`FILE_NAME`]
    /// bytes; numbered where an earlier one reads the same, also on a disk that does not tell capitals from small
    /// letters.
    pub(super) fn unique(&mut self, name: &str) -> String {
        self.unique_of(name, |c| c.is_alphanumeric() || matches!(c, '.' | '_'), '-')
    }

    /// The same with other characters that stay, and what stands for those that do not.
    pub(super) fn unique_of(&mut self, name: &str, stays: fn(char) -> bool, other: char) -> String {
        let plain = |(n, c): (usize, char)| match n {
            0 if c == '.' => other,
            _ if stays(c) => c,
            _ => other,
        };
        let plain: String = name.chars().enumerate().map(plain).collect();
        let name = if plain.len() <= FILE_NAME {
            plain
        } else {
            // The hash is of all of it, so that names that begin alike stay apart.
            let hash = &sha256(name.as_bytes())[..8];
            format!("{}{other}{hash}", &plain[..plain.floor_char_boundary(FILE_NAME - 9)])
        };
        let mut names = [name.clone()].into_iter().chain((2..).map(|n| format!("{name}{other}{n}")));
        names.find(|name| self.0.insert(name.to_lowercase())).expect("there is always another number")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_read_the_same_are_numbered() {
        let mut names = FileNames::default();
        let given = ["a b", "a-b", "A b", "c"].map(|name| names.unique(name));
        assert_eq!(given, ["a-b", "a-b-2", "A-b-3", "c"]);
    }

    #[test]
    fn any_name_is_one_that_a_disk_can_have() {
        let mut names = FileNames::default();
        let given = [".", "..", ".hidden", "a/b", "a:b", "../../x", ""].map(|name| names.unique(name));
        assert_eq!(given, ["-", "-.", "-hidden", "a-b", "a-b-2", "-.-..-x", ""]);
        let long = ["é".repeat(200), format!("{}x", "é".repeat(200))].map(|name| names.unique(&name));
        assert!(long[0] != long[1] && long.iter().all(|name| name.len() <= FILE_NAME), "{long:?}");
    }
}
