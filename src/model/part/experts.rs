//! A layer's experts: feed-forward parts of which each row goes through a few.

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};

use super::feed_forward::Gated;
use super::linear::Linear;
use super::router::Router;
use crate::checkpoint::{ExpertsConfig, GateActivation, NetworkConfig, SharedExpertConfig};
use crate::error::Result;
use crate::kernels::{Assigned, ExpertGate, InferenceKernels, Precision, StoredExpert};
use crate::model::matrix::{Matrix, Rows};
use crate::model::weights::{TensorRows, Weights};

/// A mixture of experts (Shazeer et al. 2017): the sum of a few experts, by their router's weights, and of
/// one that every row goes through.
#[derive(Module, Debug)]
pub(in crate::model) struct Experts {
    router: Router,
    experts: Held,
    shared: Option<SharedExpert>,
    #[module(skip)]
    widest: usize,
}

#[derive(Module, Debug)]
enum Held {
    /// As tensors of a device.
    Tensors(Vec<Gated>),
    /// On the CPU, as the checkpoint stores them.
    Stored(StoredExperts),
}

#[derive(Module, Debug)]
struct StoredExperts {
    #[module(skip)]
    experts: Arc<[StoredExpert]>,
    #[module(skip)]
    precision: Precision,
}

#[derive(Module, Debug)]
struct SharedExpert {
    part: Gated,
    /// Each row's factor on the part's result, before a sigmoid; none if it is 1.
    gate: Option<Linear>,
}

/// Names of the part, and of its router in it.
const PARTS: [(&str, &str); 5] = [
    ("mlp", "gate"),
    ("mlp", "router"),
    ("block_sparse_moe", "gate"),
    ("block_sparse_moe", "router.layer"),
    ("block_sparse_moe", "router"),
];
/// Names of the gate, up and down maps of each expert, below `experts.NUMBER`.
const EACH: [[&str; 3]; 2] = [["gate_proj", "up_proj", "down_proj"], ["w1", "w3", "w2"]];
/// Names of all experts' maps in two stacks, gate over up and down.
const STACKS: [[&str; 2]; 3] = [
    ["experts.gate_up_proj", "experts.down_proj"],
    ["experts.gate_up_proj.weight", "experts.down_proj.weight"],
    ["input_linear.weight", "output_linear.weight"],
];
/// Names of all experts' gate, up and down maps in a stack each, as in GGUF files.
const THREE_STACKS: [&str; 3] =
    ["experts.gate_proj.weight", "experts.up_proj.weight", "experts.down_proj.weight"];
/// Names of the shared expert.
const SHARED: [&str; 2] = ["shared_expert", "shared_experts"];

impl Experts {
    /// The experts of the layer with that name, in whichever of the known layouts its tensors are.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Model`], naming the tensor that is missing or has another shape.
    pub(super) fn load(
        layer: &str,
        config: &NetworkConfig,
        experts: &ExpertsConfig,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<Experts> {
        let hidden = config.hidden_size;
        let names = |(part, router): (&str, &str)| (format!("{layer}.{part}"), router.to_string());
        let parts = PARTS.map(names);
        let is_there = |(path, router): &&(String, String)| weights.has(&format!("{path}.{router}.weight"));
        let (path, router) = parts.iter().find(is_there).unwrap_or(&parts[0]);
        let shape = [experts.count, hidden];
        let by_turns = matches!(config.gate, GateActivation::Clamped { .. });
        // Of other families the biases are those of the dense layers.
        let bias = by_turns && config.biases.feed_forward;
        let router = Router::load(path, router, shape, experts.router, bias, weights, device)?;
        let stacks = if by_turns { turned_stacks(path, hidden, experts, weights, device)? } else { None };
        let matrices = match stacks {
            Some(matrices) => matrices,
            None => matrices(path, hidden, experts, weights, device)?,
        };
        let biases = if bias { biases(path, hidden, experts, weights)? } else { Vec::new() };
        let shared = experts.shared.map(|shared| SharedExpert::load(path, hidden, shared, weights, device));
        let of_shared = experts.shared.map_or(0, |shared| shared.intermediate_size);
        let widest = hidden.max(experts.intermediate_size).max(of_shared);
        let experts = Held::of(matrices, &biases, config.gate, device);
        Ok(Experts { router, experts, shared: shared.transpose()?, widest })
    }

    /// Width of the widest rows that it makes.
    pub(super) fn widest(&self) -> usize {
        self.widest
    }

    /// `x` and the result are `[rows, hidden]`.
    pub(super) fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let assigned = self.router.assign(x.clone());
        let routed = match &self.experts {
            Held::Stored(StoredExperts { experts, precision }) => Tensor::from_dispatch(Dispatch::experts(
                x.clone().into_dispatch(),
                assigned.into(),
                experts.clone(),
                *precision,
            )),
            Held::Tensors(experts) => forward_each(experts, &x, &assigned),
        };
        match &self.shared {
            Some(shared) => routed + shared.forward(x),
            None => routed,
        }
    }
}

