//! Distances of the encodings: the worked case of the paper, the definitions, and the identities that
//! must hold between them.

use longcode_encoding::{EncodingSpec, ModelRope, Positions, Rotations};
use longcode_structure::{Blocks, Layout, References};
use proptest::prelude::*;

const PAIRS: usize = 8;

fn model() -> ModelRope {
    ModelRope::plain(2 * PAIRS, 10000.0, 64)
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

/// A text of units of these lengths, with blocks of as many tokens, and flags and uses by chance.
fn text(lengths: &[usize], block: usize, chance: u64) -> Positions {
    let units = level(lengths);
    let length = units.len();
    let drawn = |t: usize, n: u64| (t as u64 * 7919 + n + chance) % 11;
    let flags = |n: u64| (0..length).map(|t| drawn(t, n) == 0).collect();
    let uses = (0..length).filter(|&t| units[t] > 0 && drawn(t, 3) < 3);
    let references = References {
        imports: flags(0),
        signatures: flags(1),
        globals: flags(2),
        uses: uses.map(|t| (t, drawn(t, 4) as u32 % units[t])).collect(),
        units: units.clone(),
    };
    Positions::laid_out(
        length,
        Layout {
            levels: vec![units],
            blocks: Some(Blocks::even(block, length)),
            references: Some(references.into()),
            ..Layout::default()
        },
    )
}

/// A text of one unit, the same as above otherwise.
fn text_of_one_unit(length: usize, chance: u64) -> Positions {
    text(&[length], 5, chance)
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
            assert_eq!(hirope.delta(PAIRS - 1, i, j), Some(distance), "high dims, i {i}, j {j}");
            assert_eq!(hirope.delta(0, i, j), Some((i - j) as f64), "low dims, i {i}, j {j}");
        }
    }
}

#[test]
fn splits_round_to_whole_pairs() {
    let positions = Positions::whole(20, vec![vec![0; 20]]);
    for (split, first_segment_pair) in [(0.0, 0), (0.25, 2), (0.3, 2), (0.32, 3), (0.7, 6), (1.0, 8)] {
        let hirope = rotations(&format!("hirope:window=4,split={split}"), &positions);
        let by_segment = (0..PAIRS).filter(|&p| hirope.delta(p, 19, 0) == Some(3.0)).collect::<Vec<_>>();
        assert_eq!(by_segment, (first_segment_pair..PAIRS).collect::<Vec<_>>(), "split {split}");
    }
}

