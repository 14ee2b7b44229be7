//! The first sentences of a section: what the context that an encoding sees beyond the baseline's is worth.
//!
//! They go by the same intervals as the table below them, which hold for all rows at once, and by two sizes: what is
//! too small to be named, and within what a row may be said to be no worse. Where the documents do not tell, the row is
//! undecided, and the text says about how many would.

use longcode_stats::{Comparison, FEWEST, Sensitivity};

use super::contributions::Contributions;
use crate::config::EncodingEntry;
use crate::draw::number::{SMALLEST, difference};

/// Nats a token: an interval within this of 0 says that nothing is lost and nothing gained (5% of a perplexity).
const MARGIN: f64 = 0.05;

/// Part of the squared spread beyond which one document says more than all the others.
const ONE_DOCUMENT: f64 = 0.7;

/// What a row is said to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Told apart from the baseline, and better.
    Uses,
    /// Its interval lies within [`MARGIN`] of 0.
    Survives,
    /// Told apart from the baseline, and worse.
    Worse,
    /// Its interval holds both a loss and a gain worth naming, or reaches beyond the margin.
    Undecided,
    /// Measured on fewer than [`FEWEST`] documents.
    TooFew,
}

impl Verdict {
    pub(super) fn of(total: &Comparison) -> Verdict {
        let value = total.estimate.value;
        if total.estimate.n < FEWEST {
            Verdict::TooFew
        } else if total.told_apart() && value.abs() >= SMALLEST {
            if value < 0.0 { Verdict::Uses } else { Verdict::Worse }
        } else if total.low > -MARGIN && total.high < MARGIN {
            Verdict::Survives
        } else {
            Verdict::Undecided
        }
    }

    /// Nothing new is read at once, nothing is left out: in this order, and only those that some row has, but for the
    /// first, which is asked for.
    fn title(self) -> String {
        match self {
            Verdict::Uses => "Use what lies beyond".into(),
            Verdict::Survives => format!("Survive, within {MARGIN} nats of throwing it away"),
            Verdict::Worse => "Worse than throwing it away".into(),
            Verdict::Undecided => "Undecided".into(),
            Verdict::TooFew => format!("Measured on fewer than {FEWEST} documents, which tell nothing"),
        }
    }
}

/// About how many documents would decide: as many as shrink the interval until it excludes 0, or lies within the
/// margin, whichever takes fewer.
fn would_decide(total: &Comparison) -> usize {
    let (value, n) = (total.estimate.value.abs(), total.estimate.n as f64);
    let reach = (total.high - total.low) / 2.0;
    let needed = |reach_wanted: f64| {
        if reach_wanted > 0.0 { n * (reach / reach_wanted).powi(2) } else { f64::INFINITY }
    };
    let needed = needed(value).min(needed(MARGIN - value)).max(n + 1.0);
    // Two digits: it is a guess from few documents.
    let unit = 10f64.powf((needed.log10().floor() - 1.0).max(0.0));
    ((needed / unit).ceil() * unit) as usize
}

/// The lengths that decide whether a baseline throws away what lies beyond training, tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lengths {
    /// The model's trained length.
    pub(super) trained: usize,
    /// The longest sample.
    pub(super) longest: usize,
}

/// Why a baseline with a context says nothing about what lies beyond training; none where it does.
fn says_nothing(baseline: &EncodingEntry, context: usize, lengths: Lengths) -> Option<String> {
    let (name, Lengths { trained, longest }) = (&baseline.name, lengths);
    if context >= longest {
        Some(format!(
            "No verdict: {name} throws nothing away, as no sample is longer than its context of {context} tokens \
             (longest: {longest})."
        ))
    } else if context > trained {
        Some(format!(
            "No verdict: {name} reads {context} tokens, more than the trained length of {trained}, so that it throws away \
             only a part of what is beyond training; context = \"trained\" throws away all of it."
        ))
    } else {
        None
    }
}

/// Who uses what lies beyond the baseline's context; none where the baseline has none.
pub(super) fn verdict(all: &[Contributions], baseline: &EncodingEntry, lengths: Lengths) -> Option<String> {
    let context = baseline.spec.context?.tokens;
    if let Some(why) = says_nothing(baseline, context, lengths) {
        return Some(why);
    }
    let from = all.first()?.from;
    if all.iter().all(|one| one.total.estimate.n < FEWEST) {
        return Some(format!(
            "Fewer than {FEWEST} documents reach position {from}: too few to tell who uses what lies beyond the last \
             {context} tokens."
        ));
    }
    let mut text = format!(
        "Against throwing away all but the last {context} tokens ({}), at positions from {from} on, in nats a token \
         gained.",
        baseline.name
    );
    let order = [Verdict::Uses, Verdict::Survives, Verdict::Worse, Verdict::Undecided, Verdict::TooFew];
    for kind in order {
        let mut found: Vec<&Contributions> =
            all.iter().filter(|one| Verdict::of(&one.total) == kind).collect();
        found.sort_by(|a, b| a.total.estimate.value.total_cmp(&b.total.estimate.value));
        if found.is_empty() && kind != Verdict::Uses {
            continue;
        }
        let most = all.iter().map(|one| one.total.estimate.n).max().unwrap_or(0);
        let names: Vec<String> = found.iter().map(|one| named(one, kind, most)).collect();
        let names = if names.is_empty() { "none".into() } else { names.join("; ") };
        text += &format!(" {}: {names}.", kind.title());
    }
    let caveats: Vec<String> = all.iter().filter_map(|one| caveat(one, &one.sensitivity?)).collect();
    if !caveats.is_empty() {
        text += &format!(" What this owes to single documents: {}.", caveats.join("; "));
    }
    Some(text)
}

