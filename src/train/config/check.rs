//! What can be known to be wrong with a training's config without its files.

use super::keys::{BudgetKeys, FillInKeys, ModelKeys, OptimizerKeys, TrainConfig};
use crate::config::check_run_name;
use crate::error::{Result, refuse};
use crate::limits;
use crate::train::fill_in;

/// Ids that are not pieces of text, `<s>` and `</s>`, and the 256 bytes.
const SMALLEST_VOCABULARY: usize = 258;

/// Refuses values that make no sense, and keys that do not go together.
pub(super) fn check(config: &TrainConfig) -> Result<()> {
    check_run_name(&config.name)?;
    need(config.length >= 2, "length", || {
        (format!("length is {}", config.length), "give at least 2 tokens")
    })?;
    need(config.batch >= 1, "batch", || ("batch is 0".into(), "give at least 1 sample"))?;
    let micro_batch = config.micro_batch();
    need(micro_batch >= 1 && config.batch.is_multiple_of(micro_batch), "micro_batch", || {
        (
            format!("micro_batch {micro_batch} does not divide batch {}", config.batch),
            "give a divisor of batch",
        )
    })?;
    check_size(config)?;
    check_corpus(config)?;
    check_tokenizer(config)?;
    check_model(&config.model)?;
    check_optimizer(&config.optimizer)?;
    check_budget(&config.budget)?;
    let output = &config.output;
    need(positive(output.checkpoint_minutes), "output.checkpoint_minutes", || {
        (format!("checkpoint_minutes is {}", output.checkpoint_minutes), "give minutes above 0")
    })?;
    need(output.validation_steps >= 1, "output.validation_steps", || {
        ("validation_steps is 0".into(), "give at least 1 step")
    })?;
    need(output.validation_samples >= 1, "output.validation_samples", || {
        ("validation_samples is 0".into(), "give at least 1 sample")
    })
}

/// Refuses numbers beyond the limits, so that their products cannot overflow.
fn check_size(config: &TrainConfig) -> Result<()> {
    for (key, tokens) in [("length", config.length), ("batch", config.batch.saturating_mul(config.length))] {
        need(tokens <= limits::SEQUENCE, key, || {
            (
                format!("{key} makes {tokens} tokens of a step, more than {}", limits::SEQUENCE),
                "give a smaller one",
            )
        })?;
    }
    let model = &config.model;
    let shape = [
        ("tokenizer.vocab_size", config.tokenizer.as_ref().and_then(|keys| keys.vocab_size), limits::WIDTH),
        ("model.hidden_size", model.hidden_size, limits::WIDTH),
        ("model.intermediate_size", model.intermediate_size, limits::WIDTH),
        ("model.num_hidden_layers", model.num_hidden_layers, limits::LAYERS),
        ("model.num_attention_heads", model.num_attention_heads, limits::WIDTH),
        ("model.num_key_value_heads", model.num_key_value_heads, limits::WIDTH),
        ("model.head_dim", model.head_dim, limits::WIDTH),
    ];
    for (key, number, most) in shape {
        let number = number.unwrap_or(0);
        need(number <= most, key, || {
            (format!("{key} is {number}, more than {most}"), "give a smaller number")
        })?;
    }
    Ok(())
}

fn check_corpus(config: &TrainConfig) -> Result<()> {
    let corpus = &config.corpus;
    need(!corpus.datasets.is_empty(), "corpus.datasets", || {
        ("there is no data set".into(), "name at least one data set or path")
    })?;
    need(corpus.held_out > 0.0 && corpus.held_out < 1.0, "corpus.held_out", || {
        (format!("held_out is {}", corpus.held_out), "give a share between 0 and 1, as 0.01")
    })?;
    let pattern = corpus.learned()?;
    need(pattern.is_none() || corpus.whole_documents, "corpus.learned", || {
        ("learned without whole_documents".into(), "add whole_documents = true, or remove learned")
    })?;
    corpus.fill_in.as_ref().map_or(Ok(()), |keys| check_fill_in(keys, config))
}

