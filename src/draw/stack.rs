//! Stacked bars: what adds up to a difference.

use longcode_stats::Estimate;

use super::colour::colour;
use super::number::number;
use super::svg::{Svg, width_of};

const HEIGHT: f64 = 300.0;
const TOP: f64 = 84.0;
const LEFT: f64 = 64.0;
/// A bar and the room to the next.
const BAR: f64 = 26.0;
const STEP: f64 = 44.0;
/// A bar that is so many times as high as the middle one is cut, so that the others can be told.
const CUT: f64 = 1.5;

/// What is drawn.
pub(crate) struct Stack {
    pub(crate) title: String,
    /// What the height is.
    pub(crate) axis: String,
    /// Names of the parts.
    pub(crate) groups: Vec<String>,
    pub(crate) bars: Vec<Bar>,
}

/// One bar: its parts above 0 stand on each other, and those below hang.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) parts: Vec<f64>,
    pub(crate) total: Estimate,
}

impl Bar {
    /// How far it reaches below and above 0.
    fn reach(&self) -> (f64, f64) {
        let sum = |sign: f64| self.parts.iter().filter(|part| **part * sign > 0.0).sum::<f64>();
        (sum(-1.0).min(self.total.low), sum(1.0).max(self.total.high))
    }
}

impl Stack {
    /// The picture as SVG.
    pub(crate) fn svg(&self) -> String {
        let (low, high) = self.limits();
        let names = self.bars.iter().map(|bar| width_of(&bar.name)).fold(0.0, f64::max);
        let legend =
            self.groups.iter().map(|group| width_of(group)).fold(width_of("total, 95% interval"), f64::max);
        let right = LEFT + STEP * self.bars.len() as f64;
        let width =
            (right + 48.0 + legend).max(width_of(&self.title) * 1.25 + 32.0).max(width_of(&self.axis) + 32.0);
        let mut svg = Svg::new(width, TOP + HEIGHT + 0.75 * names + 40.0, &self.title);
        svg.text((16.0, 52.0), "start", &self.axis);
        let y = |value: f64| TOP + HEIGHT * (high - value.clamp(low, high)) / (high - low);
        for tick in ticks(low, high) {
            let style = if tick == 0.0 { "stroke=\"black\"" } else { "stroke=\"#dddddd\"" };
            svg.line((LEFT, y(tick)), (right, y(tick)), style);
            svg.text((LEFT - 6.0, y(tick) + 4.0), "end", &format!("{tick:+.2}"));
        }
        for (number, bar) in self.bars.iter().enumerate() {
            self.bar(&mut svg, bar, LEFT + STEP * number as f64 + (STEP - BAR) / 2.0, (low, high), &y);
        }
        self.legend(&mut svg, right + 20.0);
        svg.finish()
    }

    /// What the axis spans: all bars, but those that tower above the others.
    fn limits(&self) -> (f64, f64) {
        let reaches: Vec<(f64, f64)> = self.bars.iter().map(Bar::reach).collect();
        let mut heights: Vec<f64> = reaches.iter().map(|(low, high)| high.max(-low)).collect();
        heights.sort_unstable_by(f64::total_cmp);
        let most = CUT * heights.get(heights.len() / 2).copied().unwrap_or(0.0).max(1e-3);
        let inside = |value: f64| value.clamp(-most, most);
        let low = reaches.iter().map(|reach| inside(reach.0)).fold(0.0, f64::min);
        let high = reaches.iter().map(|reach| inside(reach.1)).fold(0.0, f64::max);
        let margin = 0.04 * (high - low).max(1e-3);
        (low - margin, high + margin)
    }

    fn bar(&self, svg: &mut Svg, bar: &Bar, left: f64, (low, high): (f64, f64), y: &dyn Fn(f64) -> f64) {
        let (mut below, mut above) = (0.0, 0.0);
        for (group, &part) in bar.parts.iter().enumerate() {
            let start = if part < 0.0 { &mut below } else { &mut above };
            let (from, to) = (*start, *start + part);
            *start = to;
            let (top, bottom) = (y(from.max(to)), y(from.min(to)));
            let style = format!("fill=\"{}\" stroke=\"white\" stroke-width=\"0.5\"", self.colour(group));
            svg.rectangle((left, top), (BAR, bottom - top), &style);
        }
        let middle = left + BAR / 2.0;
        let at = |value: f64| (middle, y(value));
        for (width, colour) in [(4.0, "white"), (1.5, "black")] {
            let style = format!("stroke=\"{colour}\" stroke-width=\"{width}\"");
            svg.line(at(bar.total.low), at(bar.total.high), &style);
        }
        svg.circle(at(bar.total.value), 4.0, "fill=\"white\" stroke=\"black\" stroke-width=\"1.5\"");
        if bar.reach().0 < low || bar.reach().1 > high {
            let above = y(high) - 4.0;
            svg.text((middle, above), "middle", &number(bar.total.value));
        }
        svg.turned_text((middle + 4.0, TOP + HEIGHT + 16.0), "end", 40.0, &bar.name);
    }

    fn legend(&self, svg: &mut Svg, left: f64) {
        for (group, name) in self.groups.iter().enumerate() {
            let top = TOP + 20.0 * group as f64;
            svg.rectangle((left, top), (14.0, 14.0), &format!("fill=\"{}\"", self.colour(group)));
            svg.text((left + 20.0, top + 12.0), "start", name);
        }
        let top = TOP + 20.0 * self.groups.len() as f64;
        svg.circle((left + 7.0, top + 8.0), 4.0, "fill=\"white\" stroke=\"black\" stroke-width=\"1.5\"");
        svg.text((left + 20.0, top + 12.0), "start", "total, 95% interval");
    }

    fn colour(&self, group: usize) -> String {
        colour(group as f64 / (self.groups.len().max(2) - 1) as f64)
    }
}

/// About six round numbers, 0 among them.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 6.0;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let numbers = (low / step).ceil() as i64..=(high / step).floor() as i64;
    numbers.map(|n| n as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_hold_0() {
        assert_eq!(ticks(-0.35, 0.62), [-0.2, 0.0, 0.2, 0.4, 0.6000000000000001]);
        assert!(ticks(0.0, 3.0).contains(&0.0));
    }

    #[test]
    fn a_bar_that_towers_is_cut_and_numbered() {
        let total =
            |value: f64| Estimate { value, low: value - 0.01, high: value + 0.01, stderr: 0.01, n: 9 };
        let bar = |name: &str, parts: [f64; 2]| Bar {
            name: name.into(),
            parts: parts.to_vec(),
            total: total(parts.iter().sum()),
        };
        let stack = Stack {
            title: "a".into(),
            axis: "b".into(),
            groups: vec!["new".into(), "1-128".into()],
            bars: vec![bar("one", [0.1, -0.3]), bar("two", [0.2, -0.1]), bar("three", [9.0, 3.0])],
        };
        let (low, high) = stack.limits();
        assert!(low < -0.3 && high < 2.0 && high > 0.3, "{low} {high}");
        let svg = stack.svg();
        assert_eq!(svg.matches("12.00").count(), 1, "{svg}");
        assert!(crate::draw::png::png(&svg).is_some());
    }
}