/// The same in a line or two, without numbers: a table beside it has them.
pub(super) fn short(all: &[Contributions], baseline: &EncodingEntry, lengths: Lengths) -> Option<String> {
    let context = baseline.spec.context?.tokens;
    if says_nothing(baseline, context, lengths).is_some() {
        return None;
    }
    let from = all.first()?.from;
    let of = |kind: Verdict| all.iter().filter(move |one| Verdict::of(&one.total) == kind);
    let users: Vec<&str> = of(Verdict::Uses).map(|one| &one.encoding[..]).collect();
    let users = if users.is_empty() { "none".into() } else { users.join("; ") };
    let mut text =
        format!("Uses what lies beyond the last {context} tokens, at positions from {from} on: {users}.");
    let counted: Vec<String> = [Verdict::Survives, Verdict::Worse, Verdict::Undecided, Verdict::TooFew]
        .into_iter()
        .map(|kind| (of(kind).count(), kind.word()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{word}: {count}"))
        .collect();
    if !counted.is_empty() {
        text += &format!(" Of the others, {}.", counted.join(", "));
    }
    if let Some(fewest) = of(Verdict::Undecided).map(|one| would_decide(&one.total)).min() {
        text += &format!(" About {fewest} documents would decide the first of the undecided.");
    }
    Some(text)
}

/// A row with its gain, its documents where others have more, and what would decide.
fn named(one: &Contributions, kind: Verdict, most: usize) -> String {
    let Comparison { estimate, .. } = one.total;
    let mut text = format!("{} ({}", one.encoding, difference(-estimate.value, 1.0));
    if estimate.n < most {
        text += &format!(", n {}", estimate.n);
    }
    if kind == Verdict::Undecided {
        text += &format!(", about {} documents would decide", would_decide(&one.total));
    }
    text + ")"
}

/// What the verdict on a row owes to single documents; none where it does not depend on any.
fn caveat(one: &Contributions, sensitivity: &Sensitivity) -> Option<String> {
    let verdict = Verdict::of(&one.total);
    let mut parts = Vec::new();
    if matches!(verdict, Verdict::Uses | Verdict::Worse | Verdict::Survives) {
        let changes = |without: &Comparison, which: &str| {
            let now = Verdict::of(without);
            let gain = difference(-without.estimate.value, 1.0);
            (now != verdict).then(|| format!("without its {which} document it is {} ({gain})", now.short()))
        };
        parts.extend(changes(&sensitivity.without_lowest, "best"));
        parts.extend(changes(&sensitivity.without_highest, "worst"));
    }
    if sensitivity.largest_part > ONE_DOCUMENT && one.total.estimate.n >= FEWEST {
        parts.push(format!(
            "one document has {:.0}% of the squared spread, which leaves its interval too narrow",
            100.0 * sensitivity.largest_part
        ));
    }
    (!parts.is_empty()).then(|| format!("{}, {}", one.encoding, parts.join(" and ")))
}

impl Verdict {
    /// As a table says it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Verdict::Uses => "uses",
            Verdict::Survives => "survives",
            Verdict::Worse => "worse",
            Verdict::Undecided => "undecided",
            Verdict::TooFew => "too few",
        }
    }

    fn short(self) -> &'static str {
        match self {
            Verdict::Uses => "told to use what lies beyond",
            Verdict::Survives => "told to survive",
            Verdict::Worse => "worse",
            Verdict::Undecided => "undecided",
            Verdict::TooFew => "of too few documents",
        }
    }
}

#[cfg(test)]
mod tests {
    use longcode_stats::Estimate;

    use super::*;

    fn total(value: f64, reach: f64, n: usize) -> Comparison {
        let (low, high) = (value - reach, value + reach);
        let estimate = Estimate { value, low, high, stderr: reach / 4.0, n };
        Comparison { estimate, low, high }
    }

    #[test]
    fn four_cases_have_four_words() {
        for (value, reach, n, expected) in [
            (-0.039, 0.02, 16, Verdict::Uses),
            (0.3, 0.1, 16, Verdict::Worse),
            (-0.01, 0.03, 16, Verdict::Survives),
            // An interval that allows half a nat of damage.
            (-0.048, 0.5, 16, Verdict::Undecided),
            (-0.039, 0.04, 16, Verdict::Undecided),
            (-0.3, 0.1, 4, Verdict::TooFew),
            // Told apart, and too small to be worth naming.
            (-0.0003, 0.0001, 16, Verdict::Survives),
        ] {
            assert_eq!(Verdict::of(&total(value, reach, n)), expected, "{value} {reach} {n}");
        }
    }

    #[test]
    fn a_baseline_that_throws_nothing_away_has_no_verdict() {
        let spec = crate::encoding::EncodingSpec::parse("rope:context=512").unwrap();
        let baseline = EncodingEntry::new("Truncation".into(), spec);
        let says = |trained, longest| verdict(&[], &baseline, Lengths { trained, longest });
        assert!(says(512, 512).unwrap().contains("no sample is longer than its context of 512 tokens"));
        assert!(says(512, 100).unwrap().contains("(longest: 100)"));
        assert!(says(256, 4096).unwrap().contains("more than the trained length of 256"));
        assert_eq!(says(512, 513), None);
    }

    #[test]
    fn documents_that_would_decide() {
        // Twice the interval's reach asks for four times the documents.
        assert_eq!(would_decide(&total(0.1, 0.2, 10)), 40);
        // It need only come within the margin.
        assert_eq!(would_decide(&total(0.0, 0.1, 10)), 40);
        assert_eq!(would_decide(&total(-0.045, 0.5, 20)), 2500);
        assert_eq!(would_decide(&total(0.1, 0.1001, 10)), 11);
    }
}
