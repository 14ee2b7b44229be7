//! The vocabulary, made from the corpus or copied.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, TokenizerBuilder};

use crate::error::{Error, ErrorKind, Result};
use crate::files::{read_bytes, read_text, write_whole};
use crate::text::{FillMarkers, Tokenizer};

const FILE: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";
const BOS: &str = "<s>";
const EOS: &str = "</s>";

/// Most bytes of text that a vocabulary is made from: more hardly change it, and take minutes.
const SAMPLE: usize = 20_000_000;

/// Makes a byte-level BPE from documents, drawn by the seed until they have [`SAMPLE`] bytes, and writes its
/// two files. It puts `<s>` (id 0) before every text; `</s>` is id 1.
///
/// # Errors
/// [`ErrorKind::Tokenizer`] when the texts do not give that many entries; [`ErrorKind::Write`].
pub fn make(texts: &[&str], vocab_size: usize, length: usize, seed: u64, out: &Path) -> Result<()> {
    let failed =
        |e: tokenizers::Error| Error::new(ErrorKind::Tokenizer, format!("no tokenizer was made: {e}"));
    let special = [BOS, EOS].map(|token| AddedToken::from(token, true));
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .special_tokens(special.to_vec())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build();
    let template = TemplateProcessing::builder()
        .try_single(format!("{BOS} $A"))
        .and_then(|builder| builder.try_pair(format!("{BOS} $A {BOS} $B")))
        .map_err(|e| failed(e.into()))?
        .special_tokens(vec![(BOS, 0)])
        .build()
        .map_err(|e| failed(e.into()))?;
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None::<tokenizers::NormalizerWrapper>)
        .with_pre_tokenizer(Some(ByteLevel::new(false, false, true)))
        .with_post_processor(Some(template))
        .with_decoder(Some(ByteLevel::default()))
        .build()
        .map_err(failed)?;
    tokenizer.train(&mut trainer, sample(texts, seed).into_iter()).map_err(failed)?;
    let entries = tokenizer.get_vocab_size(true);
    if entries < vocab_size {
        let what = format!("the corpus gives a vocabulary of {entries}, not {vocab_size}");
        return Err(Error::new(ErrorKind::Tokenizer, what)
            .at_key("tokenizer.vocab_size")
            .fix(format!("give a vocab_size of at most {entries}, or a larger corpus")));
    }
    let text = tokenizer.to_string(true).map_err(failed)?;
    write_whole(&out.join(FILE), text.as_bytes())?;
    let config = json!({
        "bos_token": BOS,
        "eos_token": EOS,
        "add_bos_token": true,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": length,
    });
    write_whole(&out.join(CONFIG), format!("{config:#}\n").as_bytes())
}

/// Texts in the seed's order, up to [`SAMPLE`] bytes.
fn sample<'a>(texts: &[&'a str], seed: u64) -> Vec<&'a str> {
    let mut texts = texts.to_vec();
    texts.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut bytes = 0;
    texts.retain(|text| {
        bytes += text.len();
        bytes - text.len() < SAMPLE
    });
    texts
}

/// Copies the tokenizer of a directory, or a tokenizer.json and the files next to it.
///
/// # Errors
/// [`ErrorKind::Tokenizer`] when there is no tokenizer; [`ErrorKind::Write`].
pub fn copy(from: &Path, out: &Path) -> Result<()> {
    let dir = directory(from);
    for path in Tokenizer::files(&dir)? {
        let bytes = read_bytes(&path, ErrorKind::Tokenizer)?;
        write_whole(&out.join(path.file_name().unwrap_or_default()), &bytes)?;
    }
    Ok(())
}

/// Adds markers of a gap to the tokenizer of a directory, if it has none; says whether it did.
///
/// # Errors
/// [`ErrorKind::Tokenizer`] when the tokenizer cannot be read, or has a marker of several tokens;
/// [`ErrorKind::Write`].
pub fn add_markers(dir: &Path) -> Result<bool> {
    let tokenizer = Tokenizer::read(dir)?;
    if FillMarkers::find(&tokenizer)?.is_some() {
        return Ok(false);
    }
    let path = dir.join(FILE);
    let unreadable =
        |what: String| Error::new(ErrorKind::Tokenizer, what).in_file(&path).fix("copy it again");
    let mut json: Value = serde_json::from_str(&read_text(&path, ErrorKind::Tokenizer)?)
        .map_err(|e| unreadable(format!("not valid JSON: {e}")))?;
    let added = json.as_object_mut().map(|json| json.entry("added_tokens").or_insert_with(|| json!([])));
    let added = added.and_then(Value::as_array_mut);
    let added = added.ok_or_else(|| unreadable("`added_tokens` is not a list".into()))?;
    for (id, content) in (tokenizer.max_id() + 1..).zip(FillMarkers::ADDED) {
        added.push(json!({
            "id": id,
            "content": content,
            "single_word": false,
            "lstrip": false,
            "rstrip": false,
            "normalized": false,
            "special": true,
        }));
    }
    write_whole(&path, format!("{json:#}").as_bytes())?;
    Ok(true)
}

/// The directory of a tokenizer, given as a directory or as its file.
pub fn directory(path: &Path) -> PathBuf {
    if path.is_dir() { path.to_path_buf() } else { path.parent().map(Path::to_path_buf).unwrap_or_default() }
}
