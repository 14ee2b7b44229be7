//! Every kernel in every form against its definition in float64.

use std::sync::Arc;

use burn::backend::Dispatch;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::Held;
use crate::error::Result;
use crate::kernels::stored::{Bytes, Format, StoredTensor};
use crate::kernels::{GpuKernels, Heads, Kept, Precision, Sight, Softmax, Turn, is_gpu_without_gradients};
use crate::model::attention::RelativeAttention;
use crate::model::read;

/// Relative to the size of the results.
const BOUND: f64 = 1e-5;

/// Checks what the device has: attention everywhere, the kernels of packed weights and of rows on a GPU.
pub(super) fn kernels(device: &Device) -> Result<Vec<Held>> {
    let mut held = Vec::new();
    if is_gpu_without_gradients(device) {
        for kept in [Kept::F32, Kept::F16, Kept::Bf16] {
            for rows in [1, 3, 8, 9, 130] {
                held.push(product(device, kept, rows)?);
            }
            held.push(head(device, kept)?);
        }
        held.extend(norms(device)?);
        held.push(turned(device)?);
    }
    for dim in [64, 80, 96, 128, 256] {
        for (first, tokens, group) in [(0, 150, 3), (700, 1, 1), (700, 2, 8)] {
            held.push(attention(device, dim, first, tokens, group)?);
        }
    }
    Ok(held)
}

/// Numbers between -1 and 1 that every machine makes alike.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / (1 << 23) as f32) - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn tensor(values: &[f32], shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// The largest difference, relative to the largest number.
fn worst(what: String, found: Tensor<2>, expected: &[f64]) -> Result<Held> {
    let found: Vec<f32> = read(found.try_into_data())?;
    let size = expected.iter().fold(0.0, |size: f64, one| size.max(one.abs()));
    let difference = |(found, expected): (&f32, &f64)| {
        // A NaN is further off than anything.
        let difference = (f64::from(*found) - expected).abs() / size;
        if difference.is_nan() { f64::MAX } else { difference }
    };
    let right_count = found.len() == expected.len();
    let worst = found.iter().zip(expected).map(difference).fold(0.0, f64::max);
    Ok(Held { what, worst: if right_count { worst } else { f64::MAX }, bound: BOUND })
}

/// A weight `[outer, inner]` as it is kept, its words, and its values.
fn weight(kept: Kept, outer: usize, inner: usize, device: &Device) -> (Tensor<2, Int>, Vec<f32>) {
    let format = match kept {
        Kept::F32 => Format::f32(),
        Kept::F16 => Format::f16(),
        Kept::Bf16 => Format::bf16(),
    };
    let values = numbers(7, outer * inner);
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| match kept {
            Kept::F32 => value.to_le_bytes().to_vec(),
            Kept::F16 => half::f16::from_f32(*value).to_le_bytes().to_vec(),
            Kept::Bf16 => half::bf16::from_f32(*value).to_le_bytes().to_vec(),
        })
        .collect();
    let stored = StoredTensor {
        file: "check".into(),
        shape: vec![outer, inner],
        format,
        bytes: Bytes::Owned(bytes.into()),
    };
    let words = TensorData::new(kept.words(&stored), [outer, inner / kept.values_per_word()]);
    (Tensor::from_data(words, device), stored.values())
}

fn product(device: &Device, kept: Kept, rows: usize) -> Result<Held> {
    let (outer, inner) = (91, 132);
    let (words, values) = weight(kept, outer, inner, device);
    let x = numbers(3, rows * inner);
    let found = Dispatch::packed_product(
        tensor(&x, [rows, inner], device).into_dispatch(),
        words.into_dispatch(),
        kept,
    );
    let expected: Vec<f64> =
        x.chunks(inner).flat_map(|x| values.chunks(inner).map(|weight| dot(x, weight))).collect();
    worst(
        format!("product of {rows} rows and a weight kept as {kept:?}"),
        Tensor::from_dispatch(found),
        &expected,
    )
}

fn head(device: &Device, kept: Kept) -> Result<Held> {
    let (rows, outer, inner, first) = (70, 1100, 36, 5);
    let (words, values) = weight(kept, outer, inner, device);
    let x = numbers(4, rows * inner);
    let targets: Vec<i32> = (0..rows).map(|row| (first + row * 13 % outer) as i32).collect();
    let of_targets = || Tensor::<1, Int>::from_data(&targets[..], device).into_dispatch();
    let parts = Dispatch::packed_head(
        tensor(&x, [rows, inner], device).into_dispatch(),
        words.into_dispatch(),
        of_targets(),
        kept,
        first,
    );
    let found = Tensor::from_dispatch(Dispatch::joined_head(parts, of_targets()));
    let expected: Vec<f64> = x
        .chunks(inner)
        .zip(&targets)
        .flat_map(|(x, target)| {
            let logits: Vec<f64> = values.chunks(inner).map(|weight| dot(x, weight)).collect();
            let largest = logits.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
            let logit = logits[*target as usize - first];
            [sum.ln() + largest - logit, if logit == largest { 1.0 } else { 0.0 }]
        })
        .collect();
    worst(format!("losses by a head kept as {kept:?}"), found, &expected)
}

