//! Tokens that end a generation, as llama.cpp finds them: by metadata, and by a token's text.

use crate::error::Result;

/// Keys of tokens that end a generation, with the texts that identify them if no key does.
const KEYS: [(&str, &[&str]); 6] = [
    ("tokenizer.ggml.eos_token_id", &[]),
    ("tokenizer.ggml.eot_token_id", &[]),
    ("tokenizer.ggml.eom_token_id", &[]),
    ("tokenizer.ggml.fim_pad_token_id", &["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"]),
    (
        "tokenizer.ggml.fim_rep_token_id",
        &["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"],
    ),
    ("tokenizer.ggml.fim_sep_token_id", &["<|file_sep|>"]),
];

/// Tokens that end a text or a turn in any role.
const TEXTS: [&str; 22] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
];

/// Whether a token ends a text or a turn, by its text.
pub(super) fn is_named(token: &str) -> bool {
    TEXTS.contains(&token)
}

/// The ids that end a generation. `id` gives the id under a key.
///
/// # Errors
/// The errors of `id`.
pub(super) fn ids(tokens: &[&str], id: impl Fn(&str) -> Result<Option<usize>>) -> Result<Vec<u32>> {
    let at = |text: &str| tokens.iter().position(|token| *token == text);
    let has = |text: &str| at(text).is_some();
    let mut ids = Vec::new();
    for (key, texts) in KEYS {
        ids.extend(id(key)?.or_else(|| texts.iter().find_map(|text| at(text))));
    }
    // If other tokens end a turn, these two only end a part of it.
    let parts =
        (has("<|return|>") && has("<|call|>")) || (has("<|flush|>") && (has("<|call|>") || has("<|calls|>")));
    let is_part = |text: &str| (text == "<|end|>" && parts) || (text == "</s>" && has("<|tool_response>"));
    ids.extend((0..tokens.len()).filter(|&id| is_named(tokens[id]) && !is_part(tokens[id])));
    Ok(ids.into_iter().map(|id| id as u32).collect())
}
