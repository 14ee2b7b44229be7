//! What intervals and marks promise, held to simulation.
//!
//! `cargo test` takes a few hundred tables a cell; `LONGCODE_TABLES=4000 cargo test --release -p longcode-stats --test
//! coverage -- --nocapture` takes more, and prints what docs/reports.md says of skewed noise and rare failures.

use longcode_stats::curve::{gaining, gains};
use longcode_stats::share::{Hits, clopper_pearson};
use longcode_stats::{Among, Bootstrap, Design, Pair, Scale, told_apart};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Simulated tables or samples a cell.
fn tables(few: u64) -> u64 {
    std::env::var("LONGCODE_TABLES")
        .map_or(few, |tables| tables.parse().expect("LONGCODE_TABLES is a number"))
}

/// Percent of the tables for which something is so, and what chance leaves of that: three standard errors.
fn percent(tables: u64, is: impl Fn(u64) -> bool + Sync) -> (f64, f64) {
    let found = (0..tables).into_par_iter().filter(|&table| is(table)).count();
    let share = found as f64 / tables as f64;
    (
        100.0 * share,
        300.0 * (share.clamp(0.02, 0.98) * (1.0 - share.clamp(0.02, 0.98)) / tables as f64).sqrt(),
    )
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Noise {
    Normal,
    /// Student's t with 3 degrees of freedom.
    Heavy,
    /// Skewness 2.
    Exponential,
    /// Skewness 2, the other way.
    ExponentialDown,
    /// Skewness 6.2.
    Lognormal,
    /// Skewness 3.7.
    Gamma,
    /// One document in ten collapses.
    Rare,
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    // Box and Muller 1958.
    let (radius, angle): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

fn exponential(rng: &mut ChaCha8Rng) -> f64 {
    -(1.0 - rng.random::<f64>()).ln()
}

/// Of shape 0.3 (Ahrens and Dieter 1974).
fn gamma(rng: &mut ChaCha8Rng) -> f64 {
    const SHAPE: f64 = 0.3;
    let whole = 1.0 + SHAPE / std::f64::consts::E;
    loop {
        let at = whole * rng.random::<f64>();
        let (value, accepted) = if at <= 1.0 {
            let value = at.powf(1.0 / SHAPE);
            (value, (-value).exp())
        } else {
            let value = -((whole - at) / SHAPE).ln();
            (value, value.powf(SHAPE - 1.0))
        };
        if rng.random::<f64>() <= accepted {
            return value;
        }
    }
}

impl Noise {
    /// A number whose mean is 0.
    fn draw(self, rng: &mut ChaCha8Rng) -> f64 {
        match self {
            Noise::Normal => normal(rng),
            Noise::Heavy => {
                let squares: f64 = (0..3).map(|_| normal(rng).powi(2)).sum();
                normal(rng) / (squares / 3.0).sqrt()
            }
            Noise::Exponential => exponential(rng) - 1.0,
            Noise::ExponentialDown => 1.0 - exponential(rng),
            Noise::Lognormal => normal(rng).exp() - 0.5f64.exp(),
            Noise::Gamma => gamma(rng) - 0.3,
            Noise::Rare => 0.05 * normal(rng) + if rng.random::<f64>() < 0.1 { 0.9 } else { -0.1 },
        }
    }
}

const UNEQUAL: &[usize] = &[8, 2, 5, 3, 2];

fn bootstrap(strata: &[usize]) -> Bootstrap {
    Bootstrap::new(Design::new(strata.iter().copied()), 0)
}

/// Losses of documents of 500 tokens that differ much between documents and strata.
fn documents(strata: &[usize], rng: &mut ChaCha8Rng) -> Vec<f64> {
    let bucket = strata.iter().enumerate().flat_map(|(n, &size)| vec![n as f64; size]);
    bucket.map(|bucket| 3.0 + bucket + normal(rng)).collect()
}

fn pairs(losses: impl Iterator<Item = f64>) -> Vec<Pair> {
    losses.map(|loss| (500.0 * loss, 500.0)).collect()
}

/// Percent of intervals of a paired difference that hold the true one, which is 0.
fn coverage(strata: &[usize], noise: Noise) -> (f64, f64) {
    coverage_with(strata, noise, 0.0)
}

/// The same where the true differences of the strata lie this far apart.
fn coverage_with(strata: &[usize], noise: Noise, apart: f64) -> (f64, f64) {
    let bootstrap = bootstrap(strata);
    let middle = (strata.len() as f64 - 1.0) / 2.0;
    let of_strata: Vec<f64> =
        strata.iter().enumerate().flat_map(|(n, &size)| vec![apart * (n as f64 - middle); size]).collect();
    percent(tables(1000), |table| {
        let mut rng = ChaCha8Rng::seed_from_u64(table);
        let documents = documents(strata, &mut rng);
        let others = pairs(documents.iter().copied());
        let of_strata = of_strata.iter().zip(&documents).map(|(off, loss)| loss + off);
        let ours = pairs(of_strata.map(|loss| loss + 0.1 * noise.draw(&mut rng)));
        let found = bootstrap.compare(&ours, &others, Scale::Plain, Among::Baseline(2)).estimate;
        found.low <= 0.0 && 0.0 <= found.high
    })
}

#[test]
fn intervals_of_a_mean_difference_hold_what_they_promise() {
    for strata in [&[6][..], &[10], &[20], &[50], &[200], &[2; 5], &[4; 5], UNEQUAL] {
        for noise in [Noise::Normal, Noise::Heavy, Noise::Exponential, Noise::ExponentialDown] {
            let (held, chance) = coverage(strata, noise);
            println!("interval of a difference, {strata:?} {noise:?}: {held:.1}%");
            assert!((93.0 - chance..=97.0 + chance).contains(&held), "{strata:?} {noise:?}: {held}%");
        }
    }
    // Pairs that differ between buckets by more than within them show no skewness.
    let (held, chance) = coverage_with(&[2; 5], Noise::Exponential, 0.2);
    println!("interval of a difference that differs between buckets, [2; 5] Exponential: {held:.1}%");
    assert!(held > 91.5 - chance, "{held}");
    for strata in [&[6][..], &[10], &[20], &[50], &[4; 5]] {
        for noise in [Noise::Lognormal, Noise::Gamma, Noise::Rare] {
            println!("interval of a difference, {strata:?} {noise:?}: {:.1}%", coverage(strata, noise).0);
        }
    }
}

/// The true losses are 3 and more: the figures' own intervals, and those of differences of perplexities.
#[test]
fn intervals_of_perplexities_hold_what_they_promise() {
    for (strata, shift) in [(&[10][..], 0.0), (&[20], 0.1), (&[20], 1.0), (&[4; 5], 2.0)] {
        let bootstrap = bootstrap(strata);
        let truth = 3.0 + (strata.len() - 1) as f64 / 2.0;
        let found = |table: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(table);
            let documents = documents(strata, &mut rng);
            let others = pairs(documents.iter().copied());
            let ours = pairs(documents.iter().map(|loss| loss + shift + 0.3 * normal(&mut rng)));
            let difference =
                bootstrap.compare(&ours, &others, Scale::Exponential, Among::Baseline(2)).estimate;
            (bootstrap.estimate(&others, Scale::Exponential), difference)
        };
        let (alone, chance) = percent(tables(600), |table| {
            let (figure, _) = found(table);
            figure.low <= truth.exp() && truth.exp() <= figure.high
        });
        let (apart, _) = percent(tables(600), |table| {
            let (_, difference) = found(table);
            let truth = (truth + shift).exp() - truth.exp();
            difference.low <= truth && truth <= difference.high
        });
        println!("perplexity, {strata:?}: {alone:.1}%, differences at {shift}: {apart:.1}%");
        assert!((93.0 - chance..=97.0 + chance).contains(&alone), "{strata:?}: {alone}");
        assert!((93.0 - chance..=98.5 + chance).contains(&apart), "{strata:?} {shift}: {apart}");
    }
}

fn binomial(n: u64, hits: u64, share: f64) -> f64 {
    let choose: f64 = (0..hits).map(|k| ((n - k) as f64 / (k + 1) as f64).ln()).sum();
    (choose + hits as f64 * share.ln() + (n - hits) as f64 * (1.0 - share).ln()).exp()
}

/// Not simulated: summed over all tables that there are.
#[test]
fn intervals_of_shares_hold_what_they_promise() {
    for n in [6, 10, 20, 50, 100] {
        let bootstrap = bootstrap(&[n as usize]);
        let interval = |hits: u64| {
            let pairs: Vec<Pair> =
                (0..n).map(|sample| (if sample < hits { 100.0 } else { 0.0 }, 1.0)).collect();
            let found = bootstrap.estimate(&pairs, Scale::Share(100.0));
            assert!(0.0 <= found.low && found.low < found.high && found.high <= 100.0);
            let (low, high) = clopper_pearson(hits as f64, n as f64, 0.05);
            assert!(found.high - found.low <= 100.0 * (high - low) + 1e-9);
            (found.low / 100.0, found.high / 100.0)
        };
        let intervals: Vec<(f64, f64)> = (0..=n).map(interval).collect();
        for share in [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98] {
            let holds = |hits: u64| {
                let (low, high) = intervals[hits as usize];
                if low <= share && share <= high { binomial(n, hits, share) } else { 0.0 }
            };
            let held: f64 = (0..=n).map(holds).sum();
            assert!(held >= 0.93, "{share} of {n}: {held}");
        }
    }
}

/// Not simulated either: two rows that hit independently, or mostly the same samples.
#[test]
fn intervals_of_paired_differences_of_shares_hold_what_they_promise() {
    for n in [6u64, 10, 20] {
        let mut all = Vec::new();
        for both in 0..=n {
            for first in 0..=n - both {
                for second in 0..=n - both - first {
                    let hits = Hits { both, first, second, none: n - both - first - second };
                    all.push((hits, hits.interval(0.05)));
                }
            }
        }
        for (one, other) in [(0.02, 0.02), (0.2, 0.2), (0.5, 0.5), (0.95, 0.95), (0.1, 0.5), (0.8, 0.95)] {
            for alike in [0.0, 0.9] {
                let both = (1.0 - alike) * one * other + alike * f64::min(one, other);
                let shares = [both, one - both, other - both, 1.0 - one - other + both];
                let chance = |hits: &Hits| {
                    let counts = [hits.both, hits.first, hits.second, hits.none];
                    let mut left = (n, 1.0f64, 1.0f64);
                    for (count, share) in counts.into_iter().zip(shares).take(3) {
                        let part = (share / left.1).clamp(1e-300, 1.0 - 1e-16);
                        left = (
                            left.0 - count,
                            (left.1 - share).max(1e-300),
                            left.2 * binomial(left.0, count, part),
                        );
                    }
                    left.2
                };
                let (mut held, mut named) = (0.0, 0.0);
                for (hits, (low, high)) in &all {
                    let chance = chance(hits);
                    held +=
                        if *low - 1e-12 <= one - other && one - other <= high + 1e-12 { chance } else { 0.0 };
                    named += if *low > 0.0 || *high < 0.0 { chance } else { 0.0 };
                }
                assert!(held >= 0.95, "{one} {other} of {n}, {alike} alike: {held}");
                assert!(one != other || named <= 0.05, "{one} of {n}: {named}");
            }
        }
    }
}

/// Percent of tables of equal rows in which some row loses its mark, and in which some is told apart from the
/// baseline, the first row. Its noise is the others' or, as of a baseline that never fails, none.
fn false_alarms(
    strata: &[usize],
    rows: usize,
    noise: Noise,
    correlated: bool,
    quiet: bool,
) -> [(f64, f64); 2] {
    let bootstrap = bootstrap(strata);
    let table = |seed: u64| -> Vec<Vec<Pair>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let documents = documents(strata, &mut rng);
        let shared: Vec<f64> =
            documents.iter().map(|_| if correlated { 2.0 * normal(&mut rng) } else { 0.0 }).collect();
        let row = |row: usize| {
            let silent = quiet && row == 0;
            let mut off = |shared: f64| if silent { 0.0 } else { shared + noise.draw(&mut rng) };
            pairs(documents.iter().zip(&shared).map(|(loss, shared)| loss + 0.1 * off(*shared)))
        };
        (0..rows).map(row).collect()
    };
    let count = tables(300);
    let marks = percent(count, |seed| {
        let rows = table(seed);
        let rows: Vec<&[Pair]> = rows.iter().map(Vec::as_slice).collect();
        told_apart(&bootstrap, &rows, Some(0), Scale::Plain, 1.0).unwrap().1.contains(&true)
    });
    let verdict = percent(count, |seed| {
        let rows = table(seed);
        rows[1..]
            .iter()
            .any(|row| bootstrap.tells_apart(row, &rows[0], Scale::Plain, Among::Baseline(rows.len())))
    });
    [marks, verdict]
}

