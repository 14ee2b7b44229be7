//! The interval of a paired difference, and what it owes to single documents:
//! `cargo run --release -p longcode-stats --example interval < pairs.csv`, lines of `loss,other_loss,tokens`, both losses
//! summed over the tokens.

use std::io::BufRead;

use longcode_stats::{Among, Bootstrap, Design, Scale, sensitivity};

fn main() -> Result<(), String> {
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("standard input is read");
        let numbers: Option<Vec<f64>> = line.split(',').map(|part| part.trim().parse().ok()).collect();
        let Some(&[loss, other, tokens]) = numbers.as_deref() else {
            return Err(format!("not three numbers: {line}"));
        };
        ours.push((loss, tokens));
        others.push((other, tokens));
    }
    let design = Design::single(ours.len());
    let found =
        Bootstrap::new(design.clone(), 0).compare(&ours, &others, Scale::Plain, Among::Baseline(2)).estimate;
    println!(
        "{:+.4} [{:+.4}, {:+.4}] nats a token over {} documents",
        found.value, found.low, found.high, found.n
    );
    if let Some(single) = sensitivity(&design, &ours, &others, Among::Baseline(2)) {
        println!("lower on {} of {} documents", single.less, found.n);
        for (which, without) in [("lowest", single.without_lowest), ("highest", single.without_highest)] {
            println!("without its {which} document: {:+.4}", without.estimate.value);
        }
    }
    Ok(())
}
