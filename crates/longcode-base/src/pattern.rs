//! Names with wildcards: what `--encoding 'HiRoPE*'` picks.

use crate::error::{Error, ErrorKind, Result};

/// Whether a pattern is this name, or matches all of it: `*` is any text, `?` any one character, and every other
/// character itself.
///
/// ```
/// use longcode_base::pattern::matches;
///
/// assert!(matches("HiRoPE*", "HiRoPE window=64") && matches("m?ni", "mini"));
/// assert!(!matches("HiRoPE", "HiRoPE window=64"));
/// assert!(matches("a*b", "a*b"));
/// ```
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // The last star, and the first character that it has not taken.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Which of `names` some of the patterns pick; all if there are no patterns. `place` is where the patterns stand, and
/// `what` is what the names are of.
///
/// # Errors
/// [`ErrorKind::Usage`] for a pattern that picks none, with the names that there are.
pub fn picked(patterns: &[String], names: &[&str], place: &str, what: &str) -> Result<Vec<bool>> {
    if let Some(none) = patterns.iter().find(|pattern| !names.iter().any(|name| matches(pattern, name))) {
        return Err(Error::new(ErrorKind::Usage, format!("no {what} is named `{none}`"))
            .at(place)
            .fix(format!("use one of: {}; * stands for any text", names.join(", "))));
    }
    let is_picked = |name: &&str| patterns.is_empty() || patterns.iter().any(|one| matches(one, name));
    Ok(names.iter().map(is_picked).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_take_as_much_as_is_needed() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("*ab", "aab", true),
            ("a*b*c", "abbbc", true),
            ("a*b*c", "abbbd", false),
            ("?", "é", true),
            ("??", "é", false),
            ("src/*.py", "src/a/b.py", true),
            ("w=[8]", "w=[8]", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_that_picks_nothing_is_refused_with_the_names() {
        let names = ["RoPE", "HiRoPE a", "HiRoPE b"];
        let pick = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            picked(&patterns, &names, "--encoding", "encoding")
        };
        assert_eq!(pick(&[]).unwrap(), [true; 3]);
        assert_eq!(pick(&["HiRoPE*"]).unwrap(), [false, true, true]);
        let error = pick(&["RoPE", "ReRoPE"]).unwrap_err().to_string();
        assert!(error.contains("no encoding is named `ReRoPE`") && error.contains("HiRoPE b"), "{error}");
    }
}