fn check_fill_in(keys: &FillInKeys, config: &TrainConfig) -> Result<()> {
    let corpus = &config.corpus;
    need(keys.rate > 0.0 && keys.rate <= 1.0, "corpus.fill_in.rate", || {
        (format!("rate is {}", keys.rate), "give a share above 0 and at most 1, as 0.5")
    })?;
    need((0.0..=1.0).contains(&keys.lines), "corpus.fill_in.lines", || {
        (format!("lines is {}", keys.lines), "give a share from 0 to 1")
    })?;
    need(corpus.whole_documents, "corpus.fill_in", || {
        ("fill_in without whole_documents".into(), "add whole_documents = true, or remove fill_in")
    })?;
    need(corpus.learned.is_none(), "corpus.fill_in", || {
        (
            "fill_in together with learned: a gap moves what the expression finds".into(),
            "remove one of the two",
        )
    })?;
    need(config.length >= fill_in::SHORTEST, "length", || {
        let what = format!("length is {}: no piece with a gap fits", config.length);
        (what, "give at least 24 tokens, or remove corpus.fill_in")
    })
}

fn check_tokenizer(config: &TrainConfig) -> Result<()> {
    let fine_tuning = config.model.path.is_some();
    match &config.tokenizer {
        None => need(fine_tuning, "tokenizer", || {
            ("no [tokenizer]".into(), "add [tokenizer] with vocab_size = 4096, or with path = \"DIR\"")
        }),
        Some(keys) => {
            need(!fine_tuning, "tokenizer", || {
                (
                    "[tokenizer] together with model.path".into(),
                    "remove it: a checkpoint keeps its own tokenizer",
                )
            })?;
            need(keys.vocab_size.is_some() != keys.path.is_some(), "tokenizer", || {
                ("[tokenizer] takes one of vocab_size and path".into(), "give one of the two")
            })?;
            need(keys.datasets.is_none() || keys.vocab_size.is_some(), "tokenizer.datasets", || {
                (
                    "datasets together with path: an existing tokenizer is copied".into(),
                    "remove one of the two",
                )
            })?;
            need(keys.datasets.as_ref().is_none_or(|names| !names.is_empty()), "tokenizer.datasets", || {
                ("there is no data set".into(), "name at least one, or remove the key")
            })?;
            need(
                keys.vocab_size.is_none_or(|size| size >= SMALLEST_VOCABULARY),
                "tokenizer.vocab_size",
                || {
                    (
                        format!("vocab_size is {}", keys.vocab_size.unwrap_or(0)),
                        "give at least 258: all bytes, <s> and </s>",
                    )
                },
            )
        }
    }
}

fn check_model(model: &ModelKeys) -> Result<()> {
    need(model.rope_theta.is_none_or(|theta| theta.is_finite() && theta > 1.0), "model.rope_theta", || {
        ("rope_theta is not a number above 1".into(), "give a number above 1, as 10000")
    })?;
    need(model.position_scale.is_none_or(positive), "model.position_scale", || {
        ("position_scale is not a number above 0".into(), "give L0 / length, or leave it out for 1")
    })?;
    match model.path {
        Some(_) => check_no_shape(model),
        None => check_shape(model),
    }
}

fn check_no_shape(model: &ModelKeys) -> Result<()> {
    let keys = [
        ("hidden_size", model.hidden_size.is_some()),
        ("intermediate_size", model.intermediate_size.is_some()),
        ("num_hidden_layers", model.num_hidden_layers.is_some()),
        ("num_attention_heads", model.num_attention_heads.is_some()),
        ("num_key_value_heads", model.num_key_value_heads.is_some()),
        ("head_dim", model.head_dim.is_some()),
        ("tie_word_embeddings", model.tie_word_embeddings.is_some()),
    ];
    match keys.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((key, _)) => need(false, &format!("model.{key}"), || {
            (format!("{key} together with path"), "remove it: the checkpoint has its shape")
        }),
    }
}

