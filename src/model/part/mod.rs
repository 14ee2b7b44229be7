//! The parts of a layer, each with the forms that families need.

mod experts;
mod feed_forward;
mod latent;
mod linear;
mod norm;
mod router;

pub(super) use feed_forward::FeedForward;
pub(super) use latent::Latent;
pub(super) use linear::Linear;
pub(super) use norm::Norm;
