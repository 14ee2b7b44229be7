//! What work costs: the account behind shards, the time left and `longcode plan`.

use std::collections::HashMap;
use std::iter::Sum;
use std::ops::Add;

use crate::checkpoint::NetworkConfig;
use crate::config::{EncodingEntry, TaskEntry};
use crate::encoding::{EncodingSpec, LayerRotations, Positions, Rotations};
use crate::task::{Ask, Sample};

/// What some work takes, in counts that are the same on every machine. A product is one multiplication and
/// one addition.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Cost {
    /// Requests to a server.
    pub(crate) requests: f64,
    /// Tokens that are read, many at a time.
    pub(crate) tokens: f64,
    /// Products of the linear maps over them, including the output head's.
    pub(crate) linear: f64,
    /// Products of attention over the keys that they see: with keys, and with values.
    pub(crate) attention: f64,
    /// Most tokens that are generated, one at a time.
    pub(crate) generated: f64,
    /// Products of the linear maps over the generated tokens that are read again.
    pub(crate) generated_linear: f64,
    /// Products of their attention.
    pub(crate) generated_attention: f64,
}

/// Seconds that products take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    /// For linear maps over many tokens.
    pub(crate) linear: f64,
    /// For attention of many tokens.
    pub(crate) attention: f64,
    /// For linear maps over one token: the weights are read for it alone.
    pub(crate) generated_linear: f64,
    /// For attention of one token.
    pub(crate) generated_attention: f64,
}

impl Rates {
    /// The same for every machine, with a product of a linear map as the unit. On 2 cores with AVX-512 in f32
    /// the others took 0.9 (`models/nano`) to 2.7 (SmolLM2-135M in Q4_1) times as long, 3.6 to 10 times, and
    /// 4.4 to 6 times.
    pub(crate) const NOMINAL: Rates =
        Rates { linear: 1.0, attention: 2.0, generated_linear: 6.0, generated_attention: 6.0 };

    /// Time that some work takes.
    pub(crate) fn time(&self, cost: &Cost) -> f64 {
        cost.linear * self.linear
            + cost.attention * self.attention
            + cost.generated_linear * self.generated_linear
            + cost.generated_attention * self.generated_attention
    }
}

impl Cost {
    /// The same without a part of some reading, so many times.
    pub(crate) fn without(self, part: Cost, times: f64) -> Cost {
        Cost {
            tokens: self.tokens - times * part.tokens,
            linear: self.linear - times * part.linear,
            attention: self.attention - times * part.attention,
            ..self
        }
    }
}

impl Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        Cost {
            requests: self.requests + other.requests,
            tokens: self.tokens + other.tokens,
            linear: self.linear + other.linear,
            attention: self.attention + other.attention,
            generated: self.generated + other.generated,
            generated_linear: self.generated_linear + other.generated_linear,
            generated_attention: self.generated_attention + other.generated_attention,
        }
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Cost>>(costs: I) -> Cost {
        costs.fold(Cost::default(), Cost::add)
    }
}

/// Tokens that an account covers at least, whatever the samples: the texts that are timed to find rates may
/// be longer.
const SHORTEST: usize = 256;

/// What samples cost with one model.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one a model")]
pub(crate) enum Account {
    /// A network on this machine.
    Network(NetworkAccount),
    /// A model that is asked by requests, and computes elsewhere.
    Requests,
}

impl Account {
    /// What the model does for a sample of a task under an encoding.
    pub(crate) fn cost(&self, task: &TaskEntry, sample: &Sample, encoding: &EncodingEntry) -> Cost {
        match self {
            Account::Network(account) => account.cost(task, sample, encoding),
            Account::Requests => requests(task, sample, encoding),
        }
    }

    /// The account of a network on this machine.
    pub(crate) fn network(&self) -> Option<&NetworkAccount> {
        match self {
            Account::Network(account) => Some(account),
            Account::Requests => None,
        }
    }
}

/// What a sample costs with a model that is asked by requests. Tokens stand for products, so that progress and shares
/// follow them.
fn requests(task: &TaskEntry, sample: &Sample, encoding: &EncodingEntry) -> Cost {
    let of = |tokens: usize, generated: usize| Cost {
        requests: 1.0,
        tokens: tokens as f64,
        linear: tokens as f64,
        generated: generated as f64,
        generated_linear: generated as f64,
        ..Cost::default()
    };
    let length = sample.tokens.ids.len();
    match task.task.ask() {
        Ask::Score => match encoding.spec.context.filter(|context| length > context.tokens) {
            // The new token that each of them asks for is not used.
            None => of(length, 1),
            Some(context) => context.windows(length).iter().map(|window| of(window.tokens.len(), 1)).sum(),
        },
        Ask::Generate(limits) => {
            let most = limits.max_new_tokens;
            let cost = |one: &Sample| {
                let read = kept(&encoding.spec, one.tokens.ids.len(), sample.room(limits));
                let candidates = one.candidates.iter().map(|ids| of(read + ids.len(), 1));
                of(read, most) + candidates.sum()
            };
            sample.asked().map(cost).sum()
        }
    }
}

