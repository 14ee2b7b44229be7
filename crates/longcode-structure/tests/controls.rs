//! Controls of units against lengths that were computed independently (`controls.json`, cut down from the vectors of
//! `tests/golden/sight.json`: its first key says how).

use longcode_structure::{Draw, Language, Source, Unit, segments};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    /// Its number in `sight.json`.
    case: usize,
    unit: Unit,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    sha256: String,
    /// The tokens at which the files of the prompt begin.
    files: Vec<usize>,
    /// Tokens of each segment of the unit itself.
    own: Vec<usize>,
    /// Tokens of each segment of the control.
    control: Vec<usize>,
}

/// One function for each segment.
const FUNCTION: &str = "def f(): pass\n";

#[test]
fn controls_have_the_lengths_of_the_golden_vectors() {
    let vectors: Vectors = serde_json::from_str(include_str!("controls.json")).unwrap();
    assert_eq!(vectors.cases.len(), 8);
    for case in vectors.cases {
        case.check();
    }
}

impl Case {
    /// Divides a text whose segments have the lengths of the unit's own: as many tokens stand at the start of each function.
    fn check(&self) {
        let text = FUNCTION.repeat(self.own.len());
        let starts = (0..self.own.len()).map(|number| number * FUNCTION.len());
        let tokens: Vec<(usize, usize)> =
            self.own.iter().zip(starts).flat_map(|(&n, at)| vec![(at, at + 3); n]).collect();
        let file_starts: Vec<usize> = self.files.iter().map(|&token| tokens[token].0).collect();
        let source = Source { text: &text, language: Some(Language::Python), file_starts: &file_starts };
        let draw = Draw { seed: self.seed, hash: &self.sha256 };
        let own = segments(&source, &tokens, self.unit.without_control(), draw);
        assert_eq!(lengths(&own.index), self.own, "case {}", self.case);
        let found = segments(&source, &tokens, self.unit, draw);
        assert_eq!(lengths(&found.index), self.control, "case {}", self.case);
        assert_eq!((found.count, found.unit), (self.control.len(), self.unit), "case {}", self.case);
    }
}

/// Tokens of each segment.
fn lengths(index: &[u32]) -> Vec<usize> {
    index.chunk_by(|a, b| a == b).map(<[u32]>::len).collect()
}
