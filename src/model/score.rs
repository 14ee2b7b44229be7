//! Per-token loss of a sequence, with logits in chunks of positions: never `L x vocab` at once.

use burn::backend::Dispatch;
use burn::tensor::{Int, Tensor, TensorData};

use super::matrix::Matrix;
use super::network::row_blocks;
use super::{Network, RotaryTables, SequenceRows};
use crate::device::failure;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::stored::Mapped;
use crate::kernels::{InferenceKernels, is_cpu_without_gradients};
use crate::text::{TokenDetails, TokenScores};

/// What is asked about each token besides its loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    Nothing,
    /// Ranks and entropies.
    Details,
    /// This many of the most likely tokens.
    Top(usize),
}

impl Network {
    /// Scores a sequence of token ids in one causal pass.
    ///
    /// # Errors
    /// [`ErrorKind::Compute`] when the device fails, [`ErrorKind::NotFinite`] when a loss is not finite.
    pub fn score(&self, ids: &[u32], rotary: &RotaryTables) -> Result<TokenScores> {
        self.score_as(ids, rotary, More::Nothing)
    }

    /// The same, with more about each token if that is asked for.
    pub(super) fn score_as(&self, ids: &[u32], rotary: &RotaryTables, more: More) -> Result<TokenScores> {
        if ids.len() < 2 {
            return Ok(TokenScores::default());
        }
        let hidden =
            self.forward(self.ids(ids)?, &mut [SequenceRows::whole(rotary)]).slice_dim(0, 0..ids.len() - 1);
        self.losses(hidden, &ids[1..], 1, more)
    }

    /// Losses of `targets` by the hidden states that predict them, `[targets, hidden]`; `first` is the
    /// position of the first target, for the error message.
    pub(super) fn losses(
        &self,
        hidden: Tensor<2>,
        targets: &[u32],
        first: usize,
        more: More,
    ) -> Result<TokenScores> {
        let scores = match self.head() {
            // One reading of the device for all rows; its kernel does not cap logits.
            Matrix::Parts(head) if more == More::Nothing && self.logit_cap.is_none() => {
                pairs(head.target_scores(hidden, &self.ids(targets)?))?
            }
            _ => self.scores_in_chunks(hidden, targets, more)?,
        };
        Mapped::check_whole()?;
        match scores.nll.iter().position(|nll| !nll.is_finite()) {
            None => Ok(scores),
            Some(token) => Err(Error::new(ErrorKind::NotFinite, "the loss is not finite")
                .at(format_args!("token {}", token + first))
                .fix("check the checkpoint's weights; a base or factor out of range overflows too")),
        }
    }

    /// Losses from logits, some rows at a time.
    fn scores_in_chunks(&self, hidden: Tensor<2>, targets: &[u32], more: More) -> Result<TokenScores> {
        let details = (more != More::Nothing).then(TokenDetails::default);
        let mut scores = TokenScores { details, ..TokenScores::default() };
        let mut rest = targets;
        for rows in row_blocks(hidden, self.vocab_size()) {
            let targets = rest.split_off(..rows.dims()[0]).expect("a target a row");
            let (logits, ids) = (self.logits(rows), self.ids(targets)?);
            let of_chunk = chunk_scores(logits.clone(), ids.clone())?;
            if let Some(details) = &mut scores.details {
                match more {
                    More::Top(count) => {
                        let logits: Vec<f32> = read(logits.try_into_data())?;
                        let rows = logits.chunks_exact(self.vocab_size());
                        let known = targets.iter().zip(&of_chunk.nll).map(|(&id, &nll)| (id, -nll));
                        details
                            .top
                            .extend(rows.zip(known).map(|(row, known)| most_likely_with(row, known, count)));
                    }
                    _ => {
                        let (rank, entropy) = chunk_details(logits, ids)?;
                        details.rank.extend(rank);
                        details.entropy.extend(entropy);
                    }
                }
            }
            scores.nll.extend(of_chunk.nll);
            scores.correct.extend(of_chunk.correct);
        }
        Ok(scores)
    }

    /// Token ids as a tensor on the device.
    ///
    /// # Errors
    /// As [`Network::check_ids`].
    pub(super) fn ids(&self, ids: &[u32]) -> Result<Tensor<1, Int>> {
        self.check_ids(ids)?;
        let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
        let count = ids.len();
        Ok(Tensor::from_data(TensorData::new(ids, [count]), &self.device()))
    }

    /// Refuses ids that the model has no embedding for, such as a pad token that was added to the tokenizer
    /// alone.
    ///
    /// # Errors
    /// [`ErrorKind::Tokenizer`], naming the id.
    pub(super) fn check_ids(&self, ids: &[u32]) -> Result<()> {
        let embeddings = self.vocab_size();
        match ids.iter().enumerate().find(|(_, id)| **id as usize >= embeddings) {
            None => Ok(()),
            Some((token, id)) => Err(Error::new(
                ErrorKind::Tokenizer,
                format!("the text has token id {id}, and the model has {embeddings} embeddings"),
            )
            .at(format_args!("token {token}"))
            .fix("take that token out of the text, or use the tokenizer that the model was trained with")),
        }
    }
}

