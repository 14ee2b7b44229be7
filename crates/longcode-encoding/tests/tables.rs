//! Tables: a file that says what a kind computes is that kind, and a file that says nonsense is refused by row.

use std::path::{Path, PathBuf};

use longcode_encoding::{EncodingSpec, ModelRope, Positions, Rotations};
use longcode_structure::Layout;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

const PAIRS: usize = 4;
const LENGTH: usize = 40;
/// SHA-256 of a text.
const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn model() -> ModelRope {
    ModelRope::plain(2 * PAIRS, 10_000.0, 16)
}

/// Segments of 7 tokens.
fn positions() -> Positions {
    let level = (0..LENGTH as u32).map(|t| t / 7).collect();
    Positions::laid_out(LENGTH, Layout { levels: vec![level], hash: HASH.into(), ..Layout::default() })
}

fn opened(path: &Path) -> longcode_base::error::Result<EncodingSpec> {
    let keys = toml::Table::from_iter([("file".into(), path.display().to_string().into())]);
    let spec = EncodingSpec::from_table("table", keys)?.opened(&|path| Ok(path.to_path_buf()))?;
    spec.check(&model())?;
    Ok(spec)
}

/// A file of a table; `json` or `safetensors`.
fn written(dir: &Path, table: &Value, form: &str) -> PathBuf {
    let path = dir.join(format!("table.{form}"));
    let bytes = if form == "json" { table.to_string().into_bytes() } else { tensors(table) };
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The same names and numbers as safetensors.
fn tensors(table: &Value) -> Vec<u8> {
    fn flatten(name: String, value: &Value, into: &mut Vec<(String, Vec<usize>, Vec<u8>)>) {
        let inside = |key: &str| if name.is_empty() { key.to_string() } else { format!("{name}.{key}") };
        match value {
            Value::Object(parts) => parts.iter().for_each(|(key, part)| flatten(inside(key), part, into)),
            Value::Array(parts) if parts.iter().any(Value::is_object) => {
                parts.iter().enumerate().for_each(|(n, part)| flatten(inside(&n.to_string()), part, into));
            }
            Value::Array(rows) => {
                let shape = match rows.first().and_then(Value::as_array) {
                    Some(row) => vec![rows.len(), row.len()],
                    None => vec![rows.len()],
                };
                let numbers =
                    rows.iter().flat_map(|row| row.as_array().cloned().unwrap_or(vec![row.clone()]));
                into.push((name, shape, numbers.flat_map(|n| n.as_f64().unwrap().to_le_bytes()).collect()));
            }
            number => into.push((name, vec![1], number.as_f64().unwrap().to_le_bytes().to_vec())),
        }
    }
    let mut all = Vec::new();
    flatten(String::new(), table, &mut all);
    let views = all
        .iter()
        .map(|(name, shape, data)| (name.clone(), TensorView::new(Dtype::F64, shape.clone(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

/// The rotations of a kind as a table of its positions, for the text of [`positions`] or for any.
fn table_of(rotations: &Rotations, of_text: bool) -> Value {
    let zones: Vec<Value> = rotations
        .zones
        .iter()
        .enumerate()
        .map(|(n, zone)| {
            let mut written = serde_json::Map::new();
            if n > 0 {
                written.insert("first".into(), json!(zone.first.keys));
            }
            match &zone.rotation {
                None => drop(written.insert("seen".into(), json!(0))),
                Some(rotation) => {
                    let edges = rotation.bands.iter().map(|band| band.pairs.end);
                    written.insert("pairs".into(), json!([0].into_iter().chain(edges).collect::<Vec<_>>()));
                    let side = |of: fn(&longcode_encoding::Band) -> Vec<f64>| {
                        rotation.bands.iter().map(of).collect::<Vec<_>>()
                    };
                    written.insert("query".into(), json!(side(|band| band.query.to_vec())));
                    written.insert("key".into(), json!(side(|band| band.key.to_vec())));
                }
            }
            Value::Object(written)
        })
        .collect();
    let mut plan = json!({ "zones": zones });
    if !rotations.query_scale.is_empty() {
        plan["query_scale"] = json!(rotations.query_scale);
    }
    let mut table = if of_text { json!({ "texts": { HASH: plan } }) } else { plan };
    table["frequencies"] = json!(rotations.spectrum.frequencies);
    table["scale"] = json!(rotations.spectrum.scale);
    table
}

/// Rotations with those of another's numbers that are as good as its own: JSON is read to the last bit of f64, and all of
/// them are rounded to f32 where they are used.
fn near(mut rotations: Rotations, other: &Rotations) -> Rotations {
    let is_near = |a: f64, b: f64| (a - b).abs() <= 4.0 * f64::EPSILON * b.abs();
    let pairs = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_near(*a, *b));
    if pairs(&rotations.spectrum.frequencies, &other.spectrum.frequencies)
        && is_near(rotations.spectrum.scale, other.spectrum.scale)
    {
        rotations.spectrum = other.spectrum.clone();
    }
    if pairs(&rotations.query_scale, &other.query_scale) {
        rotations.query_scale.clone_from(&other.query_scale);
    }
    rotations
}

/// Positions are a whole text's, and tell nothing of the tokens that another text begins with.
#[test]
fn texts_share_nothing_that_was_read_under_a_table() {
    let of = |spec: &str| EncodingSpec::parse(spec).unwrap();
    assert!(of("rope").shares_prefixes(&model()));
    assert!(!of("table:file=mine.json").shares_prefixes(&model()));
}

#[test]
fn the_positions_of_a_kind_as_a_table_are_that_kind() {
    let dir = tempfile::tempdir().unwrap();
    for spec in [
        "rope",
        "yarn:factor=4",
        "rerope:window=8,logn=true",
        "self_extend:window=8,group=4",
        "hirope:window=8,split=0.5",
        "hirope:window=8,split=0",
        "dpe:window=8,groups=2/4",
        "dual_chunk:chunk=12,local=2",
        "streaming_llm:window=8,sinks=2",
        "sliding_window:window=8",
    ] {
        let positions = positions();
        let expected = EncodingSpec::parse(spec).unwrap().rotations(&model(), &positions);
        for (form, of_text) in
            [("json", false), ("json", true), ("safetensors", false), ("safetensors", true)]
        {
            let table = opened(&written(dir.path(), &table_of(&expected, of_text), form)).unwrap();
            table.covers(HASH, LENGTH, 0, true).unwrap();
            let rotations = near(table.rotations(&model(), &positions), &expected);
            assert_eq!(rotations, expected, "{spec} as {form}, of a text: {of_text}");
            // While decoding, the newest tokens alone.
            let level = positions.levels[0][30..33].to_vec();
            let layout = Layout { levels: vec![level], hash: HASH.into(), ..Layout::default() };
            let newest = Positions::new(30..33, Vec::new(), LENGTH).with_layout(layout);
            let own = EncodingSpec::parse(spec).unwrap().rotations(&model(), &newest);
            assert_eq!(near(table.rotations(&model(), &newest), &own), own, "{spec} as {form}, decoding");
        }
    }
}

#[test]
fn what_is_left_out_is_the_models_own() {
    let dir = tempfile::tempdir().unwrap();
    let yarn = EncodingSpec::parse("yarn:factor=4").unwrap().rotations(&model(), &positions());
    let table = json!({ "frequencies": yarn.spectrum.frequencies, "scale": yarn.spectrum.scale });
    let table = opened(&written(dir.path(), &table, "json")).unwrap();
    table.covers("", 1 << 20, 64, false).unwrap();
    assert_eq!(near(table.rotations(&model(), &positions()), &yarn), yarn);
    // A far zone of capped distances before a near one by token: ReRoPE with its window.
    let first: Vec<usize> = (0..LENGTH).map(|i| (i + 1).saturating_sub(8)).collect();
    let zones = json!([{ "query": vec![8; LENGTH], "key": vec![0; LENGTH] }, { "first": first }]);
    let table = opened(&written(dir.path(), &json!({ "zones": zones }), "json")).unwrap();
    let rerope = EncodingSpec::parse("rerope:window=8").unwrap().rotations(&model(), &positions());
    let rotations = table.rotations(&model(), &positions());
    for (i, j) in (0..LENGTH).flat_map(|i| (0..=i).map(move |j| (i, j))) {
        assert_eq!(rotations.delta(1, i, j), rerope.delta(1, i, j), "{i}, {j}");
    }
}

/// A table of one far and one near zone, changed at a place.
fn changed(at: &str, value: Value) -> Value {
    let rows = |n: usize| vec![n; LENGTH];
    let first: Vec<usize> = (0..LENGTH).map(|i| (i + 1).saturating_sub(8)).collect();
    let far = json!({ "pairs": [0, 2, 4], "query": [rows(9), rows(8)], "key": [rows(1), rows(0)] });
    let mut table = json!({ "frequencies": [1.0, 0.5, 0.25, 0.125], "zones": [far, { "first": first }] });
    match value {
        Value::Null => drop(
            table
                .pointer_mut(at.rsplit_once('/').unwrap().0)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(at.rsplit_once('/').unwrap().1),
        ),
        value => match table.pointer_mut(at) {
            Some(place) => *place = value,
            None => {
                let (parent, key) = at.rsplit_once('/').unwrap();
                table.pointer_mut(parent).unwrap()[key] = value;
            }
        },
    }
    table
}

#[test]
fn a_wrong_table_is_refused_by_name_and_row() {
    let dir = tempfile::tempdir().unwrap();
    let short: Vec<usize> = vec![0; LENGTH - 1];
    for (at, value, says) in [
        ("/frequencies", json!([1.0, 0.5]), "`frequencies` has 2 numbers, and the model has 4 pairs"),
        ("/frequencies", json!([[1.0], [0.5]]), "`frequencies` is of shape [2, 1]"),
        ("/frequencies", json!("fast"), "`frequencies` is not a number"),
        ("/scale", json!(0), "`scale` is [0.0]"),
        ("/zones/1/first/20", json!(3), "`zones.1.first` falls at row 20: 3 after 12"),
        ("/zones/1/first/39", json!(40), "`zones.1.first`, row 39, is 40, beyond the token itself"),
        ("/zones/1/first/20", json!(12.5), "`zones.1.first`, row 20, is 12.5"),
        ("/zones/1/first", json!(short), "`zones.1.first` has 39 rows, and `zones.0.query` has 40"),
        ("/zones/1/first", Value::Null, "`zones.1` says nothing"),
        ("/zones/1", json!({ "seen": 1 }), "no `zones.1.first`"),
        ("/zones/1/seen", json!(0), "`zones.1` is not seen, and a query's own token is in the last zone"),
        ("/zones/0/first", json!(vec![0; LENGTH]), "`zones.0.first`: the first zone begins at key 0"),
        ("/zones/0/seen", json!(0), "`zones.0` is not seen and has positions or pairs"),
        ("/zones/0/pairs", json!([0, 4]), "`zones.0.query` is of shape [2, 40], and there are 1 bands"),
        ("/zones/0/pairs", json!([0, 2, 5]), "`zones.0.pairs` ends at 5, and the model has 4 pairs"),
        ("/zones/0/pairs", json!([0, 3, 2]), "`zones.0.pairs` is [0, 3, 2]"),
        ("/zones/0/key", Value::Null, "`zones.0` has not both of `query` and `key`"),
        ("/zones/0/query/1", json!(short), "row 1 of `zones.0.query` has 39 numbers, and row 0 has 40"),
        ("/zones/0/window", json!(8), "unknown name `zones.0.window`"),
        ("/query_scale", json!(vec![0; LENGTH]), "`query_scale`, row 0, is 0"),
        ("/texts", json!({ "my.py": { "zones": [] } }), "`texts.my` is not named by a SHA-256"),
    ] {
        let error = opened(&written(dir.path(), &changed(at, value), "json")).unwrap_err().to_string();
        assert!(
            error.contains(says) && error.contains("table.json") && error.contains("fix: "),
            "{at}: {error}"
        );
    }
}

#[test]
fn numbers_that_are_not_finite_are_refused_by_row() {
    let dir = tempfile::tempdir().unwrap();
    let mut query = vec![0.0f64; 2 * LENGTH];
    query[LENGTH + 17] = f64::NAN;
    let bytes: Vec<u8> = query.iter().flat_map(|n| n.to_le_bytes()).collect();
    let zeros = vec![0u8; bytes.len()];
    let edges: Vec<u8> = [0i64, 2, 4].iter().flat_map(|n| n.to_le_bytes()).collect();
    let views = [
        ("zones.0.pairs", TensorView::new(Dtype::I64, vec![3], &edges).unwrap()),
        ("zones.0.query", TensorView::new(Dtype::F64, vec![2, LENGTH], &bytes).unwrap()),
        ("zones.0.key", TensorView::new(Dtype::F64, vec![2, LENGTH], &zeros).unwrap()),
    ];
    let path = dir.path().join("table.safetensors");
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let error = opened(&path).unwrap_err().to_string();
    assert!(error.contains("`zones.0.query`, band 1, row 17, is NaN"), "{error}");
    std::fs::write(dir.path().join("table.json"), "{\"frequencies\": [NaN]}").unwrap();
    let error = opened(&dir.path().join("table.json")).unwrap_err().to_string();
    assert!(error.contains("not valid JSON") && error.contains("no NaN"), "{error}");
}

#[test]
fn files_are_known_by_their_names_and_pinned_by_their_hash() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), &changed("/scale", json!(1)), "json");
    let spec = opened(&path).unwrap();
    let pinned = EncodingSpec::from_table("table", spec.keys.clone()).unwrap();
    pinned.clone().opened(&|path| Ok(path.to_path_buf())).unwrap();
    assert!(!spec.pinned_keys().contains_key("file") && spec.pinned_keys().contains_key("sha256"));
    std::fs::write(&path, changed("/scale", json!(2)).to_string()).unwrap();
    let error = pinned.opened(&|path| Ok(path.to_path_buf())).unwrap_err().to_string();
    assert!(error.contains("is another file than it was") && error.contains("key `sha256`"), "{error}");
    let other = dir.path().join("table.npy");
    std::fs::write(&other, "").unwrap();
    assert!(opened(&other).unwrap_err().to_string().contains("name it .json or .safetensors"));
    std::fs::write(dir.path().join("table.safetensors"), "none").unwrap();
    let error = opened(&dir.path().join("table.safetensors")).unwrap_err().to_string();
    assert!(error.contains("not a safetensors file"), "{error}");
    std::fs::write(&path, "{}").unwrap();
    assert!(opened(&path).unwrap_err().to_string().contains("the file says nothing"));
}

#[test]
fn texts_without_positions_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let rope = EncodingSpec::parse("rope").unwrap().rotations(&model(), &positions());
    let of_text = opened(&written(dir.path(), &table_of(&rope, true), "json")).unwrap();
    let refused = |spec: &EncodingSpec, hash: &str, length, room, is_whole| {
        spec.covers(hash, length, room, is_whole).unwrap_err().to_string()
    };
    assert!(
        refused(&of_text, &HASH.replace('0', "f"), LENGTH, 0, true)
            .contains("no positions of this text (f123")
    );
    assert!(refused(&of_text, HASH, LENGTH - 1, 0, true).contains("has 40 rows, and the text has 39 tokens"));
    assert!(refused(&of_text, HASH, LENGTH, 8, true).contains("the text has 48 tokens with 8 new ones"));
    of_text.covers(HASH, LENGTH - 8, 8, true).unwrap();
    assert!(refused(&of_text, HASH, LENGTH, 0, false).contains("only a part is read"));
    let any = opened(&written(dir.path(), &table_of(&rope, false), "json")).unwrap();
    any.covers("", LENGTH - 8, 8, false).unwrap();
    assert!(
        refused(&any, HASH, LENGTH + 1, 0, true).contains("`zones` has 40 rows, and the text has 41 tokens")
    );
    // Within a context of 16 tokens, 40 rows are enough for any text, and those of one text are not its windows'.
    let in_windows = |spec: &EncodingSpec| {
        let mut keys = spec.keys.clone();
        keys.insert("context".into(), 16.into());
        EncodingSpec::from_table("table", keys).unwrap().opened(&|path| Ok(path.to_path_buf())).unwrap()
    };
    in_windows(&any).covers(HASH, 1000, 0, true).unwrap();
    let of_text = opened(&written(dir.path(), &table_of(&rope, true), "json")).unwrap();
    assert!(refused(&in_windows(&of_text), HASH, LENGTH, 0, true).contains("only a part is read"));
}