/// The kernel of stored experts, in tensor operations.
fn forward_each(experts: &[Gated], x: &Tensor<2>, assigned: &[Assigned]) -> Tensor<2> {
    let device = x.device();
    assigned.iter().fold(x.zeros_like(), |sum, assigned| {
        let count = assigned.rows.len();
        let rows: Vec<i32> = assigned.rows.iter().map(|&row| row as i32).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &device);
        let weights = Tensor::<2>::from_data(TensorData::new(assigned.weights.clone(), [count, 1]), &device);
        let made = experts[assigned.expert].forward(&Rows::new(x.clone().select(0, rows.clone())));
        sum.select_assign(0, rows, made * weights, IndexingUpdateOp::Add)
    })
}

/// A tensor in which the same maps of all experts are stacked.
struct Stack {
    name: String,
    /// Rows of each of an expert's maps in it.
    maps: Vec<TensorRows>,
    columns: usize,
}

/// The stacks that a checkpoint has; none if it has a tensor an expert.
fn stacks(path: &str, hidden: usize, inner: usize, weights: &Weights) -> Option<Vec<Stack>> {
    let named = |name: &str| format!("{path}.{name}");
    let stack = |name: &str, maps: &[usize], columns| Stack {
        name: named(name),
        maps: maps.iter().map(|&rows| TensorRows::rows(rows)).collect(),
        columns,
    };
    let [gate, up, down] = THREE_STACKS;
    if weights.has(&named(gate)) {
        return Some(vec![
            stack(gate, &[inner], hidden),
            stack(up, &[inner], hidden),
            stack(down, &[hidden], inner),
        ]);
    }
    let [gate_up, down] = STACKS.iter().find(|[gate_up, _]| weights.has(&named(gate_up)))?;
    Some(vec![stack(gate_up, &[inner, inner], hidden), stack(down, &[hidden], inner)])
}

/// Each expert's gate, up and down map where gate and up are by turns in one stack (gpt-oss): the maps themselves in
/// MXFP4, or transposed. None if a file has a stack each, as GGUF files do.
fn turned_stacks(
    path: &str,
    hidden: usize,
    config: &ExpertsConfig,
    weights: &mut Weights,
    device: &Device,
) -> Result<Option<Vec<[Matrix; 3]>>> {
    let (count, inner) = (config.count, config.intermediate_size);
    let names = ["gate_up_proj", "down_proj"].map(|name| format!("{path}.experts.{name}"));
    if weights.has(&format!("{path}.{}", THREE_STACKS[0])) {
        return Ok(None);
    }
    let by_turns = [TensorRows::every_second(inner, 0), TensorRows::every_second(inner, 1)];
    let mut stack = |name: &str, rows: usize, columns: usize, pieces: &[TensorRows]| {
        weights.take_turned_stack(name, [count, rows, columns], pieces, device)
    };
    let both = stack(&names[0], 2 * inner, hidden, &by_turns)?;
    let down = stack(&names[1], hidden, inner, &[TensorRows::rows(hidden)])?;
    let experts = both.into_iter().zip(down).map(|(mut maps, down)| {
        maps.extend(down);
        maps.try_into().expect("three maps an expert")
    });
    Ok(Some(experts.collect()))
}

/// Each expert's gate, up and down map.
fn matrices(
    path: &str,
    hidden: usize,
    config: &ExpertsConfig,
    weights: &mut Weights,
    device: &Device,
) -> Result<Vec<[Matrix; 3]>> {
    let (count, inner) = (config.count, config.intermediate_size);
    let Some(stacks) = stacks(path, hidden, inner, weights) else {
        let expert = |n: usize| format!("{path}.experts.{n}");
        let names = EACH.iter().find(|[gate, ..]| weights.has(&format!("{}.{gate}.weight", expert(0))));
        let shapes = [[inner, hidden], [inner, hidden], [hidden, inner]];
        let mut matrix = |n, name: &str, shape| {
            weights.take_matrix(&format!("{}.{name}.weight", expert(n)), shape, device)
        };
        let [gate, up, down] = names.unwrap_or(&EACH[0]);
        return (0..count)
            .map(|n| {
                Ok([matrix(n, gate, shapes[0])?, matrix(n, up, shapes[1])?, matrix(n, down, shapes[2])?])
            })
            .collect();
    };
    let mut experts: Vec<Vec<Matrix>> = (0..count).map(|_| Vec::new()).collect();
    for Stack { name, maps, columns } in stacks {
        let taken = weights.take_stack(&name, count, &maps, columns, device)?;
        experts.iter_mut().zip(taken).for_each(|(expert, maps)| expert.extend(maps));
    }
    Ok(experts.into_iter().map(|maps| maps.try_into().expect("three maps an expert")).collect())
}

