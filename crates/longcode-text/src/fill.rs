//! Markers of fill-in-the-middle: the special tokens between what comes before a gap, what comes after it, and what
//! fills it.

use longcode_base::error::{Error, ErrorKind, Result};

use super::Tokenizer;

/// In which order a model reads the two sides of a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FillOrder {
    /// Prefix, suffix, and then the middle.
    PrefixFirst,
    /// Suffix, prefix, and then the middle, before which no marker stands.
    SuffixFirst,
}

/// A model's markers, as the texts of single tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillMarkers {
    /// Before what comes before the gap.
    pub prefix: String,
    /// Before what comes after it.
    pub suffix: String,
    /// Before what fills it; empty if [`FillOrder::SuffixFirst`].
    pub middle: String,
    /// Ends what fills the gap, if the model has such a token.
    pub pad: Option<String>,
    /// Before the name of a repository.
    pub repository: Option<String>,
    /// Between the files of a repository.
    pub separator: Option<String>,
    /// The order of the two sides.
    pub order: FillOrder,
}

/// A part of a prompt around a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FillPart<'a> {
    /// A marker.
    Marker(&'a str),
    /// What comes before the gap.
    Left,
    /// What comes after it.
    Right,
}

/// Ids of markers that a GGUF file names (`tokenizer.ggml.fim_*_token_id`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FillIds {
    /// `fim_pre_token_id`.
    pub prefix: Option<u32>,
    /// `fim_suf_token_id`.
    pub suffix: Option<u32>,
    /// `fim_mid_token_id`.
    pub middle: Option<u32>,
    /// `fim_pad_token_id`.
    pub pad: Option<u32>,
    /// `fim_rep_token_id`.
    pub repository: Option<u32>,
    /// `fim_sep_token_id`.
    pub separator: Option<u32>,
}

/// The markers of a family: prefix, suffix, middle, pad, repository, separator. One that it does not have is empty.
type Known = [&'static str; 6];

/// What tokenizers are searched for, in this order.
const KNOWN: [(&str, Known); 6] = [
    (
        "Qwen's",
        [
            "<|fim_prefix|>",
            "<|fim_suffix|>",
            "<|fim_middle|>",
            "<|fim_pad|>",
            "<|repo_name|>",
            "<|file_sep|>",
        ],
    ),
    (
        "StarCoder's",
        ["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<fim_pad>", "<repo_name>", "<file_sep>"],
    ),
    ("SantaCoder's", ["<fim-prefix>", "<fim-suffix>", "<fim-middle>", "<fim-pad>", "", ""]),
    ("DeepSeek's", ["<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", "", "", ""]),
    ("Code Llama's", ["▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>", "", ""]),
    ("Codestral's", ["[PREFIX]", "[SUFFIX]", "", "", "", ""]),
];

/// What others call a repository and a file who have the other markers: StarCoder's first version, and CodeGemma.
const ALSO: [(&str, &str); 3] =
    [("<repo_name>", "<reponame>"), ("<file_sep>", "<filename>"), ("<|file_sep|>", "<|file_separator|>")];

impl FillMarkers {
    /// What a training adds to a vocabulary without markers: Qwen's prefix, suffix and middle.
    pub const ADDED: [&'static str; 3] = [KNOWN[0].1[0], KNOWN[0].1[1], KNOWN[0].1[2]];

    /// The markers of a tokenizer: those that its GGUF file names, else those of the family that it has.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] if it has none, or a marker does not become one token.
    pub fn of(tokenizer: &Tokenizer) -> Result<FillMarkers> {
        FillMarkers::find(tokenizer)?.ok_or_else(|| without(tokenizer))
    }

    /// The same; none if the tokenizer has no markers.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`] if a marker does not become one token.
    pub fn find(tokenizer: &Tokenizer) -> Result<Option<FillMarkers>> {
        let markers = tokenizer
            .fill_ids()
            .and_then(|ids| by_ids(tokenizer, ids))
            .or_else(|| KNOWN.iter().find_map(|(_, known)| by_names(tokenizer, known)));
        for marker in markers.iter().flat_map(FillMarkers::all) {
            let ids = tokenizer.encode_as_it_stands(marker)?.ids;
            if ids.len() != 1 || Some(ids[0]) != tokenizer.id(marker) {
                let what =
                    format!("the marker {marker} is not one token: a text with it has {} tokens", ids.len());
                let fix = "add it to the tokenizer as an added token, as the model was trained";
                return Err(tokenizer.named(Error::new(ErrorKind::Tokenizer, what)).fix(fix));
            }
        }
        Ok(markers)
    }

    /// The parts of a prompt, in the order in which the model reads them; what fills the gap follows.
    pub fn parts(&self) -> Vec<FillPart<'_>> {
        let [prefix, suffix, middle] =
            [&self.prefix, &self.suffix, &self.middle].map(|marker| FillPart::Marker(marker));
        match self.order {
            FillOrder::PrefixFirst => vec![prefix, FillPart::Left, suffix, FillPart::Right, middle],
            FillOrder::SuffixFirst => vec![suffix, FillPart::Right, prefix, FillPart::Left],
        }
    }

    /// Every marker that the model has.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        let own = [&self.prefix, &self.suffix, &self.middle];
        let more = [&self.pad, &self.repository, &self.separator];
        let all = own.into_iter().chain(more.into_iter().flatten());
        all.map(String::as_str).filter(|marker| !marker.is_empty())
    }
}

