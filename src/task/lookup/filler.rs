//! Filler: real functions of a data set, whole.

use std::collections::HashSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::layout::{self, Piece};
use crate::dataset::{Dataset, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::model::Tokenizer;
use crate::structure::{Language, Region, RegionKind, Source, Unit, parses, regions};

/// Tokens of the longest function that is taken: with longer ones, lengths and depths would be met less
/// closely.
const LONGEST: usize = 256;

/// Tokens to choose from, for each token of a prompt.
const CHOICE: usize = 16;

/// Records parsed at a time.
const PARSE: usize = 64;

/// Functions of a data set's records in an order that the seed gives, no two of one name.
pub(super) struct Pool(Vec<Piece>);

impl Pool {
    /// As many as there are, or as prompts of `longest` tokens need.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`] when the data set cannot be read or has no function of the language.
    pub fn read(
        dataset: &Dataset,
        tokenizer: &Tokenizer,
        language: Language,
        seed: u64,
        longest: usize,
    ) -> Result<Pool> {
        let mut records = dataset.records()?;
        records.retain(|record| record.language == Some(language));
        records.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut pool = Pool(Vec::new());
        let (mut names, mut tokens) = (HashSet::new(), 0);
        for some in records.chunks(PARSE) {
            if tokens >= enough(longest) {
                break;
            }
            let found = some.par_iter().map(|record| functions(record, language, tokenizer));
            for (name, piece) in found.collect::<Result<Vec<_>>>()?.into_iter().flatten() {
                if piece.tokens <= LONGEST && names.insert(name) {
                    tokens += piece.tokens;
                    pool.0.push(piece);
                }
            }
        }
        if pool.0.is_empty() {
            let what = format!("no {language} function of at most {LONGEST} tokens");
            return Err(Error::new(ErrorKind::Dataset, what)
                .in_file(&dataset.path)
                .fix("use a data set of that language, or change `language`"));
        }
        Ok(pool)
    }

    /// Those to choose from for a prompt of `length` tokens; they do not depend on what other lengths
    /// there are.
    pub fn choice(&self, length: usize) -> &[Piece] {
        let mut tokens = 0;
        let last = self.0.iter().position(|piece| {
            tokens += piece.tokens;
            tokens >= enough(length)
        });
        &self.0[..last.map_or(self.0.len(), |last| last + 1)]
    }
}

fn enough(length: usize) -> usize {
    CHOICE.saturating_mul(length)
}

/// The functions of a record that stand by themselves, with their names.
fn functions(record: &Record, language: Language, tokenizer: &Tokenizer) -> Result<Vec<(String, Piece)>> {
    let text = record.text("text")?;
    let source = Source { text, language: Some(language), file_starts: &[] };
    let regions = regions(&source, Unit::Function).unwrap_or_default();
    let mut found = Vec::new();
    for region in &regions {
        let Some(name) = region.name.as_ref().filter(|_| region.kind == RegionKind::Function) else {
            continue;
        };
        let definition = unindented(&text[region.start..region.end], language);
        if has_body(&definition, language)
            && !is_constructor(region, &regions)
            && parses(&layout::module(&definition, language), language)
        {
            let piece = Piece::new(&definition, language, tokenizer).map_err(|e| e.at(&record.origin))?;
            found.push((name.clone(), piece));
        }
    }
    Ok(found)
}

/// A region's text from its first line of code, or of a Java comment, as if it stood in no class. A
/// comment before a Python definition may belong to what precedes it.
fn unindented(text: &str, language: Language) -> String {
    let is_before = |line: &&str| {
        line.trim().is_empty() || (language == Language::Python && line.trim().starts_with('#'))
    };
    let lines: Vec<&str> = text.trim_end().lines().skip_while(is_before).collect();
    let indent = lines.first().map_or(0, |line| white(line));
    let lines: Vec<&str> = lines.iter().map(|line| &line[white(line).min(indent)..]).collect();
    lines.join("\n")
}

/// Bytes of the blanks and tabs at the start of a line.
fn white(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

fn has_body(definition: &str, language: Language) -> bool {
    language == Language::Python || definition.ends_with('}')
}

/// Whether a class of the file has the function's name: it would be no function elsewhere.
fn is_constructor(function: &Region, regions: &[Region]) -> bool {
    regions.iter().any(|region| region.kind == RegionKind::Class && region.name == function.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_stands_by_itself() {
        let method =
            "\n\n    # of what precedes\n    @property\n    def f(self):\n\n        return '''\n  x'''\n";
        assert_eq!(unindented(method, Language::Python), "@property\ndef f(self):\n\n    return '''\nx'''");
        let method = "\n    /** m */\n\n    int m() {\r\n        return 1;\r\n    }\n";
        assert_eq!(unindented(method, Language::Java), "/** m */\n\nint m() {\n    return 1;\n}");
    }
}
