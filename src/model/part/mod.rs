//! What a layer is put together from, each with the forms that families give it.

mod feed_forward;
mod linear;
mod norm;

pub(super) use feed_forward::FeedForward;
pub(super) use linear::Linear;
pub(super) use norm::Norm;
