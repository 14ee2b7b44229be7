//! Tests of the whole crate, and what the tests of the units share.

use super::*;
use longcode_base::limits;

/// A source with most constructs that the units distinguish.
pub(crate) const PYTHON: &str = "\
# licence
import os, sys

@decorated
class Größe(Base):
    '''doc'''
    x = {'a': [1, 2]}

    # about f
    @property
    def f(self):
        if self.x:
            return [y for y in self.x
                    if y]
            # never
        else:
            pass

    async def g(self): await h()

def outer(a, b=(1, 2)):
    def inner():
        return lambda: 0
    return inner  # end

for i in range(3):
    print(f'{i}')
";

/// The regions of a text as `kind name|text`.
pub(crate) fn shown(text: &str, regions: &[Region]) -> Vec<String> {
    let show = |region: &Region| {
        let kind = format!("{:?}", region.kind).to_lowercase();
        let name = region.name.iter().map(|name| format!(" {name}")).collect::<String>();
        format!("{kind}{name}|{}", &text[region.start..region.end])
    };
    regions.iter().map(show).collect()
}

pub(crate) fn python(text: &str, unit: Unit) -> Vec<String> {
    shown_in(text, Language::Python, unit)
}

pub(crate) fn java(text: &str, unit: Unit) -> Vec<String> {
    shown_in(text, Language::Java, unit)
}

/// The regions of a text without a language; none if no unit is found.
pub(crate) fn parts_of_text(text: &str, unit: &str) -> Vec<String> {
    let source = Source { text, language: None, file_starts: &[] };
    let found = regions(&source, unit.parse().unwrap()).unwrap_or_default();
    found.iter().map(|region| text[region.start..region.end].to_string()).collect()
}

pub(crate) fn shown_in(text: &str, language: Language, unit: Unit) -> Vec<String> {
    let regions =
        regions(&Source { text, language: Some(language), file_starts: &[] }, unit).unwrap_or_default();
    shown(text, &regions)
}

/// The texts of regions, without their kinds.
pub(crate) fn texts(shown: Vec<String>) -> Vec<String> {
    shown.iter().map(|region| region.split_once('|').unwrap().1.to_string()).collect()
}

/// A special token, then up to four bytes for each.
pub(crate) fn tokens_of(text: &str) -> Vec<(usize, usize)> {
    let pieces = (0..text.len()).step_by(4).map(|at| at..text.len().min(at + 4));
    std::iter::once((0, 0))
        .chain(
            pieces.map(|piece| (text.floor_char_boundary(piece.start), text.ceil_char_boundary(piece.end))),
        )
        .collect()
}

/// Checks that indices go from 0, in steps of 0 or 1, up to the count.
pub(crate) fn assert_counts(segments: &Segments) {
    assert_eq!(segments.index.first().copied().unwrap_or_default(), 0);
    assert!(segments.index.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1));
    assert_eq!(segments.index.last().map_or(0, |last| *last as usize + 1), segments.count);
}

/// A source of random pieces, mostly not well-formed.
pub(crate) fn sample(seed: u64) -> String {
    const PIECES: [&str; 36] = [
        "def f(x):\n",
        "class C:\n",
        "  ",
        "    ",
        "\n",
        "pass\n",
        "# c\n",
        "@d\n",
        "x = (\n",
        ")",
        "'''",
        "if a:\n",
        "return 1; ",
        "\t",
        "\r\n",
        "é = '😀'\n",
        "\0",
        "void m() {",
        "}",
        "class J { int x;",
        "/* c */",
        "// d\n",
        "lambda: 0",
        "\u{c}\u{3000}\u{feff}",
        "#if X\n",
        "#else\n",
        "#endif\n",
        "#define M(a) \\\n",
        "EXPORT_API(é) ",
        "const f = () => {",
        "func g(a int) {\n",
        "fn h<T>() -> T {\n",
        "#[a]\n",
        "template <class T> struct S {",
        "export default class ",
        "typedef union {",
    ];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        PIECES[state as usize % PIECES.len()]
    };
    (0..5 + seed as usize % 80).map(|_| next()).collect()
}

const UNITS: [Unit; 5] =
    [Unit::FUNCTION, Unit::FUNCTION_AUTHORS, Unit::STATEMENT, Unit::FILE, Unit::FALLBACK];

fn assert_sound(source: &Source) {
    assert_sound_by(source, &UNITS);
}

fn assert_sound_by(source: &Source, units: &[Unit]) {
    for &unit in units {
        if let Some(regions) = regions(source, unit) {
            let mut at = 0;
            for (number, region) in regions.iter().enumerate() {
                assert!(
                    region.start == at && region.end > at && region.segment as usize == number,
                    "{unit}: {region:?}"
                );
                at = region.end;
            }
            assert_eq!(at, source.text.len());
        }
        let tokens = tokens_of(source.text);
        let segments = segments(source, &tokens, unit, Draw::default());
        assert_eq!(segments.index.len(), tokens.len());
        assert_counts(&segments);
    }
}