fn by_ids(tokenizer: &Tokenizer, ids: FillIds) -> Option<FillMarkers> {
    let text = |id: Option<u32>| tokenizer.token(id?);
    let markers = FillMarkers {
        prefix: text(ids.prefix)?,
        suffix: text(ids.suffix)?,
        middle: text(ids.middle).unwrap_or_default(),
        pad: text(ids.pad),
        repository: text(ids.repository),
        separator: text(ids.separator),
        order: if ids.middle.is_some() { FillOrder::PrefixFirst } else { FillOrder::SuffixFirst },
    };
    Some(markers)
}

fn by_names(tokenizer: &Tokenizer, known: &Known) -> Option<FillMarkers> {
    let has = |name: &str| (!name.is_empty() && tokenizer.id(name).is_some()).then(|| name.to_string());
    let or_also = |name: &'static str| {
        let also = ALSO.iter().find(|(known, _)| *known == name);
        has(name).or_else(|| also.and_then(|(_, also)| has(also)))
    };
    let [prefix, suffix, middle, pad, repository, separator] = *known;
    let order = if middle.is_empty() { FillOrder::SuffixFirst } else { FillOrder::PrefixFirst };
    Some(FillMarkers {
        prefix: has(prefix)?,
        suffix: has(suffix)?,
        middle: if middle.is_empty() { String::new() } else { has(middle)? },
        pad: has(pad),
        repository: or_also(repository),
        separator: or_also(separator),
        order,
    })
}

fn without(tokenizer: &Tokenizer) -> Error {
    let known: Vec<String> = KNOWN.iter().map(|(name, [prefix, ..])| format!("{name} ({prefix})")).collect();
    let what = format!("the model has no markers of fill-in-the-middle: neither {}", known.join(", nor "));
    tokenizer
        .named(Error::new(ErrorKind::Tokenizer, what))
        .fix("take a model that was trained to fill in, or set left_only = true: only what comes before the gap is read")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn tokenizer(added: &[&str], normal: &[&str]) -> Tokenizer {
        let letters = "abcdefghijklmnopqrstuvwxyz<>|_-▁｜[]PRESUFMIDXOTA".chars().map(String::from);
        let mut vocabulary: Vec<String> = letters.collect();
        vocabulary.dedup();
        vocabulary.extend(normal.iter().map(|token| token.to_string()));
        let mut ids = serde_json::Map::new();
        for token in vocabulary {
            let id = ids.len();
            ids.entry(token).or_insert(Value::from(id));
        }
        let added: Vec<Value> = added
            .iter()
            .enumerate()
            .map(|(n, token)| json!({"id": ids.len() + n, "content": token, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}))
            .collect();
        let json = json!({"model": {"type": "BPE", "vocab": ids, "merges": []}, "added_tokens": added});
        Tokenizer::from_json(json, &Value::Null).unwrap()
    }

    #[test]
    fn the_markers_of_every_family() {
        for (name, known) in KNOWN {
            let added: Vec<&str> = known.into_iter().filter(|marker| !marker.is_empty()).collect();
            let found = FillMarkers::of(&tokenizer(&added, &[])).unwrap();
            assert_eq!(
                (&found.prefix[..], &found.suffix[..], &found.middle[..]),
                (known[0], known[1], known[2]),
                "{name}"
            );
            let optional = |text: &str| (!text.is_empty()).then(|| text.to_string());
            assert_eq!(
                [found.pad, found.repository, found.separator],
                [known[3], known[4], known[5]].map(optional),
                "{name}"
            );
            assert_eq!(found.order == FillOrder::SuffixFirst, name == "Codestral's");
        }
        let older = ["<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<reponame>", "<filename>"];
        let found = FillMarkers::of(&tokenizer(&older, &[])).unwrap();
        assert_eq!(
            (found.repository.as_deref(), found.separator.as_deref()),
            (Some("<reponame>"), Some("<filename>"))
        );
    }

    #[test]
    fn the_keys_of_a_gguf_file_come_first() {
        let added = ["<pre>", "<suf>", "<mid>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"];
        let tokenizer = tokenizer(&added, &[]);
        let id = |text: &str| tokenizer.id(text);
        let ids =
            FillIds { prefix: id("<pre>"), suffix: id("<suf>"), middle: id("<mid>"), ..FillIds::default() };
        let found = FillMarkers::of(&tokenizer.with_fill_ids(ids)).unwrap();
        assert_eq!((&found.prefix[..], &found.middle[..]), ("<pre>", "<mid>"));
    }

    #[test]
    fn no_markers_and_markers_of_several_tokens_are_refused() {
        let error = FillMarkers::of(&tokenizer(&[], &[])).unwrap_err();
        assert!(error.what.contains("neither Qwen's (<|fim_prefix|>)"), "{error}");
        assert!(error.fix.unwrap().contains("left_only = true"));
        let normal = ["<fim_prefix>", "<fim_suffix>", "<fim_middle>"];
        let error = FillMarkers::of(&tokenizer(&[], &normal)).unwrap_err();
        assert!(error.what.contains("the marker <fim_prefix> is not one token"), "{error}");
    }
}