/// What samples cost with a network.
#[derive(Debug)]
pub(crate) struct NetworkAccount {
    config: NetworkConfig,
    /// Products of all layers' linear maps, a token.
    layers: f64,
    /// Products of the output head, a token.
    head: f64,
    /// Keys that the tokens before each position see, summed over tokens and layers, by the encoding's name.
    seen: HashMap<String, Vec<f64>>,
}

impl NetworkAccount {
    /// The account for sequences of up to `longest` tokens, including generated ones.
    pub(crate) fn new<'e>(
        config: &NetworkConfig,
        encodings: impl IntoIterator<Item = &'e EncodingEntry>,
        longest: usize,
    ) -> NetworkAccount {
        let config = config.clone();
        let longest = longest.max(SHORTEST);
        let seen = |entry: &EncodingEntry| (entry.name.clone(), seen(&entry.spec, &config, longest));
        NetworkAccount {
            layers: config.layer_products(),
            head: (config.vocab_size * config.hidden_size) as f64,
            seen: encodings.into_iter().map(seen).collect(),
            config,
        }
    }

    /// The model's shape.
    pub(crate) fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Keys of a sequence of `length` tokens that its last token sees, summed over layers: those that a cache
    /// keeps. Beyond the account's longest sequence, the growth up to there is continued.
    pub(crate) fn cached(&self, encoding: &EncodingEntry, length: usize) -> f64 {
        let seen = &self.seen[&encoding.name];
        let of_last = |length: usize| if length == 0 { 0.0 } else { seen[length] - seen[length - 1] };
        let longest = seen.len() - 1;
        match length.checked_sub(longest) {
            None => of_last(length),
            Some(beyond) => {
                let (half, whole) = (of_last(longest / 2), of_last(longest));
                let growth = (whole - half) / (longest - longest / 2).max(1) as f64;
                whole + growth * beyond as f64
            }
        }
    }

    /// What the model does for a sample of a task under an encoding.
    pub(crate) fn cost(&self, task: &TaskEntry, sample: &Sample, encoding: &EncodingEntry) -> Cost {
        match task.task.ask() {
            Ask::Score => self.scoring(encoding, sample.tokens.ids.len()),
            Ask::Generate(limits) => {
                let room = sample.room(limits);
                let of = |asked: &Sample| {
                    let lengths: Vec<usize> = asked.candidates.iter().map(Vec::len).collect();
                    self.generating(encoding, asked.tokens.ids.len(), limits.max_new_tokens, &lengths, room)
                };
                sample.asked().map(of).sum()
            }
        }
    }

    /// The cost of scoring `length` tokens.
    pub(crate) fn scoring(&self, encoding: &EncodingEntry, length: usize) -> Cost {
        let windows = encoding.spec.context.filter(|context| length > context.tokens);
        match windows.map(|context| context.windows(length)) {
            None => self.reading(encoding, 0..length, length.saturating_sub(1)),
            Some(windows) => windows
                .iter()
                .map(|window| self.reading(encoding, 0..window.tokens.len(), window.predicted.len()))
                .sum(),
        }
    }

    /// The cost of reading the first tokens of a prompt, without any logits.
    pub(crate) fn prefix(&self, encoding: &EncodingEntry, tokens: usize) -> Cost {
        self.reading(encoding, 0..tokens, 0)
    }

    /// The cost of reading a prompt of `length` tokens with room for `room` more, scoring candidates of these lengths, and
    /// generating.
    fn generating(
        &self,
        encoding: &EncodingEntry,
        length: usize,
        max_new_tokens: usize,
        candidates: &[usize],
        room: usize,
    ) -> Cost {
        let read = kept(&encoding.spec, length, room);
        let scored = candidates.iter().map(|tokens| {
            let read_of_it = tokens.saturating_sub(1);
            self.reading(encoding, read..read + read_of_it, read_of_it)
        });
        self.with_room(encoding, length, max_new_tokens, room) + scored.sum()
    }

    /// The cost of reading a prompt with room for `room` new tokens, and generating.
    fn with_room(&self, encoding: &EncodingEntry, length: usize, max_new_tokens: usize, room: usize) -> Cost {
        let read = kept(&encoding.spec, length, room);
        // The last generated token is not read again.
        let again = self.continuing(encoding, read, max_new_tokens.saturating_sub(1));
        self.reading(encoding, 0..read, 1) + Cost { generated: max_new_tokens as f64, ..again }
    }

    /// The cost of reading `again` generated tokens, one at a time, after `read` others.
    pub(crate) fn continuing(&self, encoding: &EncodingEntry, read: usize, again: usize) -> Cost {
        Cost {
            generated_linear: again as f64 * (self.layers + self.head),
            generated_attention: self.attention(encoding, read..read + again),
            ..Cost::default()
        }
    }

    /// The cost of reading tokens at some positions, with the logits of `predicted` of them.
    fn reading(&self, encoding: &EncodingEntry, positions: std::ops::Range<usize>, predicted: usize) -> Cost {
        let tokens = positions.len() as f64;
        Cost {
            tokens,
            linear: tokens * self.layers + predicted as f64 * self.head,
            attention: self.attention(encoding, positions),
            ..Cost::default()
        }
    }

    fn attention(&self, encoding: &EncodingEntry, positions: std::ops::Range<usize>) -> f64 {
        let seen = &self.seen[&encoding.name];
        2.0 * self.config.query_width() as f64 * (seen[positions.end] - seen[positions.start])
    }
}

