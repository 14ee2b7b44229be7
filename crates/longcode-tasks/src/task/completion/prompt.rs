//! LongBench's prompts for code.

use serde::{Deserialize, Serialize};

use longcode_text::PromptStyle;

const INSTRUCTION: &str = "Please complete the code given below. \n";
const QUESTION: &str = "Next line of code:\n";

/// Which prompt. Written `lcc`, `repobench-p`, `chat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wording {
    /// One long file: the record's `context`.
    Lcc,
    /// Code of other files, the record's `context`, and the file to complete, its `input`.
    RepobenchP,
    /// The first or, for records with an `input`, the second, given to an instruct model in its chat
    /// template.
    Chat,
}

impl Wording {
    pub(super) fn style(self) -> PromptStyle {
        match self {
            Wording::Lcc | Wording::RepobenchP => PromptStyle::Raw,
            Wording::Chat => PromptStyle::Chat,
        }
    }
}

/// The whole prompt. `input` is empty for LCC.
pub(super) fn whole(context: &str, input: &str) -> String {
    format!("{INSTRUCTION}{context}{input}{QUESTION}")
}

/// Where the files of a prompt of several begin, as far as its text shows: at a line that names a file's path
/// (`# Path: a/b.py`, `// Path: a/B.java`), and at the file to complete.
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
}
