//! How a text is cut before merging, by llama.cpp's name for it: the patterns of its llama-vocab.cpp, or of
//! the original tokenizer.json if llama.cpp writes them differently.

use serde_json::{Value, json};

use super::tokenizer::{PRE, unsupported};
use crate::error::Result;

/// Contractions; words with one leading character; then the number pattern, punctuation, line ends, white
/// space.
const WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+";
const SPACE: &str = r"\s*[\r\n]+|\s+(?!\S)|\s+";
const PUNCTUATION: &str = r" ?[^\s\p{L}\p{N}]+[\r\n]*";
/// Words as they are cased, without contractions.
const CASES: [&str; 2] = [
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*",
];
const CONTRACTIONS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
/// DeepSeek's words and punctuation, after numbers and the scripts of East Asia.
const DEEPSEEK_3: &str = concat!(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"##,
    r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
/// Letters of DeepSeek LLM, as its tokenizer lists them.
// Letters that Unicode encodes twice are written by number: an editor may turn one into the other.
const DEEPSEEK_LETTERS: &str = concat!(
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\\x{1f7d}ᾀ-ᾴᾶ-ᾼ\\x{1fbe}ῂ-ῄῆ-ῌ",
    "ῐ-\\x{1fd3}ῖ-\\x{1fdb}ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\\x{2126}ℨ\\x{212a}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+",
);

/// How a text is cut, and related settings.
#[derive(Debug, Clone)]
pub(super) struct PreTokenizer {
    parts: Vec<Value>,
    /// Whether a word that is in the vocabulary becomes a token without merges.
    pub takes_whole_words: bool,
    /// Whether BOS comes first if the file does not say.
    pub adds_bos: bool,
    /// Whether the text is composed first (NFC), as in its tokenizer.json.
    composes: bool,
}

impl PreTokenizer {
    /// The pre-tokenizer with this name in llama.cpp.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Tokenizer`] for an unknown name.
    pub(super) fn named(name: &str) -> Result<PreTokenizer> {
        let digits = || json!({"type": "Digits", "individual_digits": true});
        let words = |numbers: &str| vec![split(&[WORDS, numbers, PUNCTUATION, SPACE].join("|"))];
        let parts = match name {
            "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" | "trillion" | "granite-docling" | "exaone4"
            | "gigachat" | "a.x-4.0" | "mellum" => vec![],
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b"
            | "mellum2" => {
                vec![digits()]
            }
            "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0"
            | "lfm2" | "dbrx" | "smaug-bpe" | "glm4" | "chatglm-bpe" => words(r"\p{N}{1,3}"),
            "qwen2" | "deepseek-r1-qwen" | "kormo" | "megrez" | "stablelm2" | "hunyuan" | "solar-open"
            | "grok-2" => words(r"\p{N}"),
            "qwen35" => vec![split(concat!(
                r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|",
                r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
            ))],
            "seed-coder" => {
                vec![split(&[WORDS, r"\p{N}{1}", r" ?[^\s\p{L}\p{N}\r\n]+", SPACE].join("|"))]
            }
            "bailingmoe" | "bailingmoe2" | "llada-moe" => vec![split(concat!(
                r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|",
                r"\s*[\r\n]|\s+(?!\S)|\s+"
            ))],
            "gpt-4o" | "llama4" | "kanana2" | "minimax-m2" => by_case(CONTRACTIONS, r"\p{N}{1,3}"),
            "tekken" => by_case("", r"\p{N}"),
            "deepseek-coder" => vec![
                split(r"[\r\n]"),
                split(r"\s?\p{L}+"),
                split(r"\s?\p{P}+"),
                split(r"[一-龥ࠀ-一가-퟿]+"),
                digits(),
            ],
            "deepseek-llm" => vec![
                split("[\r\n]"),
                split(DEEPSEEK_LETTERS),
                split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"),
                split(r"\s+$"),
                split(r"[一-龥ࠀ-一가-퟿]+"),
                split(r"\p{N}+"),
            ],
            "deepseek-v3" | "hunyuan-dense" | "joyai-llm" => {
                vec![split(r"\p{N}{1,3}"), split(r"[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK_3)]
            }
            other => return Err(unknown(other)),
        };
        // GPT-2's own pattern comes last if no other cuts words.
        let use_regex = parts.iter().all(|part| part["type"] == "Digits");
        Ok(PreTokenizer {
            parts: [parts, vec![byte_level_part(use_regex)]].concat(),
            takes_whole_words: is_llama_3(name) || name == "tekken",
            adds_bos: is_llama_3(name) || name == "tekken",
            composes: matches!(name, "qwen2" | "qwen35"),
        })
    }

    /// The pre-tokenizer as in tokenizer.json.
    pub(super) fn to_json(&self) -> Value {
        json!({"type": "Sequence", "pretokenizers": self.parts})
    }

    /// The normalizer of a tokenizer.json that has this pre-tokenizer.
    pub(super) fn normalizer(&self) -> Value {
        if self.composes { json!({"type": "NFC"}) } else { Value::Null }
    }
}

/// Whether this is one of llama.cpp's names for Llama 3's tokenizer.
fn is_llama_3(name: &str) -> bool {
    matches!(
        name,
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2"
    )
}

fn unknown(name: &str) -> crate::error::Error {
    let fix = "use a model with the pre-tokenizer of GPT-2, SmolLM, StarCoder, Llama 3, Qwen2, GPT-4o, Mistral's tekken, \
               Seed-Coder or DeepSeek, or its Hugging Face directory";
    unsupported(PRE, format!("pre-tokenizer {name} is not supported"), fix)
}

fn by_case(contractions: &str, numbers: &str) -> Vec<Value> {
    let [lower, upper] = CASES.map(|words| format!("{words}{contractions}"));
    let punctuation = r" ?[^\s\p{L}\p{N}]+[\r\n/]*";
    vec![split(&[lower.as_str(), &upper, numbers, punctuation, SPACE].join("|"))]
}

fn split(pattern: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
}

/// Bytes as letters; with GPT-2's own pattern or without.
pub(super) fn byte_level_part(use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": use_regex})
}