fn norms(device: &Device) -> Result<[Held; 2]> {
    let (rows, width, epsilon) = (37, 200, 1e-5);
    let (x, weight, bias) = (numbers(1, rows * width), numbers(2, width), numbers(3, width));
    let vector = |values: &[f32]| Tensor::<1>::from_data(values, device).into_dispatch();
    let of_x = || tensor(&x, [rows, width], device).into_dispatch();
    let expected = |centred: bool| -> Vec<f64> {
        let of_row = |x: &[f32]| -> Vec<f64> {
            let mean =
                if centred { x.iter().copied().map(f64::from).sum::<f64>() / width as f64 } else { 0.0 };
            let squares: f64 = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum();
            let size = (squares / width as f64 + epsilon).sqrt();
            let bias = |n: usize| if centred { f64::from(bias[n]) } else { 0.0 };
            x.iter()
                .enumerate()
                .map(|(n, x)| (f64::from(*x) - mean) / size * f64::from(weight[n]) + bias(n))
                .collect()
        };
        x.chunks(width).flat_map(of_row).collect()
    };
    let plain = Dispatch::norm_rows(of_x(), vector(&weight), epsilon);
    let centred = Dispatch::norm_centred_rows(of_x(), vector(&weight), vector(&bias), epsilon);
    Ok([
        worst("root mean square norm".into(), Tensor::from_dispatch(plain), &expected(false))?,
        worst("layer norm".into(), Tensor::from_dispatch(centred), &expected(true))?,
    ])
}

fn turned(device: &Device) -> Result<Held> {
    let (rows, heads, half) = (13, 3, 20);
    let (x, tables) = (numbers(1, rows * heads * 2 * half), numbers(2, 4 * rows * half));
    let of_tables: Tensor<3> = Tensor::from_data(TensorData::new(tables.clone(), [4, rows, half]), device);
    let of_x = tensor(&x, [rows, heads * 2 * half], device);
    let found = Dispatch::turned_rows(of_x.into_dispatch(), of_tables.into_dispatch(), 1);
    let mut expected = vec![0.0; x.len()];
    for (head, values) in x.chunks(2 * half).enumerate() {
        for p in 0..half {
            let at = |table: usize| f64::from(tables[(table * rows + head / heads) * half + p]);
            let (a, b) = (f64::from(values[p]), f64::from(values[p + half]));
            expected[head * 2 * half + p] = a * at(2) - b * at(3);
            expected[head * 2 * half + half + p] = b * at(2) + a * at(3);
        }
    }
    worst("rotation".into(), Tensor::from_dispatch(found), &expected)
}

/// Causal attention of `tokens` rows after `first` others.
fn attention(device: &Device, dim: usize, first: usize, tokens: usize, group: usize) -> Result<Held> {
    let kv_heads = 2;
    let heads = Heads { queries: group * kv_heads, keys: kv_heads, dim };
    let (rows, keys) = (tokens, first + tokens);
    let query: Vec<f32> = numbers(1, rows * heads.queries * dim).iter().map(|x| 0.3 * x).collect();
    let (key, value) = (numbers(2, keys * kv_heads * dim), numbers(3, keys * kv_heads * dim));
    let turn = Some(Turn { query: 0, key: 0 });
    let sight = Arc::new(Sight::new(first..keys, keys).with_zone(vec![0; rows], 0, turn));
    let found = RelativeAttention {
        queries: vec![tensor(&query, [rows, heads.queries * dim], device)],
        keys: vec![tensor(&key, [keys, kv_heads * dim], device)],
        value: tensor(&value, [keys, kv_heads * dim], device),
        heads,
        sight,
        softmax: Softmax::default(),
        lost: 0..0,
    }
    .compute(Precision::F32);
    let mut expected = Vec::new();
    for (number, query) in query.chunks(dim).enumerate() {
        let (row, head) = (number / heads.queries, number % heads.queries / group);
        let at = |key: usize| (key * kv_heads + head) * dim..(key * kv_heads + head + 1) * dim;
        let scores: Vec<f64> = (0..=first + row).map(|n| dot(query, &key[at(n)])).collect();
        let largest = scores.iter().copied().fold(f64::MIN, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        expected.extend((0..dim).map(|p| {
            let values = weights.iter().enumerate();
            values.map(|(n, weight)| weight * f64::from(value[at(n).start + p])).sum::<f64>() / total
        }));
    }
    worst(format!("attention, heads of {dim}, {tokens} x {group} rows, {keys} keys"), found, &expected)
}