#[test]
fn generated_sources_are_covered_and_counted() {
    for seed in 0..100 {
        let text = sample(seed);
        for language in [Some(Language::Python), Some(Language::Java), None] {
            assert_sound(&Source { text: &text, language, file_starts: &[] });
            assert_sound(&Source { text: &text, language, file_starts: &[0, 11, 40] });
        }
    }
}

#[test]
fn generated_sources_of_every_language() {
    for seed in 0..30 {
        let text = sample(seed);
        for &language in Language::ALL {
            assert_sound(&Source { text: &text, language: Some(language), file_starts: &[] });
        }
    }
}

#[test]
fn hard_sources_are_covered_and_counted() {
    let hard = [
        String::new(),
        "\0".repeat(100),
        "\r\r\n\n".to_string(),
        "def f(): pass\0\ndef g(): pass".to_string(),
        format!("def f():\n return {}1{}\n", "(".repeat(5000), ")".repeat(5000)),
        format!("def f():\n return {}", "(".repeat(5000)),
        (0..1000).map(|n| format!("{}if x:\n", " ".repeat(n))).collect(),
        format!("class A {{ void f() {}{} }}", "{".repeat(5000), "}".repeat(5000)),
        format!("{} void f() {{}} {}", "class A {".repeat(5000), "}".repeat(5000)),
        format!("int f() {{ {}x{} }}", "(".repeat(5000), ")".repeat(5000)),
        format!("{}\nint f() {{}}\n{}", "#if X\n".repeat(5000), "#endif\n".repeat(5000)),
        format!("const a = {}1{};", "{ b: () => ".repeat(2000), " }".repeat(2000)),
        "This is, in words; no (code at all: it \"goes on\" and\n".repeat(300),
    ];
    for text in &hard {
        for language in [Language::Python, Language::Java] {
            assert_sound(&Source { text, language: Some(language), file_starts: &[] });
        }
        for &language in Language::ALL {
            assert_sound_by(&Source { text, language: Some(language), file_starts: &[] }, &[Unit::FUNCTION]);
        }
    }
}

/// A parse that takes far more work than sources do is given up after a number of steps; one that is only
/// long or deep is not.
/// not.
#[test]
fn parses_are_given_up() {
    fn source(text: &str, language: Language) -> Source<'_> {
        Source { text, language: Some(language), file_starts: &[] }
    }
    let comments = |lines| format!("def f():\n{}    return 1\n", "    # a comment\n".repeat(lines));
    for (lines, is_too_much) in [(1_000, false), (100_000, true)] {
        let text = comments(lines);
        let source = source(&text, Language::Python);
        assert_eq!(is_given_up(&source), is_too_much, "{lines} lines");
        assert_eq!(regions(&source, Unit::FUNCTION).is_none(), is_too_much, "{lines} lines");
        assert_sound(&source);
    }
    let long = [
        format!("def f():\n    return {}1{}\n", "(".repeat(10_000), ")".repeat(10_000)),
        format!("def f():\n    return [{}]\n", "1, ".repeat(300_000)),
    ];
    for text in &long {
        assert!(!is_given_up(&source(text, Language::Python)));
        assert_eq!(regions(&source(text, Language::Python), Unit::FUNCTION).unwrap().len(), 1);
    }
}

