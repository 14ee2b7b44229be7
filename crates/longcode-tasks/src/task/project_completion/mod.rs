//! `project_completion`: lines of a file, with the project's other files before it: Long Code Arena's project-level code
//! completion, JetBrains-Research/lca-baselines at 5b1b564, path_distance_composer.py and line_generators.py
//! (docs/tasks.md, "Long Code Arena").

mod answer;
mod context;
mod project;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::answer::{Outcome, Reference, has_line};
use self::context::cropped;
use self::project::{Line, Project};
use super::{
    Answer, Ask, Better, Group, LeftOut, Measure, Metric, Sample, Selection, Span, Task, TaskKind,
    fewer_than_asked, kind_of, sift, with_left_out,
};
use crate::dataset::Dataset;
use longcode_base::error::{Error, ErrorKind, Result, refuse_zeros};
use longcode_text::{Limits, TextSide, Tokenizer};

const METRICS: &[Metric] = &[
    Metric::percent("exact_match", Better::Higher).titled("Exact match, percent", OVER),
    Metric::percent("edit_similarity", Better::Higher).titled("Edit similarity (thefuzz), percent", OVER),
    Metric::percent_gain("exact_match_gain", Better::Higher)
        .titled("Exact match less that without the project's other files, percent points", OVER),
    Metric::percent_gain("edit_similarity_gain", Better::Higher)
        .titled("Edit similarity less that without the project's other files, percent points", OVER),
    Metric::percent("truncated", Better::Lower).titled("Prompts that were cut, percent", OVER),
];

/// What follows every title.
const OVER: &str = ", by where the line's names are from";

/// Records of Long Code Arena, a sample a line; greedy. Figures are means over lines, in percent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProjectCompletion {
    /// Tokens of a prompt at most; what stands before them is left out. It has no default: a model's training length would
    /// leave out what is to be tested.
    limit: usize,
    /// Lines.
    samples: usize,
    /// Most tokens that are generated.
    #[serde(default = "default_max_new_tokens")]
    max_new_tokens: usize,
    /// Whether each line is asked for without the project's other files too, to see what they are worth.
    #[serde(default = "default_alone")]
    alone: bool,
}

/// Long Code Arena's.
fn default_max_new_tokens() -> usize {
    100
}

/// As Long Code Arena does.
fn default_alone() -> bool {
    true
}

pub(super) const ENTRY: TaskKind = kind_of::<ProjectCompletion>(
    "project_completion",
    "lines of a file, given its project and without it: Long Code Arena (Bogomolov et al. 2024)",
    "limit, samples, max_new_tokens=100, alone=true",
);

impl Task for ProjectCompletion {
    fn check(&self) -> Result<()> {
        refuse_zeros(&[
            ("limit", self.limit),
            ("samples", self.samples),
            ("max_new_tokens", self.max_new_tokens),
        ])
    }

    fn samples(&self, dataset: &Dataset, model: &dyn TextSide, seed: u64) -> Result<Selection> {
        let (records, refused) = dataset.whole_records()?;
        let mut left_out: Vec<LeftOut> = refused.into_iter().map(LeftOut::from).collect();
        let projects = sift(records.iter().map(Project::of), &mut left_out);
        let lines = |project| {
            let project: &Project = project;
            project.lines.iter().map(move |line| (project, line))
        };
        let mut lines: Vec<(&Project, &Line)> = projects.iter().flat_map(lines).collect();
        lines.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        lines.truncate(self.samples);
        let made: Vec<_> = lines
            .into_par_iter()
            .map(|(project, line)| self.sample(project, line, model.tokenizer()))
            .collect();
        let samples = sift(made, &mut left_out);
        if samples.is_empty() {
            let what = with_left_out("no line to complete".into(), &left_out);
            return Err(Error::new(ErrorKind::Dataset, what)
                .in_file(&dataset.path)
                .fix("use a file of Long Code Arena's project-level code completion"));
        }
        let fewer = fewer_than_asked("all", samples.len(), self.samples, "lines");
        Ok(Selection { notes: fewer.into_iter().chain(self.notes(&samples)).collect(), samples, left_out })
    }

    fn ask(&self) -> Ask {
        Ask::Generate(Limits { max_new_tokens: self.max_new_tokens, stop: has_line })
    }

    fn outcome(&self, sample: &Sample, answer: Answer, _trained_length: usize) -> Value {
        let generated = answer.generated();
        serde_json::to_value(Outcome::new(reference(sample), generated)).expect("plain data")
    }

    fn metrics(&self) -> &'static [Metric] {
        METRICS
    }

    fn measures(&self, outcome: &Value) -> std::result::Result<Vec<Measure>, serde_json::Error> {
        let outcome = Outcome::deserialize(outcome)?;
        Ok(Measure::of_sample(&[Group::Part(outcome.class()), Group::All], &outcome.figures()))
    }
}

impl ProjectCompletion {
    /// # Errors
    /// [`ErrorKind::Tokenizer`], naming the record: a text that cannot be tokenized, or a prompt without a token.
    fn sample(&self, project: &Project, line: &Line, tokenizer: &Tokenizer) -> Result<Sample> {
        let sample = |text: String, starts: Vec<usize>| -> Result<(Sample, bool)> {
            let (sample, is_cut) = cropped(text, starts, self.limit, tokenizer)?;
            if sample.tokens.ids.is_empty() {
                return Err(Error::new(ErrorKind::Tokenizer, "nothing stands before the line, not even BOS")
                    .fix("this tokenizer adds no BOS: the line cannot be asked for"));
            }
            Ok((Sample { language: project.language, ..sample }, is_cut))
        };
        let place = |e: Error| e.at(&project.origin);
        let (text, starts) = project.prompt(line);
        let (asked, is_cut) = sample(text, starts).map_err(place)?;
        let alone = self.alone.then(|| sample(project.before(line), Vec::new()));
        let alone = alone.transpose().map_err(place)?.map(|(alone, _)| Box::new(alone));
        let reference = Reference { class: line.class, truth: project.text(line).into(), is_cut };
        Ok(Sample {
            id: format!("{} {} line {}", project.name, line.class.name(), line.number),
            bucket: Span { from: 0, to: self.limit },
            reference: serde_json::to_value(reference).expect("plain data"),
            alone,
            ..asked
        })
    }

    fn notes(&self, samples: &[Sample]) -> Option<String> {
        let cut = samples.iter().filter(|sample| reference(sample).is_cut).count();
        let (all, limit) = (samples.len(), self.limit);
        (cut > 0).then(|| {
            format!("{cut} of {all} prompts are longer than {limit} tokens: their beginning is left out")
        })
    }
}

/// What [`ProjectCompletion::sample`] put into a sample.
fn reference(sample: &Sample) -> Reference {
    Reference::deserialize(&sample.reference).expect("made by this task")
}

#[cfg(test)]
mod tests;