#[test]
fn equal_rows_are_seldom_told_apart() {
    for strata in [&[6][..], &[10], &[20], &[2; 5], &[4; 5], UNEQUAL] {
        for rows in [10, 16] {
            for (noise, correlated, quiet, most) in [
                (Noise::Normal, false, false, 6.0),
                (Noise::Normal, false, true, 6.0),
                (Noise::Normal, true, false, 6.0),
                (Noise::Heavy, false, false, 6.0),
                (Noise::Heavy, false, true, 6.0),
                (Noise::Exponential, false, false, 8.0),
                (Noise::Exponential, false, true, 8.0),
                (Noise::ExponentialDown, false, true, 8.0),
            ] {
                let [(marks, chance), (verdict, _)] = false_alarms(strata, rows, noise, correlated, quiet);
                let name = format!(
                    "{rows} rows, {strata:?} {noise:?}, correlated {correlated}, quiet baseline {quiet}"
                );
                println!("{name}: marks {marks:.1}%, verdict {verdict:.1}%");
                assert!(marks <= most + chance && verdict <= most + chance, "{name}: {marks} {verdict}");
            }
        }
    }
    for strata in [&[10][..], &[20], &[4; 5]] {
        for noise in [Noise::Lognormal, Noise::Gamma, Noise::Rare] {
            let [(marks, _), (verdict, _)] = false_alarms(strata, 10, noise, false, true);
            println!("10 rows, {strata:?} {noise:?}: marks {marks:.1}%, verdict {verdict:.1}%");
        }
    }
}

