//! Distances of the encodings: the worked case of the paper, the definitions, and the identities that
//! must hold between them (positions.md).

use longcode::encoding::{EncodingSpec, ModelRope, Positions, Rotations};
use proptest::prelude::*;

const PAIRS: usize = 8;

fn model() -> ModelRope {
    ModelRope { head_dim: 2 * PAIRS, base: 10000.0, trained_length: 64, scaling: None }
}

fn rotations(spec: &str, positions: &Positions) -> Rotations {
    let encoding = EncodingSpec::parse(spec).unwrap();
    encoding.check(&model()).unwrap();
    encoding.rotations(&model(), positions)
}

fn flat(length: usize) -> Positions {
    Positions::whole(length, vec![])
}

/// Segment indices of segments with these lengths.
fn level(lengths: &[usize]) -> Vec<u32> {
    lengths.iter().zip(0..).flat_map(|(&length, index)| std::iter::repeat_n(index, length)).collect()
}

/// Every `(pair, i, j)` with `j <= i`.
fn triples(length: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..PAIRS).flat_map(move |p| (0..length).flat_map(move |i| (0..=i).map(move |j| (p, i, j))))
}

/// The two encodings put every pair of tokens at the same distance, in every frequency pair.
fn assert_same(a: &Rotations, b: &Rotations, length: usize) {
    for (p, i, j) in triples(length) {
        assert_eq!(a.delta(p, i, j), b.delta(p, i, j), "pair {p}, i {i}, j {j}");
    }
    assert_eq!(a.spectrum, b.spectrum);
}

#[test]
fn figure_2() {
    let positions = Positions::whole(6, vec![vec![0, 0, 0, 0, 1, 1]]);
    let hirope = rotations("hirope:window=3,split=0.5", &positions);
    let expected: [&[f64]; 6] = [
        &[0.],
        &[1., 0.],
        &[2., 1., 0.],
        &[2., 2., 1., 0.],
        &[3., 3., 2., 1., 0.],
        &[3., 3., 3., 2., 1., 0.],
    ];
    for (i, row) in expected.iter().enumerate() {
        for (j, &distance) in row.iter().enumerate() {
            assert_eq!(hirope.delta(PAIRS - 1, i, j), distance, "high dims, i {i}, j {j}");
            assert_eq!(hirope.delta(0, i, j), (i - j) as f64, "low dims, i {i}, j {j}");
        }
    }
}

#[test]
fn splits_round_to_whole_pairs() {
    let positions = Positions::whole(20, vec![vec![0; 20]]);
    for (split, first_segment_pair) in [(0.0, 0), (0.25, 2), (0.3, 2), (0.32, 3), (0.7, 6), (1.0, 8)] {
        let hirope = rotations(&format!("hirope:window=4,split={split}"), &positions);
        let by_segment = (0..PAIRS).filter(|&p| hirope.delta(p, 19, 0) == 3.0).collect::<Vec<_>>();
        assert_eq!(by_segment, (first_segment_pair..PAIRS).collect::<Vec<_>>(), "split {split}");
    }
}

#[test]
fn levels_take_the_pairs_from_fine_to_coarse() {
    let positions = Positions::whole(12, vec![level(&[3, 3, 3, 3]), level(&[6, 6])]);
    let hirope = rotations("hirope:window=2,split=0.25/0.5,unit=statement/function", &positions);
    let distances: Vec<f64> = (0..PAIRS).map(|p| hirope.delta(p, 11, 0)).collect();
    // Token distance 11; 3 statements and 1 function apart, both plus w - 1.
    assert_eq!(distances, [11., 11., 4., 4., 2., 2., 2., 2.]);
}

#[test]
fn dynamic_ntk_is_rope_up_to_the_trained_length() {
    let rope = rotations("rope", &flat(64));
    assert_same(&rotations("dynamic_ntk:factor=2", &flat(64)), &rope, 64);
    assert_ne!(rotations("dynamic_ntk:factor=2", &flat(65)).spectrum, rope.spectrum);
}

#[test]
fn self_extend_chooses_the_smallest_group_that_fits() {
    // w + (L - w)/G <= (2/3) L0 = 42.67 with w = 24, L = 160: G >= 136 / 18.67 = 7.29.
    assert_same(
        &rotations("self_extend:window=24", &flat(160)),
        &rotations("self_extend:window=24,group=8", &flat(160)),
        160,
    );
}

#[test]
fn logn_scales_only_beyond_the_trained_length() {
    let scale = rotations("rerope:window=8,logn=true", &flat(128)).query_scale;
    assert!(scale[..64].iter().all(|&s| s == 1.0));
    let expected = 128f64.ln() / 64f64.ln();
    assert!((scale[127] - expected).abs() < 1e-12);
}