#[test]
fn levels_take_the_pairs_from_fine_to_coarse() {
    let positions = Positions::whole(12, vec![level(&[3, 3, 3, 3]), level(&[6, 6])]);
    let hirope = rotations("hirope:window=2,split=0.25/0.5,unit=statement/function", &positions);
    let distances: Vec<f64> = (0..PAIRS).map(|p| hirope.delta(p, 11, 0).unwrap()).collect();
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
            prop_assert_eq!(rerope.delta(p, i, j), Some((i - j).min(window) as f64));
        }
    }

    #[test]
    fn leaky_rerope_grows_slowly(length in 1usize..60, window in 1usize..70, factor in 1u32..20) {
        let factor = f64::from(factor);
        let leaky = rotations(&format!("leaky_rerope:window={window},factor={factor}"), &flat(length));
        for (p, i, j) in triples(length) {
            let (t, w) = ((i - j) as f64, window as f64);
            let expected = if t < w { t } else { w + (t - w) / factor };
            prop_assert!((leaky.delta(p, i, j).unwrap() - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn self_extend_groups(length in 1usize..60, window in 1usize..70, group in 1usize..12) {
        let extended = rotations(&format!("self_extend:window={window},group={group}"), &flat(length));
        for (p, i, j) in triples(length) {
            let near = (i - j) as i64;
            let far = (i / group) as i64 - (j / group) as i64 + window as i64 - (window / group) as i64;
            let expected = if i - j < window { near } else { far };
            prop_assert_eq!(extended.delta(p, i, j), Some(expected as f64));
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
            let difference = hirope.delta(p, i, j).unwrap() - extended.delta(p, i, j).unwrap();
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
        let tokens = shift * 5..shift * 5 + length;
        let shifted = Positions::new(tokens, vec![level.iter().map(|f| f + 7).collect()], length);
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
                let (a, b) = (a.delta(p, i, j).unwrap(), b.delta(p, i, j).unwrap());
                prop_assert!((a - b).abs() < 1e-9, "{}", spec);
            }
        }
    }

    #[test]
    fn a_sliding_window_sees_its_window(length in 1usize..60, window in 1usize..70) {
        let sliding = rotations(&format!("sliding_window:window={window}"), &flat(length));
        for (p, i, j) in triples(length) {
            let expected = Some((i - j) as f64).filter(|_| i - j < window);
            prop_assert_eq!(sliding.delta(p, i, j), expected);
        }
        let streaming = rotations(&format!("streaming_llm:window={window},sinks=0"), &flat(length));
        assert_same(&streaming, &sliding, length);
    }

    #[test]
    fn lm_infinite_holds_the_distance_of_its_sinks(
        length in 1usize..60, window in 1usize..70, sinks in 0usize..20, ceiling in 1usize..90,
    ) {
        let spec = format!("lm_infinite:window={window},sinks={sinks},ceiling={ceiling}");
        let infinite = rotations(&spec, &flat(length));
        for (p, i, j) in triples(length) {
            let expected = match i - j < window {
                true => Some((i - j) as f64),
                false => Some(ceiling as f64).filter(|_| j < sinks),
            };
            prop_assert_eq!(infinite.delta(p, i, j), expected);
        }
        let all = format!("lm_infinite:window={window},sinks={length}");
        assert_same(&rotations(&all, &flat(length)), &rotations(&format!("rerope:window={window}"), &flat(length)), length);
    }

    #[test]
    fn streaming_llm_counts_in_its_cache(length in 1usize..60, window in 1usize..70, sinks in 0usize..20) {
        let streaming = rotations(&format!("streaming_llm:window={window},sinks={sinks}"), &flat(length));
        for (p, i, j) in triples(length) {
            let expected = match i - j < window {
                true => Some((i - j) as f64),
                false => Some(i.min(sinks + window - 1) as f64 - j as f64).filter(|_| j < sinks),
            };
            prop_assert_eq!(streaming.delta(p, i, j), expected);
        }
    }

    #[test]
    fn dual_chunk_by_its_definition(length in 1usize..90, size in 1usize..40, local in 0usize..20) {
        let chunk = size + local;
        let dual = rotations(&format!("dual_chunk:chunk={chunk},local={local}"), &flat(length));
        for (p, i, j) in triples(length) {
            let query = match i / size - j / size {
                0 => i % size,
                1 => (i % size + size).min(chunk),
                _ => (2 * size - 1).min(chunk),
            };
            prop_assert_eq!(dual.delta(p, i, j), Some(query as f64 - (j % size) as f64));
        }
        if length <= size {
            assert_same(&dual, &rotations("rope", &flat(length)), length);
        }
    }

    #[test]
    fn string_starts_again_at_its_local_part(length in 1usize..60, shift in 1usize..70, local in 0usize..40) {
        let shifted = rotations(&format!("string:shift={shift},local={local}"), &flat(length));
        for (p, i, j) in triples(length) {
            let t = i - j;
            let expected = if t < shift { t as f64 } else { (t + local) as f64 - shift as f64 };
            prop_assert_eq!(shifted.delta(p, i, j), Some(expected));
        }
        let same = rotations(&format!("string:shift={shift},local={shift}"), &flat(length));
        assert_same(&same, &rotations("rope", &flat(length)), length);
    }

    #[test]
    fn dpe_of_equal_groups_is_self_extend(length in 1usize..60, window in 1usize..70, group in 1usize..12) {
        let spec = format!("dpe:window={window},groups={group}/{group}/{group}/{group}");
        let extended = rotations(&format!("self_extend:window={window},group={group}"), &flat(length));
        assert_same(&rotations(&spec, &flat(length)), &extended, length);
        let ones = rotations(&format!("dpe:window={window},groups=1/1"), &flat(length));
        assert_same(&ones, &rotations("rope", &flat(length)), length);
    }

    #[test]
    fn blocks_that_are_all_chosen_hide_nothing(
        lengths in prop::collection::vec(1usize..9, 1..8), window in 1usize..40, block in 1usize..12, chance in 0u64..99,
    ) {
        let text = text(&lengths, block, chance);
        let length = text.tokens.len();
        for (far, same) in [
            ("clip", format!("rerope:window={}", window.max(2) - 1)),
            ("token", "rope".into()),
            ("hirope,split=0.3", format!("hirope:window={},split=0.3", window.max(2))),
        ] {
            let blocks = format!("blocks:unit=tokens:{block},top=99,window={},far={far}", window.max(2));
            assert_same(&rotations(&blocks, &text), &rotations(&same, &text), length);
        }
        let within = format!("blocks:unit=tokens:{block},top=0,window={length}");
        assert_same(&rotations(&within, &text), &rotations("rope", &flat(length)), length);
    }

    #[test]
    fn no_blocks_leave_a_window_behind_sinks(
        length in 2usize..60, window in 2usize..40, sinks in 1usize..9, chance in 0u64..99,
    ) {
        let text = text(&[length], 1, chance);
        for kind in [
            "blocks:top=0,unit=tokens:1",
            "structure:own=false,imports=false,signatures=false,globals=false,uses=false",
        ] {
            let of = |far: &str| rotations(&format!("{kind},window={window},sinks={sinks},far={far}"), &text);
            let infinite = format!("lm_infinite:window={window},sinks={sinks},ceiling={}", window - 1);
            assert_same(&of("clip"), &rotations(&infinite, &flat(length)), length);
            let streaming = format!("streaming_llm:window={window},sinks={sinks},positions=text");
            assert_same(&of("token"), &rotations(&streaming, &flat(length)), length);
            let none = rotations(&format!("{kind},window={window},sinks=0,far=token"), &text);
            assert_same(&none, &rotations(&format!("sliding_window:window={window}"), &flat(length)), length);
        }
    }

    #[test]
    fn structure_of_one_unit_hides_nothing(
        length in 2usize..60, window in 2usize..40, chance in 0u64..99, all_imports in any::<bool>(),
    ) {
        let mut text = text_of_one_unit(length, chance);
        if all_imports {
            let units = (0..length).map(|t| (t / 3) as u32).collect();
            let references = References { units, imports: vec![true; length], ..(**text.references.as_ref().unwrap()).clone() };
            text.references = Some(References { uses: Vec::new(), ..references }.into());
        }
        let of = |far: &str| rotations(&format!("structure:window={window},far={far}"), &text);
        assert_same(&of("clip"), &rotations(&format!("rerope:window={}", window - 1), &flat(length)), length);
        assert_same(&of("token"), &rotations("rope", &flat(length)), length);
    }

    /// What a query sees is what the definition says, key by key.
    #[test]
    fn structure_sees_what_its_keys_say(
        lengths in prop::collection::vec(1usize..12, 1..9), window in 1usize..20, sinks in 0usize..6, chance in 0u64..999,
        keys in prop::collection::vec(any::<bool>(), 5),
    ) {
        let text = text(&lengths, 5, chance);
        let length = text.tokens.len();
        let [own, imports, signatures, globals, uses] = keys[..] else { unreachable!() };
        let ours = rotations(&format!(
            "structure:window={window},sinks={sinks},own={own},imports={imports},signatures={signatures},globals={globals},uses={uses}"
        ), &text);
        let found = text.references.as_ref().unwrap();
        for i in 0..length {
            for j in 0..=i {
                let unit = found.units[i];
                let used = |u: u32| found.uses.iter().any(|&(c, to)| c <= i && found.units[c] == unit && to == u);
                let expected = i - j < window
                    || j < sinks
                    || own && found.units[j] == unit
                    || imports && found.imports[j]
                    || signatures && found.signatures[j]
                    || globals && found.globals[j]
                    || uses && used(found.units[j]);
                prop_assert_eq!(ours.sees(i, j), expected, "i {}, j {}", i, j);
            }
        }
    }

    #[test]
    fn within_the_window_all_is_rope(length in 1usize..60, more in 0usize..10) {
        let window = length + more;
        for spec in [
            format!("sliding_window:window={window}"),
            format!("lm_infinite:window={window}"),
            format!("streaming_llm:window={window}"),
            format!("string:shift={window},local=3"),
            format!("dpe:window={window},groups=3/5"),
            format!("blocks:window={window},top=1,unit=tokens:2"),
            format!("structure:window={window}"),
        ] {
            assert_same(&rotations(&spec, &flat(length)), &rotations("rope", &flat(length)), length);
        }
    }
}

#[test]
fn dpe_takes_the_pairs_from_high_to_low_frequency() {
    let dpe = rotations("dpe:window=4,groups=1/2/4/8", &flat(20));
    let distances: Vec<f64> = (0..PAIRS).map(|p| dpe.delta(p, 19, 0).unwrap()).collect();
    // floor(19/G) + 4 - floor(4/G) for G = 1, 2, 4, 8.
    assert_eq!(distances, [19., 19., 11., 11., 7., 7., 6., 6.]);
}

#[test]
fn string_without_a_shift_follows_the_length() {
    let third = rotations("string:local=5", &flat(50));
    assert_same(&third, &rotations("string:local=5,shift=17", &flat(50)), 50);
    assert!(EncodingSpec::parse("string").unwrap().follows_length(&model()));
    assert!(!EncodingSpec::parse("string:shift=17").unwrap().follows_length(&model()));
}

#[test]
fn dual_chunk_scales_beyond_the_trained_length_where_asked() {
    let scale = |length| rotations("dual_chunk:mscale=true", &flat(length)).spectrum.scale;
    assert_eq!(scale(64), 1.0);
    assert!((scale(128) - (0.1 * 2f64.ln() + 1.0)).abs() < 1e-12);
}

#[test]
fn defaults_come_from_the_trained_length() {
    for (given, default) in [
        ("sliding_window:window=64", "sliding_window"),
        ("lm_infinite:window=64,sinks=10,ceiling=64", "lm_infinite"),
        ("streaming_llm:window=60,sinks=4", "streaming_llm"),
        ("dual_chunk:chunk=48,local=8", "dual_chunk"),
    ] {
        assert_same(&rotations(given, &flat(150)), &rotations(default, &flat(150)), 150);
    }
}