/// Strata of four cost little: at most a fifth more than Student's interval of the same documents.
#[test]
fn strata_cost_little_power() {
    let strata = [4; 5];
    let bootstrap = bootstrap(&strata);
    let width = |table: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(table);
        let others = pairs(documents(&strata, &mut rng).into_iter());
        let off: Vec<f64> = (0..20).map(|_| normal(&mut rng)).collect();
        let ours: Vec<Pair> =
            others.iter().zip(&off).map(|(pair, off)| (pair.0 + 50.0 * off, pair.1)).collect();
        let found = bootstrap.compare(&ours, &others, Scale::Plain, Among::Baseline(2)).estimate;
        let mean = off.iter().sum::<f64>() / 20.0;
        let deviation = (off.iter().map(|off| (off - mean).powi(2)).sum::<f64>() / 19.0).sqrt();
        // Student's quantile of 19 degrees of freedom.
        (found.high - found.low, 2.0 * 2.093 * 0.1 * deviation / 20f64.sqrt())
    };
    let widths: Vec<(f64, f64)> = (0..tables(300)).into_par_iter().map(width).collect();
    let [ours, student] = [0, 1].map(|n| widths.iter().map(|pair| [pair.0, pair.1][n]).sum::<f64>());
    println!("five strata of four: {:.3} times Student's interval", ours / student);
    assert!(ours <= 1.2 * student, "{}", ours / student);
}