fn check_shape(model: &ModelKeys) -> Result<()> {
    let needed = [
        ("hidden_size", model.hidden_size),
        ("intermediate_size", model.intermediate_size),
        ("num_hidden_layers", model.num_hidden_layers),
        ("num_attention_heads", model.num_attention_heads),
    ];
    for (key, value) in needed {
        need(value.is_some_and(|value| value >= 1), &format!("model.{key}"), || {
            (format!("{key} is missing or 0"), "give the whole shape, or path = \"DIR\" of a checkpoint")
        })?;
    }
    let (hidden, heads) = (model.hidden_size.unwrap_or(0), model.num_attention_heads.unwrap_or(1));
    let keys = model.num_key_value_heads.unwrap_or(heads);
    need(keys >= 1 && heads.is_multiple_of(keys), "model.num_key_value_heads", || {
        (format!("num_key_value_heads {keys} does not divide num_attention_heads {heads}"), "give a divisor")
    })?;
    need(model.head_dim.is_some() || hidden.is_multiple_of(heads), "model.head_dim", || {
        (format!("hidden_size {hidden} is not a multiple of num_attention_heads {heads}"), "give head_dim")
    })?;
    let dim = model.head_dim.unwrap_or(hidden / heads);
    need(dim >= 4 && dim.is_multiple_of(2), "model.head_dim", || {
        (format!("head_dim {dim} is odd or below 4"), "give an even head_dim: rotary positions turn pairs")
    })
}

fn check_optimizer(keys: &OptimizerKeys) -> Result<()> {
    let above_0 =
        [("learning_rate", keys.learning_rate), ("epsilon", keys.epsilon), ("clip_norm", keys.clip_norm)];
    for (key, value) in above_0 {
        need(positive(value), &format!("optimizer.{key}"), || {
            (format!("{key} is {value}"), "give a finite number above 0")
        })?;
    }
    for (key, value) in [("beta_1", keys.beta_1), ("beta_2", keys.beta_2)] {
        need((0.0..1.0).contains(&value), &format!("optimizer.{key}"), || {
            (format!("{key} is {value}"), "give a number from 0 to below 1")
        })?;
    }
    need((0.0..=1.0).contains(&keys.final_share), "optimizer.final_share", || {
        (format!("final_share is {}", keys.final_share), "give a share from 0 to 1")
    })?;
    need(keys.weight_decay.is_finite() && keys.weight_decay >= 0.0, "optimizer.weight_decay", || {
        (format!("weight_decay is {}", keys.weight_decay), "give 0 or more")
    })
}

fn check_budget(budget: &BudgetKeys) -> Result<()> {
    let given = [
        budget.steps.map(|steps| steps > 0),
        budget.tokens.map(|tokens| tokens > 0),
        budget.minutes.map(positive),
    ];
    need(given.iter().flatten().count() == 1, "budget", || {
        ("[budget] takes one of steps, tokens and minutes".into(), "give one of the three")
    })?;
    need(given.into_iter().flatten().all(|above_0| above_0), "budget", || {
        ("the budget is not above 0".into(), "give a number above 0")
    })
}

fn positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