/// Negative log-likelihoods of `targets [rows]` under `logits [rows, vocab]`, and top-1 hits.
fn chunk_scores(logits: Tensor<2>, targets: Tensor<1, Int>) -> Result<TokenScores> {
    if is_cpu_without_gradients(&logits.device()) {
        let scores = Dispatch::target_scores(logits.into_dispatch(), targets.into_dispatch());
        return pairs(Tensor::from_dispatch(scores));
    }
    let best = logits.clone().argmax(1).squeeze_dim::<1>(1);
    let correct = best.equal(targets.clone()).int();
    let target = logits.clone().gather(1, targets.unsqueeze_dim(1));
    let max = logits.clone().max_dim(1);
    let sum = (logits - max.clone()).exp().sum_dim(1);
    let nll = (sum.log() + max - target).squeeze_dim::<1>(1);
    Ok(TokenScores {
        nll: read(nll.try_into_data())?,
        correct: read::<i32, _>(correct.try_into_data())?.iter().map(|&hit| hit != 0).collect(),
        details: None,
    })
}

/// Scores from `[rows, 2]`: the negative log-likelihood, and 1 for a hit.
fn pairs(scores: Tensor<2>) -> Result<TokenScores> {
    let scores: Vec<f32> = read(scores.try_into_data())?;
    let (nll, correct) = scores.chunks_exact(2).map(|score| (score[0], score[1] == 1.0)).unzip();
    Ok(TokenScores { nll, correct, details: None })
}

/// Ranks of `targets [rows]` under `logits [rows, vocab]`, the most likely token's being 1, and the entropies of the rows,
/// nats.
fn chunk_details(logits: Tensor<2>, targets: Tensor<1, Int>) -> Result<(Vec<u32>, Vec<f32>)> {
    let target = logits.clone().gather(1, targets.unsqueeze_dim(1));
    let above = (logits.clone() - target).greater_elem(0.0).int().sum_dim(1).squeeze_dim::<1>(1);
    let shifted = logits.clone() - logits.max_dim(1);
    let weights = shifted.clone().exp();
    let sum = weights.clone().sum_dim(1);
    // -sum p ln p with p = weight / sum.
    let entropy = (sum.clone().log() - (weights * shifted).sum_dim(1) / sum).squeeze_dim::<1>(1);
    let above: Vec<i32> = read(above.try_into_data())?;
    Ok((above.into_iter().map(|above| above as u32 + 1).collect(), read(entropy.try_into_data())?))
}

/// The first `count` of the largest logits, with their log-probabilities by that of one token.
pub(crate) fn most_likely_with(
    logits: &[f32],
    (known, logprob): (u32, f32),
    count: usize,
) -> Vec<(u32, f32)> {
    if count == 0 {
        return Vec::new();
    }
    let mut best: Vec<u32> = Vec::with_capacity(count + 1);
    for (id, logit) in (0..).zip(logits) {
        if best.len() == count && best.last().is_some_and(|&last| logits[last as usize] >= *logit) {
            continue;
        }
        // Of equal ones the first.
        let place = best.partition_point(|&other| logits[other as usize] >= *logit);
        if place < count {
            best.insert(place, id);
            best.truncate(count);
        }
    }
    let of_known = logits[known as usize];
    best.into_iter().map(|id| (id, logprob + (logits[id as usize] - of_known))).collect()
}

/// The values of a tensor, read from the device.
///
/// # Errors
/// [`ErrorKind::Compute`] when the device failed.
pub(crate) fn read<E: burn::tensor::Element, X: std::fmt::Debug>(
    data: std::result::Result<TensorData, X>,
) -> Result<Vec<E>> {
    let data = data.map_err(|e| failure(&format!("{e:?}")))?;
    data.convert::<E>().try_into_vec().map_err(|e| failure(&format!("it gave back other values: {e:?}")))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn the_most_likely_tokens_are_those_of_the_softmax() {
        let logits = [0.5f32, 3.0, -1.0, 3.0, 0.25];
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        let of = |id: usize| (f64::from(logits[id]) - sum.ln()) as f32;
        let top = most_likely_with(&logits, (4, of(4)), 3);
        assert_eq!(top.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 3, 0]);
        assert!(top.iter().all(|&(id, logprob)| (logprob - of(id as usize)).abs() < 1e-6), "{top:?}");
        assert_eq!(most_likely_with(&logits, (1, of(1)), 9).len(), 5);
    }

    #[test]
    fn ranks_and_entropies_are_those_of_their_definitions() {
        let logits = [[0.5f32, -1.0, 3.0, 0.25], [2.0, 2.0, -30.0, 1.0], [80.0, 0.0, 0.0, -80.0]];
        let targets = [0i32, 1, 3];
        let device = Device::flex();
        let rows = Tensor::from_data(TensorData::new(logits.concat(), [3, 4]), &device);
        let ids = Tensor::from_data(TensorData::new(targets.to_vec(), [3]), &device);
        let (rank, entropy) = chunk_details(rows, ids).unwrap();
        // Two tokens share the second row's largest logit: neither is below the other.
        assert_eq!(rank, [2, 1, 4]);
        for (row, entropy) in logits.iter().zip(entropy) {
            let weights: Vec<f64> = row.iter().map(|&logit| f64::from(logit).exp()).collect();
            let sum: f64 = weights.iter().sum();
            let of = |weight: &f64| if *weight > 0.0 { -(weight / sum) * (weight / sum).ln() } else { 0.0 };
            let expected: f64 = weights.iter().map(of).sum();
            assert!((f64::from(entropy) - expected).abs() < 1e-6, "{entropy} {expected}");
        }
    }
}
