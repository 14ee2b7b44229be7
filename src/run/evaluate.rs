//! Evaluators: models that read texts before the samples are asked, for tasks that score what these models find.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::{Prepared, sample_layout};
use crate::config::Config;
use crate::device::OpenDevice;
use crate::encoding::EncodingSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::progress::Progress;
use crate::store::{Evaluated, EvaluatedFile, SampleKey, Store};
use crate::structure::Draw;
use crate::subject::{LocalModel, Passage, Reader, Subject};
use crate::task::{Contexts, Evaluator, Sample, TwoContexts};
use crate::text::TokenScores;

/// An evaluator and the texts that it has read or is to read, by their hashes.
struct Texts<'a> {
    evaluator: Evaluator<'a>,
    sha256: String,
    known: HashMap<String, TwoContexts>,
    /// Their samples, in the order in which they run.
    wanted: Vec<(&'a Sample, &'a str)>,
}

/// Has evaluators read the texts whose samples are still to run, unless that is stored, and gives each sample what
/// was said of its text.
///
/// # Errors
/// [`ErrorKind::Results`] for stored losses of another evaluator; [`ErrorKind::Compute`] and [`ErrorKind::Write`].
pub(super) fn evaluate(
    prepared: &mut Prepared,
    device: &OpenDevice,
    out: &Path,
    store: &mut Store,
) -> Result<()> {
    if prepared.evaluators.is_empty() {
        return Ok(());
    }
    let mut file = EvaluatedFile::open(out)?;
    let mut notes = Vec::new();
    let mut known: Vec<(String, Contexts, HashMap<String, TwoContexts>)> = Vec::new();
    for (name, model) in &prepared.evaluators {
        let sha256 = model.identity(name)?.sha256;
        for texts in wanted(prepared, name, &sha256, store.done()) {
            let mut texts = texts.with_stored(&file.stored, out, &mut notes)?;
            texts.read(model, device, &mut file, &mut notes)?;
            known.push((name.clone(), texts.evaluator.contexts, texts.known));
        }
    }
    notes.iter().for_each(|note| note!("{note}"));
    store.add_notes(notes)?;
    for work in &mut prepared.work {
        let Some(evaluator) = work.task.task.evaluator() else { continue };
        let of = known
            .iter()
            .find(|(name, contexts, _)| name == evaluator.model && *contexts == evaluator.contexts);
        for one in &mut work.samples {
            let Some(losses) = of.and_then(|(_, _, known)| known.get(&one.sha256)) else { continue };
            one.sample = work.task.task.evaluated(std::mem::take(&mut one.sample), losses);
        }
    }
    Ok(())
}

/// What an evaluator is to read, once for all tasks with the same contexts.
fn wanted<'a>(
    prepared: &'a Prepared,
    name: &'a str,
    sha256: &str,
    done: &HashSet<SampleKey>,
) -> Vec<Texts<'a>> {
    let mut all: Vec<Texts> = Vec::new();
    for work in &prepared.work {
        let Some(evaluator) = work.task.task.evaluator().filter(|one| one.model == name) else { continue };
        let at = all.iter().position(|texts| texts.evaluator == evaluator).unwrap_or_else(|| {
            let (known, wanted) = (HashMap::new(), Vec::new());
            all.push(Texts { evaluator, sha256: sha256.into(), known, wanted });
            all.len() - 1
        });
        for one in &work.samples {
            let is_left = prepared.rows(work.model).any(|row| !done.contains(&prepared.key(work, one, row)));
            let is_new = !all[at].wanted.iter().any(|(_, sha256)| *sha256 == one.sha256);
            if is_left && is_new {
                all[at].wanted.push((&one.sample, &one.sha256));
            }
        }
    }
    all
}

