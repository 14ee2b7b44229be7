//! Orders of a question's options: the published one first, then others that a seed draws.

use std::ops::Range;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::benchmark::{LETTERS, Question};
use crate::task::{Better, Metric};
use longcode_base::hash::sha256;

/// Most orders: all there are of four options.
pub(super) const MOST: usize = 24;

/// Figures of a question asked in several orders, besides the means of the others.
pub(super) const METRICS: [Metric; 4] = [
    Metric::percent("answered_alike", Better::Higher).titled(
        "Questions for which the same option's letter is the likeliest in every order, percent",
        super::benchmark::OVER,
    ),
    Metric::percent("right_in_all_orders", Better::Higher)
        .titled("Questions answered right in every order, percent", super::benchmark::OVER),
    Metric::percent("right_in_some_order", Better::Higher)
        .titled("Questions answered right in at least one order, percent", super::benchmark::OVER),
    Metric::percent_gain("published_order_gain", Better::Lower).titled(
        "Accuracy in the published order less its mean over the others, percentage points",
        super::benchmark::OVER,
    ),
];

/// So many different orders, the published one first: which option stands at each letter.
pub(super) fn orders(count: usize, options: usize, id: &str, seed: u64) -> Vec<Vec<usize>> {
    let mut all = permutations(options);
    let published = all.remove(0);
    let of_question = u64::from_str_radix(&sha256(id.as_bytes())[..16], 16).expect("hexadecimal digits");
    all.shuffle(&mut ChaCha8Rng::seed_from_u64(seed ^ of_question));
    [published].into_iter().chain(all).take(count).collect()
}

/// All orders of so many things, the ascending one first.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..count {
        let longer = |some: &Vec<usize>| -> Vec<Vec<usize>> {
            (0..count).filter(|n| !some.contains(n)).map(|n| [&some[..], &[n]].concat()).collect()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

impl Question {
    /// The question with its options in another order; none if the places of their texts are not known.
    pub(super) fn reordered(&self, order: &[usize]) -> Option<Question> {
        let places = self.places.as_ref()?;
        let (mut prompt, mut done) = (String::new(), 0);
        for (place, &option) in places.iter().zip(order) {
            prompt.push_str(&self.prompt[done..place.start]);
            prompt.push_str(&self.prompt[places[option].clone()]);
            done = place.end;
        }
        prompt.push_str(&self.prompt[done..]);
        let options =
            order.iter().filter_map(|&option| self.options.get(option).cloned()).collect::<Vec<_>>();
        let answer = order.iter().position(|&option| option == self.answer)?;
        Some(Question { prompt, options, answer, places: None, ..*self })
    }
}

/// Where the options stand that a prompt has in these words, the last time it has them: each after what is put before it.
pub(super) fn places(prompt: &str, before: [&str; 4], options: &[&str]) -> Option<Vec<Range<usize>>> {
    let list: String =
        before.iter().zip(options).map(|(before, option)| format!("{before}{option}")).collect();
    let mut at = prompt.rfind(&list)?;
    let place = |(before, option): (&&str, &&str)| {
        let start = at + before.len();
        at = start + option.len();
        start..at
    };
    Some(before.iter().zip(options).map(place).collect())
}

/// Where the options of a question stand whose last lines begin with `A)` to `D)`; the last option ends with the
/// question, or with its line where the question is not known.
pub(super) fn places_of_lines(prompt: &str, question: Option<&str>) -> Option<Vec<Range<usize>>> {
    let whole = match question.map(|question| (prompt.rfind(question), question)) {
        Some((Some(start), question)) => start..start + question.trim_end().len(),
        Some((None, _)) => return None,
        None => 0..prompt.len(),
    };
    let mut starts = Vec::new();
    let mut end = whole.end;
    for letter in LETTERS.iter().rev() {
        let mark = format!("\n{letter})");
        let at = prompt[whole.start..end].rfind(&mark)? + whole.start;
        starts.push((at, at + mark.len()));
        end = at;
    }
    starts.reverse();
    let last = match question {
        Some(_) => whole.end,
        None => prompt[starts[3].1..].find('\n').map_or(prompt.len(), |at| starts[3].1 + at),
    };
    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([last]);
    let trimmed = |start: usize, end: usize| {
        let text = &prompt[start..end];
        start + (text.len() - text.trim_start().len())..end - (text.len() - text.trim_end().len())
    };
    let places: Vec<_> = starts.iter().zip(ends).map(|((_, start), end)| trimmed(*start, end)).collect();
    places.iter().all(|place| !place.is_empty()).then_some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_different_and_the_published_one_comes_first() {
        let found = orders(MOST, 4, "q", 7);
        assert_eq!((found.len(), &found[0][..]), (MOST, &[0, 1, 2, 3][..]));
        let mut unique = found.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), MOST);
        assert_eq!(orders(3, 4, "q", 7), found[..3]);
        assert_ne!(orders(3, 4, "r", 7)[1..], found[1..3]);
    }

    #[test]
    fn options_are_moved_where_they_stand() {
        let prompt = "Q? A) no\n\nWhich?\nA) one\nB) two\nlines\nC) three\nD) four\n\nAnswer:".to_string();
        let question = "Which?\nA) one\nB) two\nlines\nC) three\nD) four\n";
        for known in [None, Some(question)] {
            let places = places_of_lines(&prompt, known);
            let texts: Vec<&str> = places.clone().unwrap().into_iter().map(|place| &prompt[place]).collect();
            assert_eq!(texts, ["one", "two\nlines", "three", "four"]);
            let asked = Question {
                prompt: prompt.clone(),
                letters: 4,
                options: Vec::new(),
                answer: 1,
                places,
                before_letter: "",
                before_option: "",
            };
            let moved = asked.reordered(&[3, 0, 1, 2]).unwrap();
            assert!(
                moved.prompt.ends_with("Which?\nA) four\nB) one\nC) two\nlines\nD) three\n\nAnswer:"),
                "{}",
                moved.prompt
            );
            assert_eq!(moved.answer, 2);
        }
        assert_eq!(places_of_lines("A) a\nB) b", None), None);
        assert_eq!(places_of_lines(&prompt, Some("another")), None);
    }
}
