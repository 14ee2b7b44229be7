//! Decoding with a cache, on the CPU backend. tests/wgpu.rs runs the same checks through wgpu.

use crate::common::decoding::{
    Case, SPECS, check_batches, check_cache_size, check_causal, check_every_kind, check_families,
    check_token_by_token, tiny, tiny_in_tensor_operations,
};
use burn::tensor::Device;
use longcode::encoding::{Context, EncodingSpec, KINDS};
use longcode::model::prefix::shared_tokens;
use longcode::model::{Decoder, EncodedModel};
use longcode::structure::Layout;
use proptest::prelude::*;

#[test]
fn token_by_token_is_the_whole_for_every_kind() {
    check_every_kind(&Device::flex());
}

#[test]
fn token_by_token_is_the_whole_for_every_family() {
    check_families(&Device::flex());
}

#[test]
fn every_kind_is_checked() {
    // A table is of a file, which stands for another kind; tests/program/table.rs has its losses.
    for kind in KINDS.iter().filter(|kind| kind.name != "table") {
        let is_it = |spec: &&str| spec.split(':').next() == Some(kind.name);
        assert!(SPECS.iter().any(is_it), "no case of {}", kind.name);
    }
}

#[test]
fn no_token_changes_a_logit_before_it_for_any_kind() {
    check_causal(&tiny(&Device::flex()));
}

#[test]
fn nor_by_tensor_operations() {
    check_causal(&tiny_in_tensor_operations());
}

#[test]
fn side_by_side_is_one_at_a_time() {
    check_batches(&Device::flex());
}

#[test]
fn token_by_token_is_the_whole_for_any_split() {
    let (checkpoint, model) = tiny(&Device::flex());
    proptest!(ProptestConfig::with_cases(48), |(case in Case::any())| {
        check_token_by_token(&case, &checkpoint, &model);
    });
}

#[test]
fn what_is_out_of_sight_is_not_kept() {
    check_cache_size(&Device::flex());
}

/// Two texts with the same first 50 tokens and segments, of which these are read once: before both, or with the other one.
#[test]
fn what_texts_share_is_read_once() {
    let (checkpoint, model) = tiny(&Device::flex());
    let mut sharing = 0;
    for spec in SPECS {
        let encoding = EncodingSpec::parse(spec).unwrap();
        let under =
            EncodedModel { model: &model, config: &checkpoint.config, encoding: &encoding, bos: None };
        if !under.shares_prefixes(90, 8) {
            continue;
        }
        sharing += 1;
        let text = |own: u32| -> (Vec<u32>, Layout) {
            let ids = (0..90).map(|n| if n < 50 { n * 37 % 200 } else { n * own % 200 }).collect();
            let level = |size: u32| (0..90).map(|t| t / size).collect::<Vec<u32>>();
            (ids, [level(9), level(30)].into_iter().take(encoding.units().len()).collect::<Vec<_>>().into())
        };
        let ((one, of_one), (other, of_other)) = (text(41), text(43));
        assert_eq!(shared_tokens((&one, &of_one), (&other, &of_other)), 50);
        let expected = under.read(&other, of_other.clone(), 8).unwrap();
        let prefix = under.read_prefix(&one, &of_one, 50).unwrap();
        assert!(prefix.begins(&other, &of_other) && !prefix.begins(&one[1..], &of_one));
        let after = under.read_after(&prefix, &other, of_other.clone(), 8).unwrap();
        assert_eq!(after.seen(), expected.seen(), "{spec}");
        let same = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(same(after.logits(), expected.logits()), "{spec}");
        // From a sequence that went on otherwise, unless it has dropped keys.
        let before = under.read(&one, of_one.clone(), 8).unwrap();
        if before.keeps(50) {
            let read = under.read_sharing((&before, 50), &other, &of_other, 8).unwrap();
            assert!(same(read.logits(), expected.logits()), "{spec}");
            let scored = under.score_and_read_sharing((&before, 49), &other, &of_other, (8, 2)).unwrap().0;
            let (whole, _) = under.score_and_read(&other, &of_other, 8, 2).unwrap();
            assert!(same(&scored.nll, &whole.nll[49..]), "{spec}");
        }
        // Neither has changed what the other reads.
        let mut decoder = after;
        Decoder::advance(&mut [&mut decoder], &[7]).unwrap();
        let again = under.read_after(&prefix, &other, of_other, 8).unwrap();
        assert!(same(again.logits(), expected.logits()), "{spec}");
    }
    assert!(sharing > 15, "{sharing} kinds share");
}

