//! Rows beside each other in panels: a value with its interval for each row, and a line at 0.

use super::chart::{COLOURS, step};
use super::svg::{Svg, width_of};

const ROW: f64 = 24.0;
const PANEL: f64 = 230.0;
const BETWEEN: f64 = 28.0;
const TOP: f64 = 72.0;

/// What is drawn.
pub(crate) struct Forest {
    pub(crate) title: String,
    /// What the rows are called, and the group that gives each its colour.
    pub(crate) rows: Vec<(String, usize)>,
    pub(crate) panels: Vec<Panel>,
}

/// One axis.
pub(crate) struct Panel {
    pub(crate) name: String,
    /// What the axis is.
    pub(crate) axis: String,
    /// Of every row: value, and the ends of its interval.
    pub(crate) points: Vec<Option<[f64; 3]>>,
}

impl Forest {
    /// The picture as SVG.
    pub(crate) fn svg(&self) -> String {
        let names = self.rows.iter().map(|(name, _)| width_of(name)).fold(60.0, f64::max);
        let left = 16.0 + names + 12.0;
        let panels = self.panels.len() as f64;
        let width = (left + panels * (PANEL + BETWEEN)).max(width_of(&self.title) * 1.25 + 32.0);
        let bottom = TOP + ROW * self.rows.len() as f64;
        let mut svg = Svg::new(width, bottom + 52.0, &self.title);
        for (number, (name, group)) in self.rows.iter().enumerate() {
            let y = TOP + ROW * (number as f64 + 0.5);
            svg.line((left, y), (width - BETWEEN, y), "stroke=\"#eeeeee\"");
            svg.rectangle((left - 9.0, y - 4.0), (5.0, 8.0), &format!("fill=\"{}\"", colour(*group)));
            svg.text((left - 14.0, y + 4.0), "end", name);
        }
        for (number, panel) in self.panels.iter().enumerate() {
            self.panel(&mut svg, panel, left + number as f64 * (PANEL + BETWEEN), bottom);
        }
        svg.finish()
    }

    fn panel(&self, svg: &mut Svg, panel: &Panel, left: f64, bottom: f64) {
        let (low, high) = panel.limits();
        let x = |value: f64| left + PANEL * (value.clamp(low, high) - low) / (high - low);
        svg.text((left, TOP - 16.0), "start", &panel.name);
        let step = step((high - low) / 4.0);
        let places = (-step.log10().floor()).max(0.0) as usize;
        for n in (low / step).ceil() as i64..=(high / step).floor() as i64 {
            let value = n as f64 * step;
            let style = if n == 0 { "stroke=\"#333333\"" } else { "stroke=\"#dddddd\"" };
            svg.line((x(value), TOP), (x(value), bottom), style);
            svg.text((x(value), bottom + 18.0), "middle", &format!("{value:.places$}"));
        }
        svg.text((left + PANEL / 2.0, bottom + 38.0), "middle", &panel.axis);
        for ((number, (_, group)), point) in self.rows.iter().enumerate().zip(&panel.points) {
            let Some([value, from, to]) = *point else { continue };
            let (y, colour) = (TOP + ROW * (number as f64 + 0.5), colour(*group));
            svg.line((x(from), y), (x(to), y), &format!("stroke=\"{colour}\" stroke-width=\"2\""));
            if value < low || value > high {
                // Beyond the axis: an arrow at its end.
                let (tip, back) = if value < low { (x(low), 8.0) } else { (x(high), -8.0) };
                let style = format!("fill=\"{colour}\"");
                svg.polygon(&[(tip, y), (tip + back, y - 5.0), (tip + back, y + 5.0)], &style);
            } else {
                svg.circle((x(value), y), 4.0, &format!("fill=\"{colour}\" stroke=\"white\""));
            }
        }
    }
}

fn colour(group: usize) -> &'static str {
    COLOURS[group % COLOURS.len()]
}

impl Panel {
    /// What the axis spans: 0, and all rows but those far from the middle ones.
    fn limits(&self) -> (f64, f64) {
        let mut reaches: Vec<f64> = self
            .points
            .iter()
            .flatten()
            .map(|[value, ..]| value.abs())
            .filter(|reach| reach.is_finite())
            .collect();
        reaches.sort_unstable_by(f64::total_cmp);
        let most = 3.0 * reaches.get(reaches.len() / 2).copied().unwrap_or(0.0).max(1e-3);
        let inside = |value: f64| value.clamp(-most, most);
        let ends = || self.points.iter().flatten().flat_map(|point| point.map(inside));
        let (low, high) = (ends().fold(0.0, f64::min), ends().fold(0.0, f64::max));
        let margin = 0.04 * (high - low).max(1e-3);
        (low - margin, high + margin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_far_away_is_an_arrow() {
        let panel = Panel {
            name: "lm".into(),
            axis: "gained".into(),
            points: vec![Some([0.1, 0.0, 0.2]), Some([0.05, -0.1, 0.2]), Some([-9.0, -9.5, -8.0]), None],
        };
        let (low, high) = panel.limits();
        assert!(low > -1.0 && high > 0.2, "{low} {high}");
        let rows = ["a", "b", "c", "d"].iter().enumerate().map(|(n, name)| (name.to_string(), n)).collect();
        let svg = Forest { title: "t".into(), rows, panels: vec![panel] }.svg();
        assert_eq!((svg.matches("<circle").count(), svg.matches("<polygon").count()), (2, 1), "{svg}");
        assert!(crate::draw::png::png(&svg).is_some());
    }
}