/// Percent of curves of equal points behind the first `rising` steps, which gain much, in which a further step is said
/// to gain. The first point's noise is the others' or, as of one that never fails, none.
fn false_reach(strata: &[usize], points: usize, rising: usize, noise: Noise, quiet: bool) -> (f64, f64) {
    let bootstrap = bootstrap(strata);
    percent(tables(150), |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let documents = documents(strata, &mut rng);
        let mut row = |point: usize| {
            let level = 5.0 * rising.saturating_sub(point) as f64;
            let silent = quiet && point == rising;
            let mut off = || if silent { 0.0 } else { 0.1 * noise.draw(&mut rng) };
            pairs(documents.iter().map(|loss| level + loss + off()))
        };
        let rows: Vec<Vec<Pair>> = (0..points).map(&mut row).collect();
        let rows: Vec<&[Pair]> = rows.iter().map(Vec::as_slice).collect();
        gaining(&gains(&bootstrap, &rows, Scale::Plain, 1.0)) > rising
    })
}

#[test]
fn a_curve_of_equal_points_is_seldom_said_to_gain() {
    for strata in [&[6][..], &[10], &[4; 5]] {
        for points in [3, 7] {
            for (noise, quiet) in [
                (Noise::Normal, false),
                (Noise::Heavy, false),
                (Noise::Exponential, false),
                (Noise::Exponential, true),
                (Noise::ExponentialDown, true),
            ] {
                for rising in [0, 1] {
                    let (claimed, chance) = false_reach(strata, points, rising, noise, quiet);
                    let name =
                        format!("{points} points, {rising} rising, {strata:?} {noise:?}, quiet {quiet}");
                    println!("{name}: {claimed:.1}%");
                    assert!(claimed <= 5.0 + chance, "{name}: {claimed}");
                }
            }
        }
    }
}
