//! A table as Markdown whose columns are aligned, so that it reads well in a terminal too.

/// Cells by row; the first row is the header, the first column the row names.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(header: Vec<String>) -> Table {
        Table { rows: vec![header] }
    }

    pub(super) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// First column to the left, the others to the right.
    pub(super) fn markdown(&self) -> String {
        let columns = self.rows[0].len();
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            text.push_str(&line(
                row.iter().enumerate().map(|(column, cell)| pad(cell, widths[column], column > 0)),
            ));
            if number == 0 {
                text.push_str(&line(
                    widths.iter().enumerate().map(|(column, &width)| rule(width, column > 0)),
                ));
            }
        }
        text
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

fn rule(width: usize, right: bool) -> String {
    match right {
        true => format!("{}:", "-".repeat(width - 1)),
        false => "-".repeat(width),
    }
}

fn pad(cell: &str, width: usize, right: bool) -> String {
    let space = " ".repeat(width - cell.chars().count());
    if right { format!("{space}{cell}") } else { format!("{cell}{space}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(vec!["encoding".into(), "0-512 †".into()]);
        table.push(vec!["HiRoPE".into(), "**3.1**".into()]);
        let expected = "\
| encoding | 0-512 † |
| -------- | ------: |
| HiRoPE   | **3.1** |
";
        assert_eq!(table.markdown(), expected);
    }
}
