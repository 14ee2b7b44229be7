//! Grids of length by depth, one panel an encoding.

use super::colour::colour;
use super::number::number;
use super::svg::{Svg, width_of};

/// Size of a cell, pixels.
const CELL: (f64, f64) = (56.0, 26.0);
/// Room of a panel beside its cells: depths on the left, name above, lengths below.
const LEFT: f64 = 66.0;
const ABOVE: f64 = 34.0;
const BELOW: f64 = 48.0;
/// Panels side by side.
const ACROSS: usize = 3;
const TOP: f64 = 48.0;

/// What is drawn.
pub(crate) struct HeatMap {
    pub(crate) title: String,
    /// Tokens, increasing.
    pub(crate) lengths: Vec<usize>,
    /// Percent, increasing.
    pub(crate) depths: Vec<u8>,
    /// Number of lengths within the training length.
    pub(crate) within: usize,
    /// Tokens.
    pub(crate) trained_length: usize,
    /// What the darkest and the lightest colour are.
    pub(crate) range: (f64, f64),
    pub(crate) panels: Vec<Panel>,
}

/// The grid of one encoding.
pub(crate) struct Panel {
    pub(crate) name: String,
    /// By depth, then length; none where nothing was measured.
    pub(crate) cells: Vec<Vec<Option<f64>>>,
}

impl HeatMap {
    /// The picture as SVG.
    pub(crate) fn svg(&self) -> String {
        let across = self.panels.len().clamp(1, ACROSS) as f64;
        let names = self.panels.iter().map(|panel| width_of(&panel.name)).fold(0.0, f64::max);
        let panel = (
            (LEFT + 20.0 + CELL.0 * self.lengths.len() as f64).max(names + 24.0),
            ABOVE + BELOW + CELL.1 * self.depths.len() as f64,
        );
        let words = format!(
            "dark: {}, light: {}; dashed line: the training length of {} tokens",
            number(self.range.0),
            number(self.range.1),
            self.trained_length
        );
        let width = (panel.0 * across).max(width_of(&self.title) * 16.0 / 13.0).max(width_of(&words)) + 32.0;
        let down = self.panels.len().div_ceil(ACROSS) as f64;
        let mut svg = Svg::new(width, TOP + panel.1 * down + 28.0, &self.title);
        for (number, one) in self.panels.iter().enumerate() {
            let (column, row) = (number % ACROSS, number / ACROSS);
            self.panel(&mut svg, one, 16.0 + panel.0 * column as f64, TOP + panel.1 * row as f64);
        }
        svg.text((16.0, TOP + panel.1 * down + 12.0), "start", &words);
        svg.finish()
    }

    fn panel(&self, svg: &mut Svg, panel: &Panel, left: f64, top: f64) {
        let corner = (left + LEFT, top + ABOVE);
        let (width, height) = (CELL.0 * self.lengths.len() as f64, CELL.1 * self.depths.len() as f64);
        svg.styled_text((corner.0, top + 20.0), "start", &panel.name, " font-weight=\"bold\"");
        for (row, depth) in self.depths.iter().enumerate() {
            let y = corner.1 + CELL.1 * (row as f64 + 0.5) + 4.5;
            svg.text((corner.0 - 6.0, y), "end", &format!("{depth}%"));
            for (column, cell) in panel.cells[row].iter().enumerate() {
                let at = (corner.0 + CELL.0 * column as f64, corner.1 + CELL.1 * row as f64);
                self.cell(svg, at, *cell);
            }
        }
        for (column, length) in self.lengths.iter().enumerate() {
            let x = corner.0 + CELL.0 * (column as f64 + 0.5);
            svg.text((x, corner.1 + height + 18.0), "middle", &length.to_string());
        }
        svg.text((corner.0 + width / 2.0, corner.1 + height + 36.0), "middle", "length, tokens");
        svg.turned_text((left + 12.0, corner.1 + height / 2.0), "middle", 90.0, "depth");
        if self.within < self.lengths.len() {
            let x = corner.0 + CELL.0 * self.within as f64;
            for (colour, dash) in [("white", ""), ("black", " stroke-dasharray=\"4 4\"")] {
                let style = format!("stroke=\"{colour}\" stroke-width=\"2.5\"{dash}");
                svg.line((x, corner.1 - 5.0), (x, corner.1 + height + 5.0), &style);
            }
        }
    }

    fn cell(&self, svg: &mut Svg, at: (f64, f64), value: Option<f64>) {
        let share =
            value.map(|value| ((value - self.range.0) / (self.range.1 - self.range.0)).clamp(0.0, 1.0));
        let fill = share.map_or("white".into(), colour);
        svg.rectangle(at, CELL, &format!("fill=\"{fill}\" stroke=\"white\""));
        let ink = if share.is_some_and(|share| share < 0.55) { "white" } else { "black" };
        let words = value.map_or("-".into(), number);
        let middle = (at.0 + CELL.0 / 2.0, at.1 + CELL.1 / 2.0 + 4.5);
        svg.styled_text(middle, "middle", &words, &format!(" fill=\"{ink}\""));
    }
}
