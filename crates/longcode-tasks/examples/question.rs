//! What a model is asked, and what an answer is worth: no model is run, the answer is made up.
//!
//! ```sh
//! cargo run --release -p longcode-tasks --example question
//! ```

use std::path::Path;

use longcode_base::error::Result;
use longcode_tasks::dataset::Dataset;
use longcode_tasks::task::{Answer, Ask, Generated, find_kind, parse};
use longcode_text::{Ended, Generation, TextDirectory, TextSide};

fn main() -> Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let model = TextDirectory::open(&repository.join("models/nano"))?;
    let dataset = Dataset::open("code-python", &[repository])?;

    // The keys of a task, as a config has them.
    let keys = toml::toml! {
        length = 512
        depth = [0, 50]
        samples = 1
    };
    let (task, keys) = parse(find_kind("lookup")?, keys)?;
    println!("With the defaults filled in:\n{keys}");

    let selection = task.samples(&dataset, &model, 0)?;
    for sample in &selection.samples {
        let tokens = sample.tokens.ids.len();
        println!("{}: {tokens} tokens, the last of them:", sample.id);
        println!("{}\n", &sample.text[sample.tokens.offsets[tokens - 24].0..]);
    }

    let sample = &selection.samples[0];
    let Ask::Generate(limits) = task.ask() else { unreachable!("lookup has prompts to go on from") };
    println!("Asked for: up to {} tokens, and how likely each of these is:", limits.max_new_tokens);
    for candidate in &sample.candidates {
        println!("{:?}", model.tokenizer().decode(candidate)?);
    }

    // The first candidate is right. Here it is generated, and each of its tokens has half the loss of the others' tokens.
    let loss = |number: usize| if number == 0 { 1.0 } else { 2.0 };
    let losses = sample.candidates.iter().enumerate();
    let answer = Answer::Generated(Generated {
        generation: Generation {
            ids: sample.candidates[0].clone(),
            text: model.tokenizer().decode(&sample.candidates[0])?,
            ended: Ended::Stop,
        },
        candidates: losses.map(|(number, ids)| vec![loss(number); ids.len()]).collect(),
        others: Vec::new(),
    });
    // What is stored of it, and all that figures are made from.
    let outcome = task.outcome(sample, answer, 512);
    println!("\nStored: {outcome}\n");
    for measure in task.measures(&outcome).expect("this task made it") {
        let value = measure.numerator / measure.denominator;
        println!("{} over {}: {value}", measure.metric, measure.group);
    }
    Ok(())
}
