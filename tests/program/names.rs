//! Names that are long, strange, alike only to a disk, formulas to a spreadsheet or orders to a terminal: every file of a
//! report, and what is printed.

use std::fs;
use std::path::Path;

use crate::common::cli::{Ended, Workspace};
use longcode::hash::sha256;

/// Escapes of a terminal, a C1 control, and a mark that turns the direction of writing.
const ORDERS: &str = "a\\u001b[31mb\\u009b2J\\u202ec";

fn is_obeyed(c: char) -> bool {
    c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A run whose rows have these names, as TOML writes them inside of quotes.
fn named(model: &str, encodings: [&str; 2], task: &str) -> Workspace {
    let space = Workspace::new();
    space.replace("config.toml", "name = \"tiny\"\npath", &format!("name = \"{model}\"\npath"));
    space.replace("config.toml", "name = \"RoPE\"", &format!("name = \"{}\"", encodings[0]));
    space.replace("config.toml", "name = \"HiRoPE\"", &format!("name = \"{}\"", encodings[1]));
    space.replace("config.toml", "name = \"lm\"", &format!("name = \"{task}\""));
    space
}

/// Paths below a directory.
fn below(dir: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => paths.extend(below(&entry.path())),
            false => paths.push(entry.path().to_str().unwrap().to_string()),
        }
    }
    paths
}

#[test]
fn files_have_names_that_every_disk_takes() {
    let long = "n".repeat(400);
    let space = named(&long, ["a/b", "A:b"], &"é".repeat(300));
    space.run("");
    let paths = below(&space.path("results/tiny"));
    for path in &paths {
        assert!(path.split('/').all(|part| part.len() <= 200), "{path}");
    }
    let directories = fs::read_dir(space.path("results/tiny/lm_eval")).unwrap().count();
    assert_eq!(directories, 2, "{paths:?}");
    let mut folded: Vec<String> = paths.iter().map(|path| path.to_lowercase()).collect();
    folded.sort();
    folded.dedup();
    assert_eq!(folded.len(), paths.len());
    // The pictures that the report names are there.
    let report = space.text("results/tiny/report.md");
    let pictures: Vec<&str> = report.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(!pictures.is_empty());
    for picture in pictures {
        assert!(space.path("results/tiny").join(picture).exists(), "{picture}");
    }
    assert!(below(&space.path("results/tiny")).iter().any(|path| path.ends_with(".png")));
    let space = Workspace::new();
    space.replace("config.toml", "name = \"tiny\"\n\n[[model]]", &format!("name = \"{long}\"\n\n[[model]]"));
    space.longcode("run config.toml --device cpu").failed(2, &["key `name`", "400 bytes", "shorter"]);
}

#[test]
fn a_model_here_hides_no_file() {
    let space = Workspace::new();
    space.replace("config.toml", "name = \"tiny\"\npath = \"model\"", "path = \".\"");
    for file in space.files("model") {
        fs::copy(&file.0, space.path("").join(file.0.file_name().unwrap())).unwrap();
    }
    fs::rename(space.path("config.toml"), space.path("run.toml")).unwrap();
    space.longcode("run run.toml --device cpu --out out").done();
    for path in below(&space.path("out")) {
        let name = path.rsplit('/').next().unwrap();
        assert!(!name.starts_with('.'), "{path}");
    }
}

#[test]
fn markup_in_names_is_text() {
    let space = named("m|`x`", ["*a* <script>alert(1)</script>", "_b_ [c](d)"], "t\\nu & v");
    space.run("");
    let report = space.text("results/tiny/report.md");
    assert!(
        report.contains("m\\|\\`x\\`")
            && report.contains("\\*a\\* \\<script>")
            && report.contains("\\_b\\_ [c\\](d)")
    );
    let rows: Vec<&str> = report.lines().filter(|line| line.starts_with('|')).collect();
    let cells = |row: &str| row.replace("\\|", "").matches('|').count();
    for table in report.split("\n\n").filter(|part| part.starts_with('|')) {
        let counts: Vec<usize> = table.lines().map(cells).collect();
        assert!(counts.iter().all(|count| *count == counts[0]), "{table}");
    }
    assert!(!rows.is_empty());
    let page = space.text("results/tiny/report.html");
    assert!(!page.contains("<script>alert") && page.matches("<script>").count() == 1);
    let latex = space.text("results/tiny/report.tex");
    assert!(latex.contains("\\_b\\_") && latex.contains("$<$script$>$"), "{latex}");
    for (path, bytes) in
        space.files("results/tiny").iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "svg"))
    {
        assert!(!String::from_utf8_lossy(bytes).contains("<script"), "{}", path.display());
    }
}