/// Tokens of a prompt that are read within the encoding's context.
pub(crate) fn kept(encoding: &EncodingSpec, length: usize, room: usize) -> usize {
    match encoding.context {
        Some(context) => length.min(context.tokens.saturating_sub(room)),
        None => length,
    }
}

/// Keys that the tokens before each position see, summed over tokens and layers, `[longest + 1]`. What a
/// token sees depends neither on segments nor on what follows, but for kinds that choose keys: of these it is what they
/// see of a text of blocks or functions of 128 tokens.
fn seen(encoding: &EncodingSpec, config: &NetworkConfig, longest: usize) -> Vec<f64> {
    let levels = encoding.units().iter().map(|_| vec![0; longest]).collect();
    let layers = encoding.by_layer(&config.rope, &Positions::whole(longest, levels));
    let groups = layer_groups(&layers);
    let mut sum = 0.0;
    let of_token = |token: usize| -> f64 {
        groups
            .iter()
            .map(|group| {
                let first = group.window.map_or(0, |window| (token + 1).saturating_sub(window));
                let keys = match group.rotation {
                    Some(rotation) => keys_from(&layers.rotations[rotation], token, first),
                    None => token + 1 - first,
                };
                (group.layers * keys) as f64
            })
            .sum()
    };
    let sums = (0..longest).map(|token| {
        sum += of_token(token);
        sum
    });
    std::iter::once(0.0).chain(sums).collect()
}

/// Layers whose tokens see the same.
struct LayerGroup {
    layers: usize,
    /// The rotations by whose zones they see; none if they see all keys.
    rotation: Option<usize>,
    /// The checkpoint's own limit.
    window: Option<usize>,
}

fn layer_groups(layers: &LayerRotations) -> Vec<LayerGroup> {
    let mut groups: Vec<LayerGroup> = Vec::new();
    for (layer, &rotation) in layers.of_layer.iter().enumerate() {
        let own = layers.own_window.as_ref().filter(|own| own.layers[layer]);
        let window = own.map(|own| own.window);
        match groups.iter_mut().find(|group| group.rotation == rotation && group.window == window) {
            Some(group) => group.layers += 1,
            None => groups.push(LayerGroup { layers: 1, rotation, window }),
        }
    }
    groups
}

