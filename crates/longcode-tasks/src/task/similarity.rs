//! How similar two lines are by `fuzz.ratio` of LongBench and RepoBench: fuzzywuzzy with Python's difflib, or
//! with the Levenshtein library. Which of the two a published number was made with depends on what was
//! installed, and they differ by several points.

use std::collections::HashMap;
use std::ops::Range;

/// `fuzz.ratio(a, b)` with `difflib.SequenceMatcher(None, a, b)`: a whole percentage. The order of the two
/// lines matters.
pub(super) fn difflib_percent(a: &str, b: &str) -> f64 {
    if a == b {
        return 100.0;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // Lines that differ are not both empty. Python's round() takes the even neighbour of a half.
    (100.0 * (2.0 * matched(&a, &b) as f64 / (a.len() + b.len()) as f64)).round_ties_even()
}

/// `fuzz.ratio(a, b)` with the Levenshtein library, where a substitution is a deletion and an insertion: a
/// whole percentage.
pub(super) fn indel_percent(a: &str, b: &str) -> f64 {
    (100.0 * rapidfuzz::fuzz::ratio(a.chars(), b.chars())).round_ties_even()
}

/// Characters in difflib's matching blocks: the longest common block, and again to its left and right.
fn matched(a: &[char], b: &[char]) -> usize {
    let places = places(b);
    let mut matched = 0;
    let mut pending = vec![(0..a.len(), 0..b.len())];
    while let Some((in_a, in_b)) = pending.pop() {
        let (i, j, size) = longest_block(a, b, &places, in_a.clone(), in_b.clone());
        if size > 0 {
            matched += size;
            pending.push((in_a.start..i, in_b.start..j));
            pending.push((i + size..in_a.end, j + size..in_b.end));
        }
    }
    matched
}

/// Where each character is in `b`. If it has 200 characters or more, those that are more than 1% of it count
/// as noise, which does not start a block (difflib's `autojunk`).
fn places(b: &[char]) -> HashMap<char, Vec<usize>> {
    let mut places: HashMap<char, Vec<usize>> = HashMap::new();
    for (j, &character) in b.iter().enumerate() {
        places.entry(character).or_default().push(j);
    }
    if b.len() >= 200 {
        places.retain(|_, places| places.len() <= b.len() / 100 + 1);
    }
    places
}

/// Start in `a`, start in `b` and size of the longest block of both ranges, the first of them in `a` and then
/// in `b`; frequent characters at its ends belong to it.
fn longest_block(
    a: &[char],
    b: &[char],
    places: &HashMap<char, Vec<usize>>,
    in_a: Range<usize>,
    in_b: Range<usize>,
) -> (usize, usize, usize) {
    let (mut i, mut j, mut size) = (in_a.start, in_b.start, 0);
    // Sizes of the blocks that end at a place of `b` and the character of `a` before this one.
    let mut ending: HashMap<usize, usize> = HashMap::new();
    for at in in_a.clone() {
        let mut now = HashMap::new();
        let found = places.get(&a[at]).map(Vec::as_slice).unwrap_or_default();
        for &place in found.iter().filter(|place| in_b.contains(place)) {
            let before = place.checked_sub(1).and_then(|before| ending.get(&before)).copied();
            let length = before.unwrap_or(0) + 1;
            now.insert(place, length);
            if length > size {
                (i, j, size) = (at + 1 - length, place + 1 - length, length);
            }
        }
        ending = now;
    }
    while i > in_a.start && j > in_b.start && a[i - 1] == b[j - 1] {
        (i, j, size) = (i - 1, j - 1, size + 1);
    }
    while i + size < in_a.end && j + size < in_b.end && a[i + size] == b[j + size] {
        size += 1;
    }
    (i, j, size)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufRead, BufReader};

    use super::*;

    /// Every pair of the fixture, which Python made (tests/fixtures/python_difflib.py).
    #[test]
    fn as_python_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/python_difflib.jsonl.gz");
        let lines = BufReader::new(flate2::read::GzDecoder::new(File::open(path).unwrap())).lines();
        let mut pairs = 0;
        for line in lines {
            let (a, b, blocks, percent): (String, String, usize, f64) =
                serde_json::from_str(&line.unwrap()).unwrap();
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(matched(&characters(&a), &characters(&b)), blocks, "{a:?} {b:?}");
            assert_eq!(difflib_percent(&a, &b), percent, "{a:?} {b:?}");
            pairs += 1;
        }
        assert_eq!(pairs, 4059);
    }

    #[test]
    fn the_order_matters_to_difflib_only() {
        assert_eq!((difflib_percent("tide", "diet"), difflib_percent("diet", "tide")), (25.0, 50.0));
        assert_eq!((indel_percent("tide", "diet"), indel_percent("diet", "tide")), (50.0, 50.0));
    }

    #[test]
    fn indel_by_hand() {
        // "kitten" to "sitting": two substitutions at 2 and an insertion, of 13 characters.
        assert_eq!(indel_percent("kitten", "sitting"), 62.0);
        assert_eq!(indel_percent("", ""), 100.0);
        assert_eq!(indel_percent("é", ""), 0.0);
    }
}
