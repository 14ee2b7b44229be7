//! A table as text whose columns are aligned.

use super::{Cell, Mark, Table};

/// Marks a column whose context exceeds the training length.
const BEYOND: &str = "†";

/// Cells by row; the first row is the header, the first column the row names, the last row the numbers
/// of samples where columns have them.
pub(super) struct Grid {
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// The cells' texts as `plain` writes a text, and `mark` decorates that.
    pub(super) fn new(
        table: &Table,
        plain: fn(&str) -> String,
        mark: impl Fn(String, Mark) -> String,
    ) -> Grid {
        let start = |name: &str| vec![plain(name)];
        let mut header = start("encoding");
        header.extend(table.columns.iter().map(|column| {
            let name = plain(&column.name);
            if column.beyond { format!("{name} {BEYOND}") } else { name }
        }));
        let mut counts = start("n");
        counts.extend(table.columns.iter().map(|column| column.samples.clone()));
        let row = |(name, cells): &(String, Vec<Cell>)| {
            start(name)
                .into_iter()
                .chain(cells.iter().map(|cell| mark(plain(&table.text(cell)), cell.mark)))
                .collect()
        };
        let counted = table.columns.iter().any(|column| !column.samples.is_empty());
        let counts = counted.then_some(counts);
        Grid { rows: [header].into_iter().chain(table.rows.iter().map(row)).chain(counts).collect() }
    }

    /// Rows of cells, the first column padded on the right and the others on the left; `hidden` says how
    /// many of a cell's characters take no room.
    pub(super) fn aligned(&self, hidden: impl Fn(&str) -> usize) -> Vec<Vec<String>> {
        let room = |cell: &String| cell.chars().count() - hidden(cell);
        let width = |column: usize| self.rows.iter().map(|row| room(&row[column])).max().unwrap_or(0).max(3);
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        let pad = |(column, cell): (usize, &String)| {
            let space = " ".repeat(widths[column] - room(cell));
            if column > 0 { format!("{space}{cell}") } else { format!("{cell}{space}") }
        };
        self.rows.iter().map(|row| row.iter().enumerate().map(pad).collect()).collect()
    }
}