/// The biases of each expert's three maps.
fn biases(
    path: &str,
    hidden: usize,
    config: &ExpertsConfig,
    weights: &mut Weights,
) -> Result<Vec<[Vec<f32>; 3]>> {
    let (count, inner) = (config.count, config.intermediate_size);
    let [gate, up, down] = THREE_STACKS.map(|name| format!("{path}.{}", name.replace(".weight", ".bias")));
    let rows = |numbers: Vec<f32>, width: usize| -> Vec<Vec<f32>> {
        numbers.chunks_exact(width).map(<[f32]>::to_vec).collect()
    };
    let there = weights.has(&gate);
    let mut take = |name: &str, width: usize| Ok(rows(weights.take_numbers(name, &[count, width])?, width));
    if there {
        let (gate, up, down) = (take(&gate, inner)?, take(&up, inner)?, take(&down, hidden)?);
        return Ok(gate.into_iter().zip(up).zip(down).map(|((gate, up), down)| [gate, up, down]).collect());
    }
    let both = take(&format!("{path}.experts.gate_up_proj_bias"), 2 * inner)?;
    let down = take(&format!("{path}.experts.down_proj_bias"), hidden)?;
    let every_second =
        |numbers: &[f32], first: usize| numbers.iter().skip(first).step_by(2).copied().collect();
    let parts = both.iter().zip(down);
    Ok(parts.map(|(both, down)| [every_second(both, 0), every_second(both, 1), down]).collect())
}

impl Held {
    fn of(
        experts: Vec<[Matrix; 3]>,
        biases: &[[Vec<f32>; 3]],
        activation: GateActivation,
        device: &Device,
    ) -> Held {
        let gate = match activation {
            GateActivation::Silu => Some(ExpertGate::Silu),
            GateActivation::Clamped { alpha, limit } => {
                Some(ExpertGate::Clamped { alpha: alpha as f32, limit: limit as f32 })
            }
            GateActivation::GeluTanh => None,
        };
        let stored = |(number, matrices): (usize, &[Matrix; 3])| {
            let [Some(gate_proj), Some(up), Some(down)] = matrices.each_ref().map(Matrix::stored) else {
                return None;
            };
            let biases = biases.get(number).cloned();
            Some(StoredExpert { gate: gate_proj, up, down, biases, activation: gate? })
        };
        let precision = experts.first().and_then(|[gate, ..]| gate.precision());
        match (experts.iter().enumerate().map(stored).collect::<Option<Vec<_>>>(), precision) {
            (Some(experts), Some(precision)) => {
                Held::Stored(StoredExperts { experts: experts.into(), precision })
            }
            _ => {
                let gated = |(number, matrices): (usize, [Matrix; 3])| {
                    let mut maps = matrices.into_iter().enumerate().map(|(map, weight)| {
                        Linear::of(weight, biases.get(number).map(|biases| &biases[map][..]), device)
                    });
                    let mut next = || maps.next().expect("three maps an expert");
                    Gated::of([next(), next(), next()], activation)
                };
                Held::Tensors(experts.into_iter().enumerate().map(gated).collect())
            }
        }
    }
}

impl SharedExpert {
    fn load(
        path: &str,
        hidden: usize,
        config: SharedExpertConfig,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<SharedExpert> {
        let names = SHARED.map(|name| format!("{path}.{name}"));
        let is_there = |name: &&String| weights.has(&format!("{name}.gate_proj.weight"));
        let name = names.iter().find(is_there).unwrap_or(&names[0]);
        let shape = [config.intermediate_size, hidden];
        let part = Gated::load(name, shape, false, GateActivation::Silu, weights, device)?;
        let gate = format!("{path}.shared_expert_gate");
        let gate = config.gated.then(|| Linear::load(&gate, [1, hidden], false, weights, device));
        Ok(SharedExpert { part, gate: gate.transpose()? })
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = Rows::new(x);
        let made = self.part.forward(&x);
        match &self.gate {
            Some(gate) => made * sigmoid(gate.forward(&x)),
            None => made,
        }
    }
}
