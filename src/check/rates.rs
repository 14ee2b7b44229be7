//! How fast a device is at what most of the time goes into.

use std::sync::Arc;
use std::time::Instant;

use burn::backend::Dispatch;
use burn::tensor::{Device, Int, Tensor};

use super::Rate;
use crate::error::Result;
use crate::kernels::{GpuKernels, Heads, Kept, Precision, Sight, Softmax, Turn, is_gpu_without_gradients};
use crate::model::attention::RelativeAttention;
use crate::model::read;

/// Seconds that one rate may take; what would take longer is left out.
const PATIENCE: f64 = 8.0;

/// The shape of a layer of a model of 7 billion weights.
const HIDDEN: usize = 3584;
const HEADS: Heads = Heads { queries: 28, keys: 4, dim: 128 };

/// Measures products and attention at several lengths, and decoding.
pub(super) fn rates(device: &Device) -> Result<Vec<Rate>> {
    let mut rates = Vec::new();
    if is_gpu_without_gradients(device) {
        for kept in [Kept::F32, Kept::Bf16] {
            // What a small product takes says whether a large one is worth waiting for.
            let mut known = 0.0;
            for rows in [1, 64, 2048, 16_384] {
                let size = (rows * HIDDEN * HIDDEN) as f64;
                let what = format!("product of {rows} rows, {HIDDEN} x {HIDDEN}, kept as {kept:?}");
                rates.push(measured(what, size, &mut known, || product(device, kept, rows))?);
            }
        }
    }
    let mut known = 0.0;
    for tokens in [256, 2048, 8192, 16_384] {
        let size = (HEADS.queries * HEADS.dim) as f64 * (tokens as f64).powi(2);
        let what = format!("attention of {tokens} tokens, {} heads of {}", HEADS.queries, HEADS.dim);
        rates.push(measured(what, size, &mut known, || attention(device, 0, tokens))?);
    }
    known = 0.0;
    for kept in [1024, 16_384] {
        let size = (2 * HEADS.queries * HEADS.dim * kept) as f64;
        let what = format!("attention of one token to {kept} others");
        rates.push(measured(what, size, &mut known, || attention(device, kept, 1))?);
    }
    Ok(rates)
}

/// The second of two calls, if the products a second that are `known` say that it will not take too long.
fn measured(
    what: String,
    products: f64,
    known: &mut f64,
    mut call: impl FnMut() -> Result<f64>,
) -> Result<Rate> {
    if *known > 0.0 && 2.0 * products / *known > PATIENCE {
        let why = format!("it would take {:.0} s", products / *known);
        return Ok(Rate { what, seconds: None, gproducts: None, left_out: Some(why) });
    }
    call()?;
    let seconds = call()?;
    *known = products / seconds;
    Ok(Rate { what, seconds: Some(seconds), gproducts: Some(products / seconds / 1e9), left_out: None })
}

/// Seconds until one number of a result is read.
fn until_read(make: impl FnOnce() -> Tensor<2>) -> Result<f64> {
    let started = Instant::now();
    let result = make();
    let [rows, _] = result.dims();
    let _: Vec<f32> = read(result.slice([rows - 1..rows, 0..1]).try_into_data())?;
    Ok(started.elapsed().as_secs_f64())
}

/// A tensor that is there, and not only promised.
fn ready<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // What goes wrong shows when the result is read.
    let _ = x.device().sync();
    x
}

fn product(device: &Device, kept: Kept, rows: usize) -> Result<f64> {
    let x = ready(Tensor::<2>::ones([rows, HIDDEN], device));
    let words = Tensor::<2, Int>::zeros([HIDDEN, HIDDEN / kept.values_per_word()], device);
    let _ = device.sync();
    until_read(|| {
        Tensor::from_dispatch(Dispatch::packed_product(x.into_dispatch(), words.into_dispatch(), kept))
    })
}

fn attention(device: &Device, first: usize, tokens: usize) -> Result<f64> {
    let keys = first + tokens;
    let ones = |rows: usize, heads: usize| ready(Tensor::<2>::ones([rows, heads * HEADS.dim], device));
    let turn = Some(Turn { query: 0, key: 0 });
    let sight = Arc::new(Sight::new(first..keys, keys).with_zone(vec![0; tokens], 0, turn));
    let attention = RelativeAttention {
        queries: vec![ones(tokens, HEADS.queries)],
        keys: vec![ones(keys, HEADS.keys)],
        value: ones(keys, HEADS.keys),
        heads: HEADS,
        sight,
        softmax: Softmax::default(),
        lost: 0..0,
    };
    until_read(|| attention.compute(Precision::F32))
}
