//! The unit `statement`: a boundary at the start of every statement at any depth. The language's entry
//! defines what is a statement.

use super::RegionKind;
use super::outline::Outline;
use super::syntax::Parsed;
use super::unit::{Divide, UnitKind};

pub(super) const ENTRY: UnitKind = UnitKind {
    name: "statement",
    about: "the start of every statement, at any depth",
    divide: Divide::Tree(outline),
};

fn outline(parsed: &Parsed, text: &str) -> Outline {
    let mut outline = Outline::default();
    parsed.walk(text, |place, entry| {
        if entry.is_comment(place) {
            outline.comments.push(place.node.byte_range());
        } else if (entry.is_statement)(place) {
            let start = place.attributes.unwrap_or(place.node.start_byte());
            outline.begin_unit(start, RegionKind::Statement, None);
        }
    });
    outline
}

#[cfg(test)]
mod tests {
    use super::super::Unit;
    use super::super::tests::{java, python, texts};

    #[test]
    fn python_statements_at_any_depth() {
        let parts = [
            "# top\n@d\ndef f(a):\n  ",
            "'doc'\n  ",
            "if a: ",
            "return 1\n  elif b:\n    ",
            "x = [\n 1]; ",
            "y = 2 # c\n  # d\n  else:\n    ",
            "try:\n      ",
            "pass\n    except E:\n      ",
            "raise\n",
            "class C(A):\n  ",
            "import os\n",
            "match x:\n  case 1 if y:\n    ",
            "del x\n",
            "with a as b: ",
            "print(1)\n",
        ];
        assert_eq!(texts(python(&parts.concat(), Unit::STATEMENT)), parts);
    }

    #[test]
    fn java_statements_at_any_depth() {
        let parts = [
            "// top\npackage p; ",
            "import a.B; ",
            "@X class A { ",
            "int x = 1; ",
            "static { ",
            "f(); } ",
            "{ ",
            "g(); } ",
            "A() { ",
            "super(); ",
            "x = 2; } ",
            "void m() { ",
            "int y; ",
            "{ ",
            "y = 1; } ",
            "; ",
            "for (int i = 0; i < 9; i++) { ",
            "h(() -> { ",
            "k(); }); } ",
            "if (a) ",
            "b(); else ",
            "if (c) { ",
            "d(); } ",
            "switch (x) { case 1: ",
            "e(); ",
            "break; default: ",
            "{ ",
            "o(); } } ",
            "int z = switch (x) { case 1 -> ",
            // The grammar does not distinguish a value from a statement here.
            "2; default -> { ",
            "yield 3; } }; ",
            "l: ",
            "while (a) ",
            "return; } ",
            "interface I { ",
            "int C = 1; ",
            "void q(); } }",
        ];
        assert_eq!(texts(java(&parts.concat(), Unit::STATEMENT)), parts);
    }
}