fn need(good: bool, key: &str, message: impl FnOnce() -> (String, &'static str)) -> Result<()> {
    if good {
        return Ok(());
    }
    let (what, fix) = message();
    refuse(key, what, fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const CONFIG: &str = r#"
        name = "a"
        length = 8
        batch = 4
        corpus.datasets = ["d.jsonl"]
        tokenizer.vocab_size = 300
        budget.steps = 5
        [model]
        hidden_size = 8
        intermediate_size = 16
        num_hidden_layers = 1
        num_attention_heads = 2
    "#;

    #[test]
    fn the_smallest_config_is_good() {
        let config = TrainConfig::parse(CONFIG, &[]).unwrap();
        assert_eq!((config.micro_batch(), config.step_tokens()), (4, 32));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_key() {
        let cases = [
            ("nmae='b'", "unknown field `nmae`", "nmae"),
            ("name='a/b'", "cannot name a directory", "name"),
            ("length=1", "length is 1", "length"),
            ("batch=0", "batch is 0", "batch"),
            ("length=1099511627776", "1099511627776 tokens", "length"),
            ("batch=9223372036854775807", "more than", "batch"),
            ("batch=1000000000", "8000000000 tokens", "batch"),
            ("model.num_hidden_layers=10000000000", "10000000000", "model.num_hidden_layers"),
            ("model.hidden_size=4611686018427387952", "more than", "model.hidden_size"),
            ("model.head_dim=4611686018427387952", "more than", "model.head_dim"),
            ("tokenizer.vocab_size=1000000000000", "more than", "tokenizer.vocab_size"),
            ("micro_batch=3", "does not divide batch 4", "micro_batch"),
            ("corpus.datasets=[]", "no data set", "corpus.datasets"),
            ("corpus.held_out=1.0", "held_out is 1", "corpus.held_out"),
            ("corpus.learned='a'", "without whole_documents", "corpus.learned"),
            ("corpus.fill_in={rate=0.0}", "rate is 0", "corpus.fill_in.rate"),
            ("corpus.fill_in={rate=0.5,lines=2.0}", "lines is 2", "corpus.fill_in.lines"),
            ("corpus.fill_in={rate=0.5}", "without whole_documents", "corpus.fill_in"),
            (
                "corpus={datasets=['d'],whole_documents=true,learned='a',fill_in={rate=0.5}}",
                "together with learned",
                "corpus.fill_in",
            ),
            ("corpus={datasets=['d'],whole_documents=true,fill_in={rate=0.5}}", "length is 8", "length"),
            ("corpus.learned='('", "unclosed group", "corpus.learned"),
            ("tokenizer.vocab_size=100", "vocab_size is 100", "tokenizer.vocab_size"),
            ("tokenizer.path='x'", "one of vocab_size and path", "tokenizer"),
            ("tokenizer.datasets=[]", "no data set", "tokenizer.datasets"),
            ("model.num_attention_heads=3", "not a multiple", "model.head_dim"),
            ("model.num_key_value_heads=3", "does not divide", "model.num_key_value_heads"),
            ("model.head_dim=5", "odd", "model.head_dim"),
            ("model.hidden_size=0", "missing or 0", "model.hidden_size"),
            ("model.rope_theta=1.0", "rope_theta", "model.rope_theta"),
            ("model.position_scale=0.0", "position_scale", "model.position_scale"),
            ("model.path='m'", "together with model.path", "tokenizer"),
            ("model.widht=3", "unknown field `widht`", "widht"),
            ("optimizer.learning_rate=-1.0", "learning_rate is -1", "optimizer.learning_rate"),
            ("optimizer.beta_2=1.0", "beta_2 is 1", "optimizer.beta_2"),
            ("budget.minutes=1.0", "one of steps, tokens and minutes", "budget"),
            ("budget.steps=0", "not above 0", "budget"),
        ];
        for (set, what, place) in cases {
            // A section that the smallest config leaves out is added by writing it.
            let text =
                if set.starts_with("optimizer") { format!("{set}\n{CONFIG}") } else { CONFIG.to_string() };
            let set = if set.starts_with("optimizer") { vec![] } else { vec![set.to_string()] };
            let error = TrainConfig::parse(&text, &set).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Config);
            assert!(error.what.contains(what), "{set:?}: {error}");
            assert!(error.place.as_ref().is_some_and(|at| at.contains(place)), "{set:?}: {error}");
            assert!(error.fix.is_some());
        }
    }
}
