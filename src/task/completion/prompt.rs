//! LongBench's prompts for code, and what it does with one that is too long.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::{Tokenizer, Tokens};

const INSTRUCTION: &str = "Please complete the code given below. \n";
const QUESTION: &str = "Next line of code:\n";

/// Whose prompt. Written `lcc`, `repobench-p`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One long file: the record's `context`.
    Lcc,
    /// Code of other files, the record's `context`, and the file to complete, its `input`.
    RepobenchP,
}

/// A prompt as the model reads it.
pub(super) struct Prompt {
    pub text: String,
    pub tokens: Tokens,
    /// Tokens left out of its middle.
    pub truncated: usize,
}

/// The whole prompt. `input`: empty for LCC.
pub(super) fn whole(context: &str, input: &str) -> String {
    format!("{INSTRUCTION}{context}{input}{QUESTION}")
}

/// Leaves out the middle of a prompt of more than `limit` tokens: the first and the last half of so many
/// tokens become text by themselves, which is joined and tokenized again (and may then be some tokens
/// shorter or longer).
///
/// # Errors
/// [`crate::error::ErrorKind::Tokenizer`] when a text cannot be tokenized.
pub(super) fn within(limit: usize, text: String, tokenizer: &Tokenizer) -> Result<Prompt> {
    let tokens = tokenizer.encode(&text)?;
    let (ids, half) = (&tokens.ids, limit / 2);
    if ids.len() <= limit {
        return Ok(Prompt { text, tokens, truncated: 0 });
    }
    let truncated = ids.len() - 2 * half;
    let text = tokenizer.decode(&ids[..half])? + &tokenizer.decode(&ids[half + truncated..])?;
    let tokens = tokenizer.encode(&text)?;
    Ok(Prompt { text, tokens, truncated })
}

/// Where the files of a prompt of several begin, as far as it can be told from its text: at a line that
/// names a file's path (`# Path: a/b.py`, `// Path: a/B.java`), and at the file to complete.
pub(super) fn file_starts(prompt: &str, input: &str) -> Vec<usize> {
    let mut at = 0;
    let mut starts = Vec::new();
    for line in prompt.split_inclusive('\n') {
        let bare = line.trim_start_matches(['#', '/', ' ']);
        if bare.strip_prefix("Path: ").is_some_and(|path| path.split_whitespace().count() == 1) {
            starts.push(at);
        }
        at += line.len();
    }
    let before_input = prompt.strip_suffix(QUESTION).and_then(|prompt| prompt.strip_suffix(input));
    starts.extend(before_input.map(str::len));
    starts
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn prompts_are_longbench_s() {
        assert_eq!(
            whole("x = 1\n", ""),
            "Please complete the code given below. \nx = 1\nNext line of code:\n"
        );
        assert_eq!(
            whole("# Path: a.py\nx = 1\n", "import a\n"),
            "Please complete the code given below. \n# Path: a.py\nx = 1\nimport a\nNext line of code:\n"
        );
    }

    #[test]
    fn files_begin_at_paths_and_at_the_input() {
        let prompt = whole("# Path: a.py\nx = 1\n// Path: b.py\n# Path: of no file\n", "import a\n");
        let starts = file_starts(&prompt, "import a\n");
        let begun: Vec<_> = starts.iter().map(|&at| prompt[at..].lines().next().unwrap()).collect();
        assert_eq!(begun, ["# Path: a.py", "// Path: b.py", "import a"]);
        // The beginning of the input was left out.
        assert_eq!(file_starts(&prompt[prompt.len() - 25..], "import a\n"), Vec::<usize>::new());
    }

    #[test]
    fn the_middle_is_left_out_and_counted() {
        let tokenizer = Tokenizer::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/nano")).unwrap();
        let text: String = (0..200).map(|n| format!("value_{n} = {n}\n")).collect();
        let ids = tokenizer.encode(&text).unwrap().ids;
        let same = within(ids.len(), text.clone(), &tokenizer).unwrap();
        assert_eq!((same.text.as_str(), same.truncated), (text.as_str(), 0));
        let cut = within(101, text.clone(), &tokenizer).unwrap();
        assert_eq!(cut.truncated, ids.len() - 100);
        assert!(cut.tokens.ids.len().abs_diff(100) <= 2, "{}", cut.tokens.ids.len());
        // Both halves are the text's own ends.
        let same_bytes = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| {
            a.zip(b).take_while(|(a, b)| a == b).count()
        };
        let head = same_bytes(&mut cut.text.chars(), &mut text.chars());
        let tail = same_bytes(&mut cut.text.chars().rev(), &mut text.chars().rev());
        assert!(head > 0 && tail > 0 && head + tail >= cut.text.len(), "{}", cut.text);
    }
}
