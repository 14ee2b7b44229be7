//! The unit `file`: one segment for each file of a prompt of several.

use super::RegionKind;
use super::outline::Outline;
use super::unit::{Divide, UnitKind};

pub(super) const ENTRY: UnitKind = UnitKind {
    name: "file",
    about: "the start of every file of a prompt of several",
    divide: Divide::Text(outline),
};

fn outline(_text: &str) -> Outline {
    let mut outline = Outline::default();
    outline.begin_unit(0, RegionKind::File, None);
    outline
}
