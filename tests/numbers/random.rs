//! Random checkpoints, tokenizers, chat templates and GGUF files against what transformers and Jinja2 make of them:
//! tests/random, stored by scripts/compare_random.py, which compares as many others as one likes.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use crate::common;
use burn::tensor::Device;
use flate2::read::GzDecoder;
use longcode::checkpoint::Checkpoint;
use longcode::checkpoint::{read_chat_template, read_tokenizer};
use longcode::encoding::EncodingSpec;
use longcode::error::Result;
use longcode::kernels::Precision;
use longcode::model::EncodedModel;
use longcode::text::chat::Message;
use serde::Deserialize;

/// A case, and what another program makes of its files.
#[derive(Deserialize)]
struct Case {
    case: usize,
    /// In words.
    what: String,
    /// None where the other program refuses them: then they are to be refused.
    expected: Option<Expected>,
    /// Refused, with words about it, when they were stored; they may be read since, then as expected.
    refused: bool,
    files: BTreeMap<String, Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Bytes { hex: String },
}

/// What a kind of cases says; the others are empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Expected {
    ids: Vec<u32>,
    nll: Vec<f32>,
    /// None where a conversation is refused.
    texts: Vec<Option<String>>,
}

impl Expected {
    /// What of it differs.
    fn problem(&self, ours: &Expected, may_refuse: bool) -> Option<String> {
        if self.ids != ours.ids {
            return Some(format!("ids {:?} for {:?}", ours.ids, self.ids));
        }
        let same = |(theirs, ours): (&Option<String>, &Option<String>)| {
            theirs == ours || (may_refuse && ours.is_none())
        };
        if !self.texts.iter().zip(&ours.texts).all(same) {
            return Some(format!("{:?} for {:?}", ours.texts, self.texts));
        }
        if self.nll.len() != ours.nll.len() {
            return Some(format!("{} losses for {}", ours.nll.len(), self.nll.len()));
        }
        let mut pairs = self.nll.iter().zip(&ours.nll).enumerate();
        let (token, (theirs, ours)) = pairs.find(|(_, (a, b))| {
            let difference = (*a - *b).abs();
            difference.is_nan() || difference > 1e-4
        })?;
        Some(format!("token {}: loss {ours} for {theirs}", token + 1))
    }
}

impl Case {
    fn write(&self, dir: &Path) {
        for (name, content) in &self.files {
            let bytes = match content {
                Content::Text(text) => text.clone().into_bytes(),
                Content::Bytes { hex } => {
                    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
                    (0..hex.len()).step_by(2).map(byte).collect()
                }
            };
            fs::write(dir.join(name), bytes).unwrap();
        }
    }

    /// What is wrong with what comes of it.
    fn problem(&self, read: impl Fn(&Path) -> Result<Expected>) -> Option<String> {
        let space = tempfile::tempdir().unwrap();
        self.write(space.path());
        match (read(space.path()), &self.expected) {
            (Ok(ours), Some(expected)) => expected.problem(&ours, self.refused),
            (Ok(_), None) => Some("read, where it is to be refused".into()),
            (Err(e), None) if e.fix.is_some() => None,
            (Err(e), Some(_)) if self.refused && e.fix.is_some() => None,
            (Err(e), _) => Some(e.to_string()),
        }
    }
}

/// Every case of a kind.
fn check_all(kind: &str, read: impl Fn(&Path) -> Result<Expected>) {
    let path = common::repository("tests/random").join(format!("{kind}.jsonl.gz"));
    let mut lines = String::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut lines).unwrap();
    let mut wrong = Vec::new();
    for line in lines.lines() {
        let case: Case = serde_json::from_str(line).unwrap();
        if let Some(problem) = case.problem(&read) {
            wrong.push(format!("{kind} {}, {}: {problem}", case.case, case.what));
        }
    }
    assert!(lines.lines().count() >= 30, "{kind}: only {} cases", lines.lines().count());
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

fn text(dir: &Path) -> String {
    fs::read_to_string(dir.join("text.txt")).unwrap()
}

fn ids(model: &Path, text: &str) -> Result<Vec<u32>> {
    Ok(read_tokenizer(model)?.encode(text)?.ids)
}

fn losses(model: &Path, text: &str) -> Result<Vec<f32>> {
    let checkpoint = Checkpoint::open(model)?;
    let ids = checkpoint.tokenizer.encode(text)?.ids;
    let network = checkpoint.load(&Device::flex(), Precision::F32)?;
    let rope = EncodingSpec::parse("rope")?;
    let under = EncodedModel { model: &network, config: &checkpoint.config, encoding: &rope, bos: None };
    Ok(under.score(&ids, Vec::new())?.nll)
}

#[test]
fn checkpoints() {
    check_all("checkpoints", |dir| Ok(Expected { nll: losses(dir, &text(dir))?, ..Expected::default() }));
}

#[test]
fn tokenizers() {
    check_all("tokenizers", |dir| Ok(Expected { ids: ids(dir, &text(dir))?, ..Expected::default() }));
}

#[test]
fn templates() {
    check_all("templates", |dir| {
        let conversations = fs::read(dir.join("conversations.json")).unwrap();
        let conversations: Vec<Vec<Message>> = serde_json::from_slice(&conversations).unwrap();
        let template = read_chat_template(dir)?;
        let rendered: Vec<_> = conversations.iter().map(|messages| template.render(messages)).collect();
        if rendered.iter().all(|text| text.is_err()) {
            return Err(rendered.into_iter().find_map(|text| text.err()).unwrap());
        }
        let texts = rendered.into_iter().map(|text| text.ok()).collect();
        Ok(Expected { texts, ..Expected::default() })
    });
}

#[test]
fn gguf() {
    check_all("gguf", |dir| {
        let model = dir.join("model.gguf");
        let text = text(dir);
        Ok(Expected { ids: ids(&model, &text)?, nll: losses(&model, &text)?, ..Expected::default() })
    });
}
