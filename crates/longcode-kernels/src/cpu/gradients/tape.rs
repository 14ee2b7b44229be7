//! A node of burn's graph whose backward pass is a function.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};

/// Computes the gradients of the inputs from what was saved and the output's gradient, as stored in memory.
type Reverse<S, const N: usize> = fn(S, FloatTensor<Flex>) -> [FloatTensor<Flex>; N];

#[derive(Debug)]
struct Step<S, const N: usize>(Reverse<S, N>);

impl<S, const N: usize> Backward<Flex, N> for Step<S, N>
where
    S: Clone + Send + std::fmt::Debug + 'static,
{
    type State = S;

    fn backward(self, ops: Ops<S, N>, grads: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        for (parent, grad) in ops.parents.into_iter().zip((self.0)(ops.state, grad)) {
            if let Some(parent) = parent {
                grads.register::<Flex>(parent.id, grad);
            }
        }
    }
}

/// Records an operation that made `output` from `inputs` on the tape.
pub(super) fn record<C: CheckpointStrategy, S, const N: usize>(
    inputs: [NodeGuard; N],
    output: FloatTensor<Flex>,
    saved: S,
    reverse: Reverse<S, N>,
) -> FloatTensor<Autodiff<Flex, C>>
where
    S: Clone + Send + std::fmt::Debug + 'static,
{
    match Step(reverse).prepare::<C>(inputs).compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(saved, output),
        OpsKind::UnTracked(step) => step.finish(output),
    }
}
