//! Stacked bars, a row each: what adds up to a gain or a loss.

use longcode_stats::Estimate;

use super::number::difference;
use super::svg::{Svg, width_of};

const WIDTH: f64 = 560.0;
const TOP: f64 = 92.0;
/// A row: the bar, and below it the lane of the total.
const ROW: f64 = 34.0;
const BAR: f64 = 15.0;
/// A bar that is so many times as long as the middle one is cut, so that the others can be told.
const CUT: f64 = 1.5;

/// From dark to light in even steps, each of another hue, so that neighbours differ in colour and in grey: viridis (Smith
/// and van der Walt 2015).
const COLOURS: [[f64; 3]; 6] = [
    [68.0, 1.0, 84.0],
    [64.0, 67.0, 135.0],
    [41.0, 120.0, 142.0],
    [34.0, 167.0, 132.0],
    [121.0, 209.0, 81.0],
    [253.0, 231.0, 36.0],
];

/// What is drawn.
pub(crate) struct Stack {
    pub(crate) title: String,
    /// What the length is.
    pub(crate) axis: String,
    /// What the parts are, and their names.
    pub(crate) parts: String,
    pub(crate) groups: Vec<String>,
    pub(crate) bars: Vec<Bar>,
}

/// One bar: its parts above 0 follow each other to the right, those below to the left.
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

/// Where values lie in the picture.
struct Place {
    left: f64,
    low: f64,
    high: f64,
}

impl Place {
    fn x(&self, value: f64) -> f64 {
        self.left + WIDTH * (value.clamp(self.low, self.high) - self.low) / (self.high - self.low)
    }
}

impl Stack {
    /// The picture as SVG.
    pub(crate) fn svg(&self) -> String {
        let (low, high) = self.limits();
        let names = self.bars.iter().map(|bar| width_of(&bar.name)).fold(60.0, f64::max);
        let place = Place { left: 16.0 + names + 44.0, low, high };
        let bottom = TOP + ROW * self.bars.len() as f64;
        let legend = self.groups.iter().map(|group| width_of(group)).fold(width_of(&self.parts), f64::max);
        let right = place.left + WIDTH + 48.0;
        let width = (right + legend + 40.0).max(width_of(&self.title) * 1.25 + 32.0);
        let below = 40.0 + 20.0 * (self.groups.len() + 3) as f64;
        let mut svg = Svg::new(width, (bottom + 52.0).max(TOP + below), &self.title);
        svg.text((place.left, 56.0), "start", &self.axis);
        for tick in ticks(low, high) {
            let x = place.x(tick);
            let style = if tick == 0.0 { "stroke=\"black\"" } else { "stroke=\"#dddddd\"" };
            svg.line((x, TOP - 8.0), (x, bottom), style);
            svg.text((x, bottom + 18.0), "middle", &difference(tick, 10.0));
        }
        let zero = place.x(0.0);
        svg.text((zero - 8.0, 76.0), "end", "← worse");
        svg.text((zero + 8.0, 76.0), "start", "better →");
        for (number, bar) in self.bars.iter().enumerate() {
            self.bar(&mut svg, bar, TOP + ROW * number as f64, &place);
        }
        self.legend(&mut svg, right);
        svg.finish()
    }

    /// What the axis spans: all bars, but those that tower above the others.
    fn limits(&self) -> (f64, f64) {
        let reaches: Vec<(f64, f64)> = self.bars.iter().map(Bar::reach).collect();
        let mut lengths: Vec<f64> = reaches.iter().map(|(low, high)| high.max(-low)).collect();
        lengths.sort_unstable_by(f64::total_cmp);
        let most = CUT * lengths.get(lengths.len() / 2).copied().unwrap_or(0.0).max(1e-3);
        let inside = |value: f64| value.clamp(-most, most);
        let low = reaches.iter().map(|reach| inside(reach.0)).fold(0.0, f64::min);
        let high = reaches.iter().map(|reach| inside(reach.1)).fold(0.0, f64::max);
        let margin = 0.04 * (high - low).max(1e-3);
        (low - margin, high + margin)
    }

    fn bar(&self, svg: &mut Svg, bar: &Bar, top: f64, place: &Place) {
        svg.text((place.left - 40.0, top + 13.0), "end", &bar.name);
        let (mut below, mut above) = (0.0, 0.0);
        for (group, &part) in bar.parts.iter().enumerate() {
            let start = if part < 0.0 { &mut below } else { &mut above };
            let (from, to) = (*start, *start + part);
            *start = to;
            let (left, right) = (place.x(from.min(to)), place.x(from.max(to)));
            if right > left {
                let style = format!("fill=\"{}\" stroke=\"white\" stroke-width=\"0.5\"", self.colour(group));
                svg.described(&format!("{}, {}: {}", bar.name, self.groups[group], difference(part, 1.0)));
                svg.rectangle((left, top), (right - left, BAR), &style);
                svg.end();
            }
        }
        let (low, high) = bar.reach();
        if low < place.low {
            break_mark(svg, (place.x(place.low) + 10.0, top));
        }
        if high > place.high {
            break_mark(svg, (place.x(place.high) - 15.0, top));
        }
        total(svg, bar, top + BAR + 7.0, place);
    }

