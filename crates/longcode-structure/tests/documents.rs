//! The documents against the lists of units and controls.

use longcode_structure::{Control, UnitKind};

#[test]
fn the_definitions_have_a_row_for_every_unit_and_control() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/encodings.md");
    let definitions = std::fs::read_to_string(path).unwrap();
    let units = UnitKind::ALL.iter().map(UnitKind::form);
    for form in units.chain(Control::ALL.iter().map(|control| control.form())) {
        let row = format!("| `{form}` | ");
        assert!(definitions.lines().any(|line| line.starts_with(&row)), "docs/encodings.md lacks {form}");
    }
}