impl Texts<'_> {
    /// Takes what is stored of this evaluator and these texts.
    fn with_stored(mut self, stored: &[Evaluated], out: &Path, notes: &mut Vec<String>) -> Result<Self> {
        let Evaluator { model, contexts } = self.evaluator;
        let mut of_other_text: BTreeMap<&str, bool> = BTreeMap::new();
        for one in stored.iter().filter(|one| one.model == model && one.contexts == contexts) {
            if one.model_sha256 != self.sha256 {
                let what = format!("evaluator.jsonl has losses of other files of the evaluator \"{model}\"");
                return Err(Error::new(ErrorKind::Results, what)
                    .in_file(out)
                    .fix("put the evaluator's earlier files back, or start over with --fresh"));
            }
            let sample = self.wanted.iter().find(|(sample, _)| sample.id == one.sample);
            let Some((sample, sha256)) = sample else { continue };
            let is_same = *sha256 == one.sha256 && one.losses.check(sample.text.len()).is_ok();
            *of_other_text.entry(&sample.id).or_default() |= is_same;
            if is_same {
                self.known.insert(one.sha256.clone(), one.losses.clone());
            }
        }
        let other: Vec<&str> = of_other_text.iter().filter(|(_, same)| !**same).map(|(id, _)| *id).collect();
        if let Some(first) = other.first() {
            notes.push(format!(
                "evaluator.jsonl has losses of another text than that of {} sample(s), the first \"{first}\": the \
                 evaluator reads these again",
                other.len()
            ));
        }
        Ok(self)
    }

    /// Has the rest read, and stores it.
    fn read(
        &mut self,
        model: &LocalModel,
        device: &OpenDevice,
        file: &mut EvaluatedFile,
        notes: &mut Vec<String>,
    ) -> Result<()> {
        let left: Vec<_> =
            self.wanted.iter().filter(|(_, sha256)| !self.known.contains_key(*sha256)).copied().collect();
        if !left.is_empty() {
            let name = self.evaluator.model;
            status!("the evaluator \"{name}\" reads {} texts; what it says of them is kept", left.len());
            let reading = Reading { model, reader: model.open(device)?, own: EncodingSpec::parse("rope")? };
            let mut progress = Progress::new(left.len() as u64, "texts");
            for (sample, sha256) in left {
                match reading.two_contexts(sample, self.evaluator.contexts) {
                    Ok(losses) => {
                        file.add(&self.line(sample, sha256, &losses))?;
                        self.known.insert(sha256.into(), losses);
                    }
                    Err(e) if e.kind.is_of_sample() || e.kind == ErrorKind::Tokenizer => notes.push(format!(
                        "sample \"{}\" has no key tokens: the evaluator \"{name}\" cannot read it: {}",
                        sample.id, e.what
                    )),
                    Err(e) => {
                        return Err(e.at(format_args!("evaluator \"{name}\", sample \"{}\"", sample.id)));
                    }
                }
                progress.advance(1);
            }
        }
        notes.extend(self.notes(model.trained_length()));
        Ok(())
    }

    fn line(&self, sample: &Sample, sha256: &str, losses: &TwoContexts) -> Evaluated {
        Evaluated {
            model: self.evaluator.model.into(),
            model_sha256: self.sha256.clone(),
            contexts: self.evaluator.contexts,
            sample: sample.id.clone(),
            sha256: sha256.into(),
            losses: losses.clone(),
        }
    }

    /// What a reader of the figures must know.
    fn notes(&self, trained_length: usize) -> Vec<String> {
        let Evaluator { model, contexts } = self.evaluator;
        let tokens = |losses: &TwoContexts| losses.long.len() + contexts.short;
        let of_texts = || self.wanted.iter().filter_map(|(_, sha256)| self.known.get(*sha256));
        let short = of_texts().filter(|losses| losses.long.is_empty()).count();
        let longest = of_texts().map(tokens).max().unwrap_or(0);
        let mut notes = Vec::new();
        if short > 0 {
            notes.push(format!(
                "{short} of {} texts have no key tokens: to the evaluator \"{model}\" they are not longer than the short \
                 context of {} tokens",
                self.wanted.len(),
                contexts.short
            ));
        }
        if longest > trained_length {
            notes.push(format!(
                "the evaluator \"{model}\" was trained at {trained_length} tokens and reads up to {longest}: what it finds \
                 beyond is doubtful"
            ));
        }
        notes
    }
}

/// An evaluator that reads, under its own positions.
struct Reading<'a> {
    model: &'a LocalModel,
    reader: Box<dyn Reader + 'a>,
    own: EncodingSpec,
}

impl Reading<'_> {
    /// The losses of a text's tokens after all that comes before, and after short contexts.
    fn two_contexts(&self, sample: &Sample, contexts: Contexts) -> Result<TwoContexts> {
        let tokens = self.model.text().tokenizer().encode(&sample.text)?;
        let windows = contexts.windows(tokens.ids.len());
        if windows.is_empty() {
            return Ok(TwoContexts::default());
        }
        let whole = self.score(&tokens.ids, sample)?;
        let mut found = TwoContexts::default();
        for window in windows {
            let part = self.score(&tokens.ids[window.read.clone()], sample)?;
            for at in window.scored {
                // The prediction at index t is for the token at position t + 1.
                found.long.push(whole.nll[at - 1]);
                found.short.push(part.nll[at - 1 - window.read.start]);
                found.starts.push(tokens.offsets[at].0);
                found.ends.push(tokens.offsets[at].1);
            }
        }
        Ok(found)
    }

    fn score(&self, ids: &[u32], sample: &Sample) -> Result<TokenScores> {
        let draw = Draw { seed: 0, hash: "" };
        let layout = sample_layout(sample, false, Vec::new(), &self.own, draw);
        let passage = Passage { ids, text: &sample.text, message: None, layout };
        Ok(self.reader.score(&self.own, &passage, false)?.0)
    }
}

/// The evaluators of a config's tasks, each once.
pub(super) fn names(config: &Config) -> Vec<&str> {
    let mut names: Vec<&str> =
        config.tasks.iter().filter_map(|task| Some(task.task.evaluator()?.model)).collect();
    names.sort_unstable();
    names.dedup();
    names
}
