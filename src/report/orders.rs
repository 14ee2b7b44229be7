//! How far a figure's values in several orders of the options are apart.

use super::table::{Cell, Column, Table};
use crate::draw::number::number;

/// Adds the largest less the smallest of each row to a table by order.
pub(super) fn add_spread(table: &mut Table) {
    let samples = table.columns.last().map_or(String::new(), |last| last.samples.clone());
    table.columns.push(Column { name: "spread".into(), beyond: false, samples });
    for (_, cells) in &mut table.rows {
        let values = || cells.iter().filter_map(|cell| cell.value);
        let spread = values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min);
        let cell = Cell { text: number(spread), value: Some(spread), ..Cell::default() };
        let is_known = values().count() > 1;
        cells.push(if is_known { cell } else { Cell::default() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Content;
    use crate::task::{Better, Metric};

    #[test]
    fn the_largest_less_the_smallest() {
        let cell = |value: f64| Cell { value: Some(value), ..Cell::default() };
        let mut table = Table {
            title: String::new(),
            metric: Metric::percent("accuracy", Better::Higher),
            content: Content::Samples,
            columns: vec![Column { name: "order 1".into(), beyond: false, samples: "8".into() }; 3],
            rows: vec![
                ("a".into(), vec![cell(50.0), cell(12.5), cell(37.5)]),
                ("b".into(), vec![cell(50.0), Cell::default(), Cell::default()]),
            ],
        };
        add_spread(&mut table);
        assert_eq!((table.columns[3].name.as_str(), table.columns[3].samples.as_str()), ("spread", "8"));
        assert_eq!(table.rows[0].1[3].value, Some(37.5));
        assert_eq!(table.rows[1].1[3].text, "-", "one order has no spread");
    }
}