/// A hundred thousand parts, nested or in sequence, come to an end, whatever the parser makes of them,
/// without recursion; a million come to an end no later, as work is estimated before it is done.
#[test]
fn a_hundred_thousand_parts_come_to_an_end() {
    const MANY: usize = 100_000;
    let nested = |open: &str, close: &str| open.repeat(MANY) + "1" + &close.repeat(MANY);
    let in_function = |inner: &str| format!("int f() {{ {inner}; }}\n");
    let cases = [
        (Language::C, in_function(&"if(a)".repeat(MANY)), true),
        (Language::C, in_function(&"(int)".repeat(MANY)), true),
        (Language::C, "char *f(a) char *a;\n".repeat(MANY), true),
        (Language::C, "#if X\n".repeat(MANY) + "int f() {}\n" + &"#endif\n".repeat(MANY), true),
        (Language::C, format!("int f() {{ ) {}/* \n */ }}", " ".repeat(MANY)), true),
        (Language::C, "AAA(".repeat(MANY) + "}", true),
        (Language::C, "AAA } ".repeat(MANY), true),
        (Language::Cpp, in_function(&format!("x = {}", nested("a<", ">"))), false),
        (Language::Cpp, in_function(&("a<".repeat(3 * MANY) + "b")), false),
        (Language::Cpp, "extern \"C\" { int f() {} ".repeat(MANY) + &"}".repeat(MANY), true),
        (Language::Cpp, "classclass".repeat(MANY), true),
        (Language::CSharp, format!("class A {{ void F() {{ x = {}; }} }}", nested("(T)", "")), true),
        (Language::CSharp, format!("class A {{ void F() {{ x = {}; }} }}", nested("$\"{", "}\"")), true),
        (Language::Java, "class A{".repeat(MANY) + &"}".repeat(MANY), true),
        (Language::JavaScript, "class A{f(){}".repeat(MANY) + &"}".repeat(MANY), true),
        (Language::JavaScript, format!("x = {}", nested("`${", "}`")), true),
        (Language::Python, format!("def f():\n  x = {}\n", nested("f\"{", "}\"")), true),
        (Language::Rust, format!("fn f() {{ {} }}", nested("match a{_=>", "}")), true),
        (Language::Rust, format!("fn f() {{ x = {}; }}", "\"a\" ".repeat(MANY)), false),
        (Language::TypeScript, "the quick brown fox\n".repeat(MANY), false),
    ];
    let million = |open: &str, close: &str| open.repeat(10 * MANY) + "1" + &close.repeat(10 * MANY);
    let more = [
        (Language::C, in_function(&"if(a)".repeat(10 * MANY)), true),
        (Language::Cpp, in_function(&format!("x = {}", million("a<", ">"))), false),
        (Language::CSharp, format!("class A {{ void F() {{ x = {}; }} }}", million("(T)", "")), true),
        (Language::Java, "class A{".repeat(10 * MANY) + &"}".repeat(10 * MANY), true),
        (Language::Python, format!("def f():\n  x = {}\n", million("f\"{", "}\"")), true),
        (Language::Rust, format!("fn f() {{ {} }}", million("match a{_=>", "}")), true),
    ];
    for (language, text, may_be_read) in cases.iter().chain(&more) {
        let source = Source { text, language: Some(*language), file_starts: &[] };
        let name = format!("{language}: {} ({} bytes)", &text[..40], text.len());
        let start = std::time::Instant::now();
        assert!(*may_be_read || is_given_up(&source), "{name}");
        if let Some(regions) = regions(&source, Unit::FUNCTION) {
            assert_eq!(regions.last().map(|last| last.end), Some(text.len()), "{name}");
        }
        println!("{name}: {:.1?}", start.elapsed());
    }
}

#[test]
fn what_looks_at_each_prefix_is_meant_for_files() {
    let text = "def f(): pass\n".repeat(limits::PREFIX_BYTES / 14 + 1);
    let source = Source { text: &text, language: Some(Language::Python), file_starts: &[] };
    let tokens = [(0, 3), (3, 5)];
    assert_eq!(segments_prefix_only(&source, &tokens, Unit::FUNCTION).unwrap().unit, Unit::FALLBACK);
}

#[test]
fn the_name_of_a_region_is_cut() {
    let text = format!("class A{} {{ void f() {{}} }}", "é".repeat(1000));
    let source = Source { text: &text, language: Some(Language::Java), file_starts: &[] };
    let name = regions(&source, Unit::FUNCTION).unwrap().remove(0).name.unwrap();
    assert_eq!(name.len(), limits::REGION_NAME_BYTES - 1);
}

#[test]
fn deep_nesting_ends_where_it_should() {
    let deep = format!("def f():\n return {}1{}", "(".repeat(5000), ")".repeat(5000));
    let text = format!("{deep}\nx = 1\n");
    assert_eq!(
        python(&text, Unit::FUNCTION),
        [format!("function f|{deep}"), "between|\nx = 1\n".to_string()]
    );
    let deep = format!("void f() {}{}", "{".repeat(5000), "}".repeat(5000));
    assert_eq!(java(&format!("class A {{ {deep} }}"), Unit::FUNCTION)[1], format!("function f|{deep}"));
    let text = format!("{} void f() {{}} {}", "class A {".repeat(5000), "}".repeat(5000));
    assert_eq!(java(&text, Unit::FUNCTION).len(), 10_001);
}

#[test]
fn a_hundred_thousand_lines() {
    let text = "class C:\n    # c\n    def f(self, x):\n        return x\n\n".repeat(20_000);
    let source = Source { text: &text, language: Some(Language::Python), file_starts: &[] };
    assert_eq!(regions(&source, Unit::FUNCTION).unwrap().len(), 40_000);
    assert_eq!(regions(&source, Unit::FUNCTION_AUTHORS).unwrap().len(), 20_000);
    assert_eq!(regions(&source, Unit::STATEMENT).unwrap().len(), 60_000);
    assert_counts(&segments(&source, &tokens_of(&text), Unit::FUNCTION, Draw::default()));
}