#[test]
fn no_cell_is_a_formula() {
    let space = named("=1+1", ["+x", "@SUM(A1)"], "-y");
    space.run("");
    for file in ["summary.csv", "differences.csv"] {
        let text = space.text(&format!("results/tiny/{file}"));
        assert!(text.contains("'=1+1,") && text.contains(",'@SUM(A1)") && text.contains(",'-y,"), "{text}");
        for cell in text.lines().skip(1).flat_map(|line| line.split(',')) {
            let formula = cell.starts_with(['=', '+', '-', '@']) && cell.parse::<f64>().is_err();
            assert!(!formula, "{file}: {cell}");
        }
    }
    // The names are the config's still.
    space.longcode("report results/tiny --baseline @SUM(A1) --out again").done();
}

#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    let clean = |ended: &Ended, what: &str| {
        let printed = format!("{}{}", ended.stdout, ended.stderr);
        assert!(
            !printed.contains(is_obeyed),
            "{what}: {:?}",
            printed.find(is_obeyed).map(|at| &printed[at..])
        );
    };
    let space = named(ORDERS, [ORDERS, "HiRoPE"], ORDERS);
    space.replace("docs.jsonl", "doc 1\"", &format!("{ORDERS}\""));
    let ended = space.run("");
    clean(&ended, "run");
    assert!(ended.stdout.contains("a\\u001b[31mb\\u009b2J\\u202ec"), "{ended:?}");
    clean(&space.longcode("report results/tiny").done(), "report");
    clean(&space.longcode("plan config.toml --device cpu").done(), "plan");
    clean(
        &space.longcode("report results/tiny --baseline \u{1b}[2J\u{202e}").failed(2, &["\\u001b[2J\\u202e"]),
        "baseline",
    );
    space.replace("config.toml", "path = \"model\"", "path = \"\\u001b[2Jnone\"");
    clean(&space.longcode("run config.toml --device cpu").failed(2, &["\\u001b[2Jnone"]), "an error");
}

#[test]
fn the_page_runs_nothing_but_its_own() {
    let space = Workspace::new();
    space.run("");
    let page = space.text("results/tiny/report.html");
    let policy =
        page.split("Content-Security-Policy\" content=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    for tag in ["style", "script"] {
        let inner =
            page.split(&format!("<{tag}>")).nth(1).unwrap().split(&format!("</{tag}>")).next().unwrap();
        let hash = sha256(inner.as_bytes());
        let named: Vec<String> = policy.split("'sha256-").skip(1).map(from_base64).collect();
        assert!(named.contains(&hash), "{tag}: {hash} is not among {named:?}");
    }
    for inline in [" style=\"", " onclick=", " onload=", "javascript:"] {
        assert!(!page.contains(inline), "{inline}");
    }
}

/// The bytes of 32 in base64, in hex.
fn from_base64(text: &str) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |c: u8| digits.iter().position(|digit| *digit == c).unwrap() as u8;
    let bits = text.bytes().take(43).flat_map(|c| (0..6).rev().map(move |bit| (c, bit)));
    let bits: Vec<u8> = bits.map(|(c, bit)| value(c) >> bit & 1).collect();
    let byte = |bits: &[u8]| bits.iter().fold(0_u8, |byte, bit| byte << 1 | bit);
    bits.chunks_exact(8).map(|bits| format!("{:02x}", byte(bits))).collect()
}
