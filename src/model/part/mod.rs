//! The parts of a layer, each with the forms that families need.

mod feed_forward;
mod linear;
mod norm;

pub(super) use feed_forward::FeedForward;
pub(super) use linear::Linear;
pub(super) use norm::Norm;
