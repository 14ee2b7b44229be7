//! Pictures as SVG and PNG, and numbers as people read them; what they are of, their callers say.
//!
//! | module | what |
//! |---|---|
//! | [`chart`] | curves with intervals over a linear or logarithmic axis |
//! | [`dots`] | figures joined to those that they are held against |
//! | [`forest`] | rows with intervals, in panels |
//! | [`heatmap`] | values over two axes |
//! | [`stack`] | parts of a whole, side by side |
//! | [`svg`], [`mod@colour`], [`png`] | what these are made of, and turned into |
//! | [`mod@quote`] | names as cells of CSV and Markdown |
//! | [`number`] | digits by what an interval leaves certain |

pub(crate) mod chart;
pub(crate) mod colour;
pub(crate) mod dots;
pub(crate) mod forest;
pub(crate) mod heatmap;
pub(crate) mod number;
pub(crate) mod png;
pub(crate) mod quote;
pub(crate) mod stack;
pub(crate) mod svg;
