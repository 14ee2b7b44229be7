//! Every kernel and its gradients, compared with burn's tensor operations and their gradients.

use burn::backend::Dispatch;
use burn::tensor::activation::silu;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::training::{causal_attention, cross_entropy};
use crate::kernels::{DifferentiableKernels, Heads};

fn device() -> Device {
    Device::flex().autodiff()
}

/// Values of variance 1; the same in every run, different for each seed.
fn random<const D: usize>(seed: u64, shape: [usize; D]) -> Tensor<D> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let values = (0..shape.iter().product()).map(|_| random.random_range(-1.732f32..1.732)).collect();
    Tensor::from_data(TensorData::new(values, shape), &device()).require_grad()
}

/// cos and sin of any angles, of queries with the logit scale and of keys: `[4, length, pairs]`.
fn rotations(length: usize, pairs: usize) -> Tensor<3> {
    let angles = random(9, [1, length, 2 * pairs]).detach().mul_scalar(2.0);
    let [query, key] = [0, pairs].map(|first| angles.clone().slice_dim(2, first..first + pairs));
    let scale = 1.0 / ((2 * pairs) as f32).sqrt();
    let query = [query.clone().cos().mul_scalar(scale), query.sin().mul_scalar(scale)];
    Tensor::cat([query, [key.clone().cos(), key.sin()]].concat(), 0)
}

/// The gradients of a scalar made from `output` by each of `inputs`, one vector each.
fn gradients<const D: usize>(output: Tensor<D>, inputs: &[Tensor<2>]) -> Vec<Vec<f32>> {
    // A weight of its own for each element, so that no gradient is lost in a sum.
    let count = output.shape().num_elements();
    let weights: Vec<f32> = (0..count).map(|n| ((n * 7919) % 17) as f32 / 17.0 - 0.4).collect();
    let weights = Tensor::<1>::from_data(TensorData::new(weights, [count]), &device());
    let gradients = (output.reshape([count]) * weights).sum().backward();
    inputs.iter().map(|input| values(input.grad(&gradients).unwrap())).collect()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

fn assert_close(name: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let largest = theirs.iter().fold(0.0, |a: f32, b| a.max(b.abs()));
    let error = ours.iter().zip(theirs).fold(0.0, |a: f32, (b, c)| a.max((b - c).abs()));
    println!("{name}: {error:e} of {largest:e}");
    assert!(error <= 2e-6 * largest.max(1.0), "{name}: {error:e} of {largest:e}");
}

/// Checks that both give the same values and gradients.
fn compare<const D: usize>(name: &str, inputs: &[Tensor<2>], ours: Tensor<D>, theirs: Tensor<D>) {
    assert_close(name, &values(ours.clone()), &values(theirs.clone()));
    let (ours, theirs) = (gradients(ours, inputs), gradients(theirs, inputs));
    for (n, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        assert_close(&format!("{name}, gradient {n}"), ours, theirs);
    }
}

#[test]
fn linear() {
    let inputs = [random(0, [37, 24]), random(1, [10, 24])];
    let [x, weight] = inputs.clone();
    let ours = Dispatch::linear(x.clone().into_dispatch(), weight.clone().into_dispatch());
    compare("linear", &inputs, Tensor::<2>::from_dispatch(ours), x.matmul(weight.transpose()));
}

#[test]
fn silu_product() {
    let inputs = [random(0, [300, 70]).mul_scalar(4.0).detach().require_grad(), random(1, [300, 70])];
    let [gate, up] = inputs.clone();
    let ours = Dispatch::silu_product(gate.clone().into_dispatch(), up.clone().into_dispatch());
    compare("silu_product", &inputs, Tensor::<2>::from_dispatch(ours), silu(gate) * up);
}

#[test]
fn rms_norm() {
    // More rows than a task has.
    let inputs = [random(0, [700, 50]), random(1, [1, 50])];
    let [x, weight] = inputs.clone();
    let flat = weight.clone().reshape([50]);
    let ours = Dispatch::rms_norm(x.clone().into_dispatch(), flat.into_dispatch(), 1e-5);
    let variance = x.clone().square().mean_dim(1);
    let theirs = x * variance.add_scalar(1e-5).sqrt().recip() * weight;
    compare("rms_norm", &inputs, Tensor::<2>::from_dispatch(ours), theirs);
}

#[test]
fn attention() {
    // Several blocks of queries a sequence, one of them cut; groups of one, of all, and between.
    for (queries, keys, length) in [(1, 1, 5), (3, 1, 150), (4, 2, 70), (2, 2, 260)] {
        let (heads, sequences) = (Heads { queries, keys, dim: 8 }, 3);
        let rows = sequences * length;
        let inputs =
            [random(0, [rows, queries * 8]), random(1, [rows, keys * 8]), random(2, [rows, keys * 8])];
        let tables = rotations(length, 4);
        let [query, key, value] = inputs.clone().map(Tensor::into_dispatch);
        let ours = Dispatch::causal_attention(query, key, value, tables.clone().into_dispatch(), heads);
        let theirs = causal_attention(&tables, inputs.clone(), heads);
        compare(&format!("attention {heads:?}"), &inputs, Tensor::<2>::from_dispatch(ours), theirs);
    }
}

#[test]
fn loss() {
    // More rows than a chunk has.
    let inputs = [random(0, [600, 12]), random(1, [90, 12])];
    let targets: Vec<i32> = (0..600).map(|n| n * 37 % 90).collect();
    let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [600]), &device());
    let [hidden, head] = inputs.clone();
    let ours = Dispatch::cross_entropy(
        hidden.clone().into_dispatch(),
        head.clone().into_dispatch(),
        targets.clone().into_dispatch(),
    );
    let ours = Tensor::<1>::from_dispatch(ours);
    let inner = Dispatch::cross_entropy(
        hidden.clone().inner().into_dispatch(),
        head.clone().inner().into_dispatch(),
        targets.clone().inner().into_dispatch(),
    );
    assert_close("loss without gradients", &values(Tensor::<1>::from_dispatch(inner)), &values(ours.clone()));
    compare("loss", &inputs, ours, cross_entropy(hidden, &head, targets));
}
