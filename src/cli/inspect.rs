//! `longcode inspect`

use std::path::PathBuf;

use serde_json::{Value, json};

use super::print;
use super::sources::{name, read_source};
use crate::checkpoint::{read_chat_template, read_tokenizer};
use crate::error::{Error, ErrorKind, Result};
use crate::files::read_text;
use crate::hash::sha256;
use crate::structure::{
    Control, Draw, Language, References, Region, RegionKind, Source, Unit, UnitKind, references, regions,
    segments,
};
use crate::text::chat::Message;
use crate::text::{ChatTemplate, Tokenizer};

/// The segments of a source file, by region or by token
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(super) struct Args {
    /// A source file of one of the languages below, or a text
    file: PathBuf,
    /// Hugging Face directory or GGUF file whose tokenizer makes the tokens
    #[arg(long, value_name = "MODEL")]
    tokenizer: Option<PathBuf>,
    #[arg(long, default_value = "function", help = Unit::choices())]
    unit: Unit,
    /// The file is a conversation, a JSON list of {"role", "content"}: the tokens of what the chat template
    /// of --tokenizer makes of it, up to where the model answers
    #[arg(long, requires = "tokenizer")]
    chat: bool,
    /// Also what the code points at, as `structure` sees it: tokens of imports, signatures and globals, and from which
    /// token on a unit uses which other; with --json
    #[arg(long, requires = "tokenizer", requires = "json", conflicts_with = "chat")]
    references: bool,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Examples, the units, and the languages whose structure is known.
fn after_help() -> String {
    let mut help = String::from(
        "Examples:\n  longcode inspect examples/wordcount/main.py\n  \
         longcode inspect examples/wordcount/main.py --tokenizer models/nano --unit statement --json\n  \
         longcode inspect conversation.json --tokenizer MODEL --chat --json\n\nUnits (segments are what lies between two boundaries):\n",
    );
    for kind in UnitKind::ALL {
        help.push_str(&format!("  {:<16}  {}\n", kind.form(), kind.about));
    }
    for control in Control::ALL {
        help.push_str(&format!("  {:<16}  {}\n", control.form(), control.about()));
    }
    help.push_str("\nLanguages:\n");
    for language in Language::ALL {
        let extensions = language.extensions().join(", .");
        help.push_str(&format!("  {:<11} .{extensions}: {}\n", language.to_string(), language.about()));
    }
    help
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        let mut text =
            if self.chat { read_text(&self.file, ErrorKind::Source)? } else { read_source(&self.file)? };
        let hash = sha256(text.as_bytes());
        let mut language = Language::of_path(&self.file);
        if let Some(path) = self.tokenizer.as_ref().filter(|_| self.chat) {
            text = self.rendered(&text, &read_chat_template(path)?).map_err(|e| e.in_file(&self.file))?;
            language = None;
        }
        let source = Source { text: &text, language, file_starts: &[] };
        let mut pointed = None;
        let (unit, count, key, items) = match &self.tokenizer {
            Some(path) => {
                let tokenizer = read_tokenizer(path)?;
                let encode = if self.chat { Tokenizer::encode_as_it_stands } else { Tokenizer::encode };
                let tokens = encode(&tokenizer, &text).map_err(|e| e.in_file(&self.file))?;
                let found = segments(&source, &tokens.offsets, self.unit, Draw { seed: 0, hash: &hash });
                if self.references {
                    let draw = Draw { seed: 0, hash: &hash };
                    pointed = Some(references(&source, &tokens.offsets, self.unit, draw));
                }
                let item = |((id, offset), segment): ((&u32, &(usize, usize)), &u32)| json!({"id": id, "start": offset.0, "end": offset.1, "segment": segment});
                let items: Vec<Value> =
                    tokens.ids.iter().zip(&tokens.offsets).zip(&found.index).map(item).collect();
                (found.unit, found.count, "tokens", items)
            }
            None => {
                let found = self.regions(&source)?;
                let count = found.last().map_or(0, |last| last.segment as usize + 1);
                let item = |region: &Region| serde_json::to_value(region).expect("plain data");
                (self.unit, count, "regions", found.iter().map(item).collect())
            }
        };
        let mut whole = json!({"file": name(&self.file), "language": language, "unit": unit, "segments": count, key: items});
        if self.chat {
            whole["text"] = text.as_str().into();
        }
        if let Some(found) = pointed {
            whole["references"] = in_json(&found);
        }
        if self.json { print(&format!("{whole}\n")) } else { print(&in_words(&whole, key, &text)) }
    }

    /// A conversation as rendered by a chat template.
    fn rendered(&self, conversation: &str, template: &ChatTemplate) -> Result<String> {
        let messages: Vec<Message> = serde_json::from_str(conversation).map_err(|e| {
            Error::new(ErrorKind::Source, format!("not a conversation: {e}"))
                .at("--chat")
                .fix("give a JSON list, as [{\"role\": \"user\", \"content\": \"...\"}]")
        })?;
        template.render(&messages)
    }

    /// Regions of the text; the whole text if no unit is found.
    fn regions(&self, source: &Source<'_>) -> Result<Vec<Region>> {
        if self.unit.needs_tokens() {
            return Err(Error::new(ErrorKind::Usage, format!("unit {} needs tokens", self.unit))
                .at("--unit")
                .fix("add --tokenizer MODEL"));
        }
        Ok(regions(source, self.unit).unwrap_or_else(|| {
            note!("no unit found: with a tokenizer the segments are {}", Unit::FALLBACK);
            let whole = Region {
                start: 0,
                end: source.text.len(),
                segment: 0,
                kind: RegionKind::Between,
                name: None,
            };
            vec![whole]
        }))
    }
}

/// The tokens that have a flag, and uses as the token from which they count and the unit pointed at.
fn in_json(found: &References) -> Value {
    let flagged = |flags: &[bool]| (0..flags.len()).filter(|&token| flags[token]).collect::<Vec<_>>();
    json!({
        "imports": flagged(&found.imports),
        "signatures": flagged(&found.signatures),
        "globals": flagged(&found.globals),
        "uses": found.uses,
    })
}

/// One line for each region or token.
fn in_words(whole: &Value, key: &str, text: &str) -> String {
    let mut words =
        format!("{} segments by {}\n", whole["segments"], whole["unit"].as_str().unwrap_or_default());
    for item in whole[key].as_array().into_iter().flatten() {
        let range = |key: &str| item[key].as_u64().unwrap_or(0) as usize;
        let piece = text.get(range("start")..range("end")).unwrap_or_default();
        let shown: String = piece.trim().lines().next().unwrap_or_default().chars().take(60).collect();
        words.push_str(&format!("{:>6} {:>8}..{:<8} {shown}\n", item["segment"], item["start"], item["end"]));
    }
    words
}