    fn legend(&self, svg: &mut Svg, left: f64) {
        svg.text((left, TOP), "start", &self.parts);
        for (group, name) in self.groups.iter().enumerate() {
            let top = TOP + 12.0 + 20.0 * group as f64;
            let style = format!("fill=\"{}\" stroke=\"#555555\" stroke-width=\"0.5\"", self.colour(group));
            svg.rectangle((left, top), (14.0, 14.0), &style);
            svg.text((left + 20.0, top + 12.0), "start", name);
        }
        let y = TOP + 24.0 + 20.0 * self.groups.len() as f64;
        svg.line((left, y), (left + 14.0, y), "stroke=\"black\" stroke-width=\"1.5\"");
        svg.circle((left + 7.0, y), 3.5, "fill=\"black\"");
        svg.text((left + 20.0, y + 4.0), "start", "all together, 95%");
    }

    fn colour(&self, group: usize) -> String {
        let place = group as f64 / (self.groups.len().max(2) - 1) as f64 * (COLOURS.len() - 1) as f64;
        let n = (place as usize).min(COLOURS.len() - 2);
        let mix = |channel: usize| {
            let (from, to) = (COLOURS[n][channel], COLOURS[n + 1][channel]);
            (from + (to - from) * (place - n as f64)).round() as u8
        };
        format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
    }
}

/// The total with its interval, below the parts; an arrow and the number where it lies beyond the axis.
fn total(svg: &mut Svg, bar: &Bar, y: f64, place: &Place) {
    let Estimate { value, low, high, .. } = bar.total;
    let words = difference(value, 1.0);
    let [_, from, to] = [value, low, high].map(|value| difference(value, 1.0));
    svg.described(&format!("{}: {words} [{from}, {to}]", bar.name));
    svg.line((place.x(low), y), (place.x(high), y), "stroke=\"black\" stroke-width=\"1.5\"");
    if value < place.low {
        let x = place.x(place.low);
        svg.polygon(&[(x, y), (x + 8.0, y - 4.5), (x + 8.0, y + 4.5)], "fill=\"black\"");
        svg.text((x - 4.0, y + 4.0), "end", &words);
    } else if value > place.high {
        let x = place.x(place.high);
        svg.polygon(&[(x, y), (x - 8.0, y - 4.5), (x - 8.0, y + 4.5)], "fill=\"black\"");
        svg.text((x + 4.0, y + 4.0), "start", &words);
    } else {
        svg.circle((place.x(value), y), 3.5, "fill=\"black\"");
    }
    svg.end();
}

/// Two slanted white lines through a bar that goes on.
fn break_mark(svg: &mut Svg, (x, top): (f64, f64)) {
    for x in [x, x + 5.0] {
        svg.line((x - 3.0, top + BAR + 2.0), (x + 3.0, top - 2.0), "stroke=\"white\" stroke-width=\"2.5\"");
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

    fn stack() -> Stack {
        let total =
            |value: f64| Estimate { value, low: value - 0.01, high: value + 0.01, stderr: 0.01, n: 9 };
        let bar = |name: &str, parts: [f64; 2]| Bar {
            name: name.into(),
            parts: parts.to_vec(),
            total: total(parts.iter().sum()),
        };
        Stack {
            title: "a".into(),
            axis: "b".into(),
            parts: "c".into(),
            groups: vec!["new".into(), "1-128".into()],
            bars: vec![bar("one", [0.1, -0.3]), bar("two", [0.2, -0.1]), bar("three", [-9.0, -3.0])],
        }
    }

    #[test]
    fn a_bar_that_towers_is_cut_marked_and_numbered() {
        let (low, high) = stack().limits();
        assert!(low < -0.3 && low > -2.0 && high > 0.2, "{low} {high}");
        let svg = stack().svg();
        assert_eq!(svg.matches(">-12.000</text>").count(), 1, "{svg}");
        assert_eq!(svg.matches("stroke-width=\"2.5\"").count(), 2, "two lines of one break mark");
        assert!(crate::draw::png::png(&svg).is_some());
    }

    #[test]
    fn neighbours_differ_in_grey() {
        let mut stack = stack();
        stack.groups = (0..8).map(|n| n.to_string()).collect();
        let grey = |group| {
            let hex = u32::from_str_radix(&stack.colour(group)[1..], 16).unwrap();
            0.299 * f64::from(hex >> 16) + 0.587 * f64::from(hex >> 8 & 255) + 0.114 * f64::from(hex & 255)
        };
        assert!((1..8).all(|n| grey(n) - grey(n - 1) > 12.0), "{:?}", (0..8).map(grey).collect::<Vec<_>>());
    }
}
