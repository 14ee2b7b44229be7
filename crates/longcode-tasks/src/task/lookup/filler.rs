//! Filler: real functions of a data set, whole.

use std::collections::HashSet;

use rayon::prelude::*;

use super::layout::{self, Piece, PromptLanguage};
use crate::dataset::{Dataset, Record};
use crate::task::draw::shuffle;
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_structure::{Region, RegionKind, Source, Unit, parses, regions};
use longcode_text::Tokenizer;

/// Tokens of the longest function that is used: with longer ones, lengths and depths would be matched less
/// closely.
const LONGEST: usize = 256;

/// Tokens to choose from, for each token of a prompt.
const CHOICE: usize = 16;

/// Records parsed at a time.
const PARSE: usize = 64;

/// Functions of a data set's records in an order given by the seed, no two with the same name.
pub(super) struct Pool(Vec<Piece>);

impl Pool {
    /// As many as there are, or as prompts of `longest` tokens need.
    ///
    /// # Errors
    /// [`ErrorKind::Dataset`] when the data set cannot be read or has no function of the language.
    pub(super) fn read(
        dataset: &Dataset,
        tokenizer: &Tokenizer,
        language: PromptLanguage,
        seed: u64,
        longest: usize,
    ) -> Result<Pool> {
        let mut records = dataset.records()?;
        records.retain(|record| record.language == Some(language.into()));
        shuffle(&mut records, seed);
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

    /// The functions to choose from for a prompt of `length` tokens; they do not depend on the other lengths.
    pub(super) fn choice(&self, length: usize) -> &[Piece] {
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

/// The functions of a record that can stand alone, with their names.
fn functions(
    record: &Record,
    language: PromptLanguage,
    tokenizer: &Tokenizer,
) -> Result<Vec<(String, Piece)>> {
    let text = record.text("text")?;
    let source = Source { text, language: Some(language.into()), file_starts: &[] };
    let regions = regions(&source, Unit::FUNCTION).unwrap_or_default();
    let mut found = Vec::new();
    for region in &regions {
        let Some(name) = region.name.as_ref().filter(|_| region.kind == RegionKind::Function) else {
            continue;
        };
        let definition = unindented(text, region, language);
        if has_body(&definition, language)
            && !is_constructor(region, &regions)
            && parses(&layout::module(&definition, language), language.into())
        {
            let piece = Piece::new(&definition, language, tokenizer).map_err(|e| e.at(&record.origin))?;
            found.push((name.clone(), piece));
        }
    }
    Ok(found)
}

/// A function's text as if it were in no class: from its first line of code, or of a Java comment about it,
/// with the indentation of that line removed from every line.
///
/// A region may begin at the function's own first byte, after the indentation of its line, or directly after
/// other code, whose comment is then its first line.
fn unindented(text: &str, function: &Region, language: PromptLanguage) -> String {
    let line = text[..function.start].rfind('\n').map_or(0, |end| end + 1);
    let behind_code = !text[line..function.start].trim().is_empty();
    let start = if behind_code { function.start } else { line };
    let own = text[start..function.end].trim_end();
    let mut lines = own
        .lines()
        .enumerate()
        .skip_while(|(number, own)| {
            let own = own.trim();
            own.is_empty() || is_of_others(own, language, behind_code && *number == 0)
        })
        .peekable();
    let indent = match lines.peek() {
        Some((0, _)) => white(&text[line..]),
        first => first.map_or(0, |(_, first)| white(first)),
    };
    let lines: Vec<&str> = lines.map(|(_, line)| &line[white(line).min(indent)..]).collect();
    lines.join("\n")
}

/// Whether a line before a function is a comment that may belong to what precedes the function: in Python
/// any, in Java one at the end of a line of code.
fn is_of_others(line: &str, language: PromptLanguage, behind_code: bool) -> bool {
    match language {
        PromptLanguage::Python => line.starts_with('#'),
        PromptLanguage::Java => {
            behind_code && (line.starts_with("//") || (line.starts_with("/*") && line.ends_with("*/")))
        }
    }
}

/// Bytes of the blanks and tabs at the start of a line.
fn white(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

fn has_body(definition: &str, language: PromptLanguage) -> bool {
    language == PromptLanguage::Python || definition.ends_with('}')
}

/// Whether a class of the file has the function's name: elsewhere it would not be a function.
fn is_constructor(function: &Region, regions: &[Region]) -> bool {
    regions.iter().any(|region| region.kind == RegionKind::Class && region.name == function.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every function of a file as a filler.
    fn fillers(text: &str, language: PromptLanguage) -> Vec<String> {
        let source = Source { text, language: Some(language.into()), file_starts: &[] };
        let regions = regions(&source, Unit::FUNCTION).unwrap();
        let functions = regions.iter().filter(|region| region.kind == RegionKind::Function);
        functions.map(|function| unindented(text, function, language)).collect()
    }

    #[test]
    fn a_method_stands_by_itself() {
        let class = "class C:\n    x = 1\n\n    # of what precedes\n    @property\n    def f(self):\n\n        return '''\n  x'''\n";
        assert_eq!(
            fillers(class, PromptLanguage::Python),
            ["@property\ndef f(self):\n\n    return '''\nx'''"]
        );
        let class =
            "class C {\n    void l() {}\n    /** m */\n\n    int m() {\r\n        return 1;\r\n    }\n}\n";
        assert_eq!(
            fillers(class, PromptLanguage::Java),
            ["void l() {}", "/** m */\n\nint m() {\n    return 1;\n}"]
        );
    }

    /// The region of the first begins after the indentation of its line.
    #[test]
    fn a_method_right_after_the_header_stands_by_itself() {
        let class = "class C(A):\n    @classmethod\n    def f(cls):\n        return 1  # one\n\n    def g(self):\n        pass\n";
        assert_eq!(
            fillers(class, PromptLanguage::Python),
            ["@classmethod\ndef f(cls):\n    return 1", "def g(self):\n    pass"]
        );
        let class = "class C {\n\tint m() {\n\t\treturn 1;\n\t} // one\n\n\t/** n */\n\tint n() {\n\t\treturn 2;\n\t}\n}\n";
        assert_eq!(
            fillers(class, PromptLanguage::Java),
            ["int m() {\n\treturn 1;\n}", "/** n */\nint n() {\n\treturn 2;\n}"]
        );
    }

    #[test]
    fn a_method_within_a_line_stands_by_itself() {
        let class = "    class C { int m() {\n        return 1;\n    } /* one */ int n() { return 2; } }\n";
        assert_eq!(
            fillers(class, PromptLanguage::Java),
            ["int m() {\n    return 1;\n}", "/* one */ int n() { return 2; }"]
        );
    }
}
