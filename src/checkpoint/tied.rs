//! Output heads of tied models: the config says that the head is the embedding, and the files may know
//! better.

use rayon::prelude::*;

use super::TensorSource;
use crate::error::Result;
use crate::kernels::stored::StoredTensor;

/// What the names of a network's parts begin with.
pub(crate) const PARTS: &str = "model.";
/// The embedding.
pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
/// The output head.
pub(crate) const HEAD: &str = "lm_head.weight";

/// Whether files hold both embedding and head, with different values: a head that was trained or merged
/// separately. transformers 5 then keeps both, whatever `tie_word_embeddings` says.
///
/// # Errors
/// [`crate::error::ErrorKind::Model`], naming file and tensor, for a type that cannot be read.
pub(super) fn has_own_head(source: &dyn TensorSource) -> Result<bool> {
    let [embedding, head] = [EMBEDDING, HEAD].map(|name| source.own_name(name));
    let names = source.names();
    if !(names.contains(&embedding) && names.contains(&head)) {
        return Ok(false);
    }
    Ok(!same(&source.tensor(&embedding)?, &source.tensor(&head)?))
}

/// Whether two tensors hold the same values.
fn same(one: &StoredTensor, other: &StoredTensor) -> bool {
    if one.shape != other.shape || one.shape.len() != 2 {
        return false;
    }
    if one.format == other.format {
        return one.bytes[..] == other.bytes[..];
    }
    let columns = one.columns();
    (0..one.shape[0]).into_par_iter().all(|row| {
        let mut values = [vec![0.0; columns], vec![0.0; columns]];
        one.decode_rows(row..row + 1, &mut values[0]);
        other.decode_rows(row..row + 1, &mut values[1]);
        values[0] == values[1]
    })
}