proptest! {
    #[test]
    fn rerope_clips(length in 1usize..60, window in 1usize..70) {
        let rerope = rotations(&format!("rerope:window={window}"), &flat(length));
        for (p, i, j) in triples(length) {
            prop_assert_eq!(rerope.delta(p, i, j), (i - j).min(window) as f64);
        }
    }

    #[test]
    fn leaky_rerope_grows_slowly(length in 1usize..60, window in 1usize..70, factor in 1u32..20) {
        let factor = f64::from(factor);
        let leaky = rotations(&format!("leaky_rerope:window={window},factor={factor}"), &flat(length));
        for (p, i, j) in triples(length) {
            let (t, w) = ((i - j) as f64, window as f64);
            let expected = if t < w { t } else { w + (t - w) / factor };
            prop_assert!((leaky.delta(p, i, j) - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn self_extend_groups(length in 1usize..60, window in 1usize..70, group in 1usize..12) {
        let extended = rotations(&format!("self_extend:window={window},group={group}"), &flat(length));
        for (p, i, j) in triples(length) {
            let near = (i - j) as i64;
            let far = (i / group) as i64 - (j / group) as i64 + window as i64 - (window / group) as i64;
            let expected = if i - j < window { near } else { far };
            prop_assert_eq!(extended.delta(p, i, j), expected as f64);
        }
    }

    #[test]
    fn hirope_within_the_window_is_rope(lengths in prop::collection::vec(1usize..6, 1..8), split in 0.0f64..1.0) {
        let level = level(&lengths);
        let length = level.len();
        let hirope =
            rotations(&format!("hirope:window={length},split={split}"), &Positions::whole(length, vec![level]));
        assert_same(&hirope, &rotations("rope", &flat(length)), length);
    }

    #[test]
    fn hirope_with_all_pairs_at_the_token_level_is_rope(lengths in prop::collection::vec(1usize..6, 1..8), window in 1usize..20) {
        let level = level(&lengths);
        let length = level.len();
        let hirope =
            rotations(&format!("hirope:window={window},split=1"), &Positions::whole(length, vec![level]));
        assert_same(&hirope, &rotations("rope", &flat(length)), length);
    }

    #[test]
    fn hirope_of_one_segment_is_rerope(length in 1usize..60, window in 2usize..70) {
        let hirope =
            rotations(&format!("hirope:window={window},split=0"), &Positions::whole(length, vec![vec![0; length]]));
        assert_same(&hirope, &rotations(&format!("rerope:window={}", window - 1), &flat(length)), length);
    }

    #[test]
    fn hirope_of_equal_segments_is_self_extend_up_to_an_offset(
        length in 1usize..60, window in 1usize..70, group in 1usize..12,
    ) {
        let level = (0..length).map(|t| (t / group) as u32).collect();
        let hirope =
            rotations(&format!("hirope:window={window},split=0"), &Positions::whole(length, vec![level]));
        let extended = rotations(&format!("self_extend:window={window},group={group}"), &flat(length));
        let offset = (window / group) as f64 - 1.0;
        for (p, i, j) in triples(length) {
            let difference = hirope.delta(p, i, j) - extended.delta(p, i, j);
            prop_assert_eq!(difference, if i - j < window { 0.0 } else { offset });
        }
    }

    #[test]
    fn only_differences_of_positions_matter(
        lengths in prop::collection::vec(1usize..6, 1..8), window in 1usize..20, shift in 0usize..50,
    ) {
        let level = level(&lengths);
        let length = level.len();
        let here = Positions::whole(length, vec![level.clone()]);
        let shifted = Positions {
            tokens: shift * 5..shift * 5 + length,
            levels: vec![level.iter().map(|f| f + 7).collect()],
            sequence_length: length,
        };
        for spec in [
            "rope".to_string(),
            "linear:factor=4".into(),
            "dynamic_ntk:factor=2".into(),
            format!("rerope:window={window}"),
            format!("leaky_rerope:window={window},factor=4"),
            // Groups keep their places when the shift is a multiple of the group.
            format!("self_extend:window={window},group=5"),
            format!("hirope:window={window},split=0.4"),
        ] {
            let (a, b) = (rotations(&spec, &here), rotations(&spec, &shifted));
            for (p, i, j) in triples(length) {
                prop_assert!((a.delta(p, i, j) - b.delta(p, i, j)).abs() < 1e-9, "{}", spec);
            }
        }
    }
}