/// Within a context a prompt's last tokens are read behind BOS, with room for what is generated.
#[test]
fn a_prompt_within_a_context() {
    let (checkpoint, model) = tiny(&Device::flex());
    let ids: Vec<u32> = (0..90).map(|n| n * 37 % 200).collect();
    let under = |spec: &str, bos: Option<u32>, ids: &[u32], levels: Vec<Vec<u32>>| {
        let encoding = EncodingSpec::parse(spec).unwrap();
        let under = EncodedModel { model: &model, config: &checkpoint.config, encoding: &encoding, bos };
        under.read(ids, levels, 8).map(|decoder| decoder.logits().to_vec())
    };
    let cut = [&[7], &ids[90 - 31..]].concat();
    let expected = under("rope", None, &cut, vec![]).unwrap();
    assert_eq!(under("rope:context=40", Some(7), &ids, vec![]).unwrap(), expected);
    let all = under("rope", None, &ids[90 - 32..], vec![]).unwrap();
    assert_eq!(under("rope:context=40", None, &ids, vec![]).unwrap(), all);
    assert_eq!(under("rope:context=98", Some(7), &ids, vec![]), under("rope", Some(7), &ids, vec![]));
    let level: Vec<u32> = (0..90).map(|t| t / 9).collect();
    let hirope = "hirope:window=8,split=0.25";
    let of_cut = level[90 - 32..].iter().map(|f| f - level[90 - 32]).collect();
    let (a, b) = (
        under(&format!("{hirope},context=40"), None, &ids, vec![level]).unwrap(),
        under(hirope, None, &ids[90 - 32..], vec![of_cut]).unwrap(),
    );
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4));
    let refused = under("rope:context=9", Some(7), &ids, vec![]).unwrap_err().to_string();
    assert!(refused.contains("no room for a prompt") && refused.contains("key `context`"), "{refused}");
}

/// Windows side by side give the losses of each by itself.
#[test]
fn windows_of_a_context() {
    let (checkpoint, model) = tiny(&Device::flex());
    let ids: Vec<u32> = (0..301).map(|n| n * n * 37 % 200).collect();
    for (spec, context, bos) in [
        ("rope", Context { tokens: 48, stride: 12 }, Some(3)),
        ("rope", Context { tokens: 7, stride: 6 }, None),
        ("dynamic_ntk:factor=2", Context { tokens: 100, stride: 99 }, Some(3)),
        ("hirope:window=8,split=0.5", Context { tokens: 48, stride: 1 }, None),
        ("streaming_llm:window=20,sinks=2", Context { tokens: 64, stride: 20 }, Some(0)),
    ] {
        let level: Vec<u32> = (0..301).map(|t| t / 9).collect();
        let plain = EncodingSpec::parse(spec).unwrap();
        let separator = if spec.contains(':') { ',' } else { ':' };
        let keys = format!("{separator}context={},stride={}", context.tokens, context.stride);
        let limited = EncodingSpec::parse(&format!("{spec}{keys}")).unwrap();
        let levels = |range: std::ops::Range<usize>| {
            plain.units().iter().map(|_| level[range.clone()].to_vec()).collect::<Vec<_>>()
        };
        let under = |encoding| EncodedModel { model: &model, config: &checkpoint.config, encoding, bos };
        let ours = under(&limited).score(&ids, levels(0..301)).unwrap();
        assert_eq!((ours.nll.len(), ours.correct.len()), (300, 300), "{spec}");
        for window in context.windows(301) {
            let mut of_window = ids[window.tokens.clone()].to_vec();
            of_window[0] = bos.unwrap_or(of_window[0]);
            let alone = under(&plain).score(&of_window, levels(window.tokens.clone())).unwrap();
            for token in window.predicted {
                let (a, b) = (ours.nll[token - 1], alone.nll[token - 1 - window.tokens.start]);
                assert!((a - b).abs() < 1e-4, "{spec}: token {token}: {a} and {b}");
            }
        }
    }
}