/// Keys from `first` on that a token sees in the zones.
fn keys_from(rotations: &Rotations, token: usize, first: usize) -> usize {
    let zones = &rotations.zones;
    let start = |zone: usize| zones.get(zone).map_or(token + 1, |zone| zone.first.keys[token]).max(first);
    let seen = (0..zones.len()).filter(|&zone| zones[zone].rotation.is_some());
    seen.map(|zone| {
        let keys = start(zone)..start(zone + 1).max(start(zone));
        match rotations.choice.as_ref().filter(|_| zones[zone].is_chosen) {
            Some(choice) => choice.count(token, &keys),
            None => keys.len(),
        }
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checkpoint::config::Parameters;
    use crate::model::Network;

    /// Two layers of 480 products a token, and a head of 80.
    fn account(model: &str, spec: &str) -> (NetworkAccount, EncodingEntry) {
        let config = json!({
            "model_type": model, "vocab_size": 10, "hidden_size": 8, "intermediate_size": 12,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
            "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "rope_theta": 100.0, "hidden_act": "silu",
            "sliding_window": if model == "mistral" { json!(2) } else { json!(null) },
        });
        let config = NetworkConfig::from_json(config).unwrap();
        let spec = EncodingSpec::parse(spec).unwrap();
        let entry = EncodingEntry::new("one".into(), spec);
        (NetworkAccount::new(&config, std::slice::from_ref(&entry), 8), entry)
    }

    /// Keys that a layer's tokens see, of 5 scored tokens.
    fn keys(model: &str, spec: &str) -> f64 {
        let (account, entry) = account(model, spec);
        account.scoring(&entry, 5).attention / (2.0 * 8.0 * 2.0)
    }

    /// The matrices that a network has, as it asks a checkpoint for them.
    #[test]
    fn products_are_those_of_the_matrices() {
        for model in ["llama", "qwen3", "starcoder2", "phi3", "qwen2_moe"] {
            let activation = if model == "starcoder2" { "gelu_pytorch_tanh" } else { "silu" };
            let mut config = json!({
                "model_type": model, "vocab_size": 10, "hidden_size": 8, "intermediate_size": 12,
                "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
                "hidden_act": activation, "tie_word_embeddings": true,
            });
            if model == "qwen2_moe" {
                let experts = json!({
                    "num_experts": 4, "num_experts_per_tok": 4, "moe_intermediate_size": 6,
                    "shared_expert_intermediate_size": 10,
                });
                config.as_object_mut().unwrap().extend(experts.as_object().unwrap().clone());
            }
            let config = NetworkConfig::from_json(config).unwrap();
            let matrices =
                Network::tensors(&config).unwrap().into_iter().filter(|(_, shape)| shape.len() == 2);
            let numbers: usize = matrices.map(|(_, shape)| shape[0] * shape[1]).sum();
            assert_eq!(config.layer_products(), (numbers - 80) as f64, "{model}");
            assert_eq!(config.parameters(), Parameters { total: numbers as u128, active: numbers as u128 });
        }
    }

    #[test]
    fn scoring() {
        let (account, entry) = account("llama", "rope");
        let cost = account.scoring(&entry, 5);
        assert_eq!((cost.tokens, cost.linear), (5.0, 5.0 * 960.0 + 4.0 * 80.0));
        assert_eq!(cost.generated_linear + cost.generated_attention + cost.generated, 0.0);
        for (spec, seen) in [
            ("rope", 1 + 2 + 3 + 4 + 5),
            ("rerope:window=2", 1 + 2 + 3 + 4 + 5),
            ("hirope:window=2,split=0.5", 1 + 2 + 3 + 4 + 5),
            ("sliding_window:window=2", 1 + 2 + 2 + 2 + 2),
            ("streaming_llm:window=2,sinks=1", 1 + 2 + 3 + 3 + 3),
            ("blocks:unit=tokens:1,window=1,top=1,sinks=0", 1 + 2 + 2 + 2 + 2),
            ("structure:window=2,sinks=1,own=false", 1 + 2 + 3 + 4 + 5),
            ("rope:context=3,stride=1", 3 * (1 + 2 + 3)),
        ] {
            assert_eq!(keys("llama", spec), f64::from(seen), "{spec}");
        }
        // A checkpoint's own window, and without it.
        assert_eq!(keys("mistral", "rope"), f64::from(1 + 2 + 2 + 2 + 2));
        assert_eq!(keys("mistral", "rope:full_attention=true"), f64::from(1 + 2 + 3 + 4 + 5));
    }

    #[test]
    fn windows_of_a_context() {
        let (account, entry) = account("llama", "rope:context=3,stride=1");
        let cost = account.scoring(&entry, 5);
        assert_eq!((cost.tokens, cost.linear), (9.0, 9.0 * 960.0 + 4.0 * 80.0));
        // Two of five tokens are read, so that three fit after them.
        let (account, entry) = self::account("llama", "rope:context=5");
        assert_eq!(account.generating(&entry, 5, 3, &[], 3).tokens, 2.0);
    }

    #[test]
    fn generating() {
        let (account, entry) = account("llama", "rope");
        let cost = account.generating(&entry, 5, 3, &[2], 3);
        let of_keys = |keys: usize| (2 * 8 * 2 * keys) as f64;
        // The candidate's second token is not read.
        let expected = Cost {
            requests: 0.0,
            tokens: 6.0,
            linear: 6.0 * 960.0 + 2.0 * 80.0,
            attention: of_keys(15 + 6),
            generated: 3.0,
            generated_linear: 2.0 * 1040.0,
            generated_attention: of_keys(6 + 7),
        };
        assert_eq!(cost, expected);
    }

    #[test]
    fn what_a_cache_keeps() {
        let (bounded, entry) = account("llama", "streaming_llm:window=2,sinks=1");
        assert_eq!([1, 3, 8, 800].map(|length| bounded.cached(&entry, length)), [2.0, 6.0, 6.0, 6.0]);
        let (all, entry) = account("llama", "rope");
        assert_eq!([0, 1, 8, 800].map(|length| all.cached(&entry, length)), [0.0, 2.0, 16.0, 1600.0]);
    }
}
