//! A checkpoint on this machine.

use std::cell::RefCell;
use std::num::NonZeroUsize;

use super::{Asked, Need, Passage, Reader, Reply, Subject};
use crate::checkpoint::{Checkpoint, NetworkConfig};
use crate::config::EncodingEntry;
use crate::device::OpenDevice;
use crate::encoding::EncodingSpec;
use crate::error::Result;
use crate::kernels::Precision;
use crate::model::prefix::LEAST_SHARED;
use crate::model::{Decoder, EncodedModel, Network, Prefix, Seen, generate};
use crate::provenance::ModelHash;
use crate::run::{Account, NetworkAccount};
use crate::text::{TextSide, TokenScores};

/// A checkpoint and the precision that it computes in.
pub(crate) struct LocalModel {
    checkpoint: Checkpoint,
    precision: Precision,
}

impl LocalModel {
    /// A checkpoint that computes in a precision, whose weights are checked by the headers of their files.
    ///
    /// # Errors
    /// As [`Checkpoint::check_weights`].
    pub(crate) fn new(checkpoint: Checkpoint, precision: Precision) -> Result<LocalModel> {
        checkpoint.check_weights()?;
        Ok(LocalModel { checkpoint, precision })
    }
}

impl Subject for LocalModel {
    fn text(&self) -> &dyn TextSide {
        &self.checkpoint
    }

    fn trained_length(&self) -> usize {
        self.checkpoint.config.trained_length()
    }

    fn identity(&self, name: &str) -> Result<ModelHash> {
        Ok(ModelHash {
            name: name.into(),
            sha256: self.checkpoint.sha256()?,
            trained_length: self.trained_length(),
            precision: self.precision,
            parameters: Some(parameters(&self.checkpoint.config)?),
            vocabulary: Some(self.checkpoint.config.vocab_size),
            served: None,
        })
    }

    fn notes(&self) -> Vec<String> {
        self.checkpoint.notes().collect()
    }

    fn check(&self, encoding: &EncodingSpec) -> Result<Vec<String>> {
        let rope = &self.checkpoint.config.rope;
        encoding.check(rope)?;
        Ok(encoding.notes(rope))
    }

    fn follows_length(&self, encoding: &EncodingSpec) -> bool {
        encoding.follows_length(&self.checkpoint.config.rope)
    }

    fn shares_prefixes(&self, encoding: &EncodingSpec) -> bool {
        encoding.shares_prefixes(&self.checkpoint.config.rope)
    }

    fn refusal(&self, _need: Need) -> Option<String> {
        None
    }

    fn account(&self, rows: &[&EncodingEntry], longest: usize) -> Account {
        Account::Network(NetworkAccount::new(&self.checkpoint.config, rows.iter().copied(), longest))
    }

    fn connections(&self) -> Option<NonZeroUsize> {
        None
    }

    fn checkpoint(&self) -> Option<&Checkpoint> {
        Some(&self.checkpoint)
    }

    fn open<'a>(&'a self, device: &OpenDevice) -> Result<Box<dyn Reader + 'a>> {
        let network = self.checkpoint.load(&device.device, self.precision)?;
        Ok(Box::new(LocalReader { checkpoint: &self.checkpoint, network, shared: RefCell::default() }))
    }
}

/// Its network on a device.
struct LocalReader<'a> {
    checkpoint: &'a Checkpoint,
    network: Network,
    /// What the prompts before and after begin with.
    shared: RefCell<Option<Shared>>,
}

/// What was read for several prompts, under one encoding.
struct Shared {
    kind: &'static str,
    keys: toml::Table,
    prefix: Prefix,
}

/// A prompt that has been read.
struct Begun<'a> {
    decoder: Decoder<'a>,
    candidates: Vec<Vec<f64>>,
}

impl LocalReader<'_> {
    fn under<'m>(&'m self, encoding: &'m EncodingSpec) -> Result<EncodedModel<'m>> {
        let Checkpoint { config, tokenizer, .. } = self.checkpoint;
        Ok(EncodedModel { model: &self.network, config, encoding, bos: tokenizer.bos()? })
    }

    /// Reads what a prompt shares with others, unless that was read for the last one; forgets it if it is not shared.
    fn read_shared(&self, under: &EncodedModel, asked: &Asked) -> Result<()> {
        let Passage { ids, layout, .. } = &asked.prompt;
        let EncodingSpec { kind, keys, .. } = under.encoding;
        let mut shared = self.shared.borrow_mut();
        let is_same = |one: &Shared| one.kind == *kind && one.keys == *keys && one.prefix.begins(ids, layout);
        let is_shared = asked.shared >= LEAST_SHARED && under.shares_prefixes(ids.len(), asked.room);
        if is_shared && shared.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        // What was kept is freed before anything else is read.
        *shared = None;
        if is_shared {
            let prefix = under.read_prefix(ids, layout, asked.shared.min(ids.len() - 1))?;
            *shared = Some(Shared { kind, keys: keys.clone(), prefix });
        }
        Ok(())
    }

    /// Reads a prompt, and scores its candidates.
    fn begin<'m>(&'m self, encoding: &'m EncodingSpec, asked: &Asked) -> Result<Begun<'m>> {
        let Passage { ids, layout, .. } = &asked.prompt;
        let under = self.under(encoding)?;
        self.read_shared(&under, asked)?;
        let mut decoder = match &*self.shared.borrow() {
            Some(shared) => under.read_after(&shared.prefix, ids, layout.clone(), asked.room)?,
            None => under.read(ids, layout.clone(), asked.room)?,
        };
        let candidates = asked.candidates.iter().map(|ids| decoder.score(ids)).collect::<Result<_>>()?;
        Ok(Begun { decoder, candidates })
    }
}

impl Reader for LocalReader<'_> {
    fn score(
        &self,
        encoding: &EncodingSpec,
        passage: &Passage,
        detailed: bool,
    ) -> Result<(TokenScores, Option<Seen>)> {
        let under = self.under(encoding)?;
        let (scores, keys) = under.score_seeing(passage.ids, passage.layout.clone(), detailed)?;
        Ok((scores, Some(keys)))
    }

    /// Reads one prompt after another, and generates side by side.
    fn answer(&self, encoding: &EncodingSpec, asked: &[Asked]) -> Result<Vec<Result<Reply>>> {
        let (mut sequences, mut begun) = (Vec::new(), Vec::new());
        for one in asked {
            begun.push(match self.begin(encoding, one) {
                Ok(Begun { decoder, candidates }) => {
                    let keys = decoder.seen();
                    sequences.push((decoder, one.limits, one.ends));
                    Ok((candidates, keys))
                }
                Err(e) if e.kind.is_of_sample() => Err(e),
                Err(e) => return Err(e.at(&one.name)),
            });
        }
        let Checkpoint { tokenizer, end_of_sequence, .. } = self.checkpoint;
        let mut generations = generate(sequences, tokenizer, end_of_sequence)?.into_iter();
        let replies = begun.into_iter().map(|begun| {
            let (candidates, keys) = begun?;
            let generation = generations.next().expect("one of every sequence")?;
            Ok(Reply { generation, candidates, keys: Some(keys) })
        });
        Ok(replies.collect())
    }
}

/// How many numbers a network's tensors have.
fn parameters(config: &NetworkConfig) -> Result<u64> {
    let tensors = Network::tensors(config)?;
    Ok(tensors.iter().map(|(_, shape)| shape.iter().map(|&length| length as u64).product::<u64>()).sum())
}
