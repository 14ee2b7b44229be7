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
use crate::text::TokenScores;

impl Network {
    /// Scores a sequence of token ids in one causal pass.
    ///
    /// # Errors
    /// [`ErrorKind::Compute`] when the device fails, [`ErrorKind::NotFinite`] when a loss is not finite.
    pub fn score(&self, ids: &[u32], rotary: &RotaryTables) -> Result<TokenScores> {
        if ids.len() < 2 {
            return Ok(TokenScores::default());
        }
        let hidden =
            self.forward(self.ids(ids)?, &mut [SequenceRows::whole(rotary)]).slice_dim(0, 0..ids.len() - 1);
        self.losses(hidden, &ids[1..], 1)
    }

    /// Losses of `targets` by the hidden states that predict them, `[targets, hidden]`; `first` is the
    /// position of the first target, for the error message.
    pub(super) fn losses(&self, hidden: Tensor<2>, targets: &[u32], first: usize) -> Result<TokenScores> {
        let scores = match self.head() {
            // One reading of the device for all rows.
            Matrix::Parts(head) => pairs(head.target_scores(hidden, &self.ids(targets)?))?,
            _ => self.scores_in_chunks(hidden, targets)?,
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
    fn scores_in_chunks(&self, hidden: Tensor<2>, targets: &[u32]) -> Result<TokenScores> {
        let mut scores = TokenScores::default();
        let mut rest = targets;
        for rows in row_blocks(hidden, self.vocab_size()) {
            let targets = rest.split_off(..rows.dims()[0]).expect("a target a row");
            let of_chunk = chunk_scores(self.logits(rows), self.ids(targets)?)?;
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
    })
}

/// Scores from `[rows, 2]`: the negative log-likelihood, and 1 for a hit.
fn pairs(scores: Tensor<2>) -> Result<TokenScores> {
    let scores: Vec<f32> = read(scores.try_into_data())?;
    let (nll, correct) = scores.chunks_exact(2).map(|score| (score[0], score[1] == 1.0)).unzip();
    Ok(TokenScores { nll, correct })
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
