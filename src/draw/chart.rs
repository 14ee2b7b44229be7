//! Curves with bands over ordered categories: buckets, positions, values of a sweep.

use super::number::number;
use super::svg::{Point, Svg, width_of};

/// Colours that the colour-blind can tell apart (Okabe and Ito 2008, its yellow left out for want of
/// contrast). Curves beyond the seventh are dashed, and each has its own marker, so that a print in grey
/// reads too.
pub(super) const COLOURS: [&str; 7] =
    ["#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];

/// Kinds of [`marker`].
const MARKERS: usize = 10;

/// The plot's corners where nothing needs more room, pixels.
const LEFT: f64 = 72.0;
const RIGHT: f64 = 688.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 412.0;
/// From one name of the legend to the next.
const LEGEND_STEP: f64 = 24.0;

/// Most names of categories that are written: of more, every second, third and so on.
const MOST_TICKS: usize = 44;
/// Most names of curves beside the plot.
const MOST_NAMES: usize = 80;

/// What is drawn.
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What the axes are.
    pub(crate) x: String,
    pub(crate) y: String,
    /// The categories.
    pub(crate) ticks: Vec<String>,
    /// A line across, at a place among the categories (their middles are whole numbers), and its words.
    pub(crate) limit: Option<(f64, String)>,
    /// Values above are drawn at it, and the picture says so.
    pub(crate) highest: f64,
    /// Values below are drawn at it, likewise.
    pub(crate) lowest: f64,
    pub(crate) curves: Vec<Curve>,
}

/// A named curve.
pub(crate) struct Curve {
    pub(crate) name: String,
    /// Decides colour, dash and marker: the same for an encoding in every picture. None: grey, thin and not named.
    pub(crate) style: Option<usize>,
    /// In the order of the categories.
    pub(crate) points: Vec<DataPoint>,
}

/// A figure with its interval.
#[derive(Clone, Copy)]
pub(crate) struct DataPoint {
    /// Which category.
    pub(crate) tick: usize,
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Chart {
    /// The picture as SVG.
    pub(crate) fn svg(&self) -> String {
        let scale = Scale::new(self);
        let longest = self.named().map(|curve| width_of(&curve.name)).fold(0.0, f64::max);
        let width = (RIGHT + 72.0 + longest).max(32.0 + width_of(&self.title) * 16.0 / 13.0);
        let below = if scale.turned { 40.0 + scale.longest_tick * 0.6 } else { 56.0 };
        let mut svg = Svg::new(width, scale.bottom + below, &self.title);
        self.axes(&mut svg, &scale, scale.bottom + below - 14.0);
        self.limit(&mut svg, &scale);
        for curve in self.curves.iter().filter(|curve| curve.style.is_none()) {
            self.draw(&mut svg, curve, &scale);
        }
        for (number, curve) in self.named().enumerate() {
            svg.group("curve", number);
            band(&mut svg, curve, &scale);
            self.draw(&mut svg, curve, &scale);
            svg.end();
        }
        self.legend(&mut svg);
        svg.finish()
    }

    /// The curves that are told apart.
    fn named(&self) -> impl Iterator<Item = &Curve> {
        self.curves.iter().filter(|curve| curve.style.is_some())
    }

    fn draw(&self, svg: &mut Svg, curve: &Curve, scale: &Scale) {
        let at = |point: &DataPoint| scale.at(point.tick, point.value);
        svg.polyline(&curve.points.iter().map(at).collect::<Vec<_>>(), &stroke(curve.style));
        for point in &curve.points {
            match curve.style {
                Some(style) => {
                    let [value, low, high] = [point.value, point.low, point.high].map(number);
                    let tick = &self.ticks[point.tick];
                    svg.described(&format!("{}, {tick}: {value} [{low}, {high}]", curve.name));
                    marker(svg, at(point), style);
                    svg.end();
                }
                None => svg.circle(at(point), 2.0, "fill=\"#999999\""),
            }
        }
    }

    fn axes(&self, svg: &mut Svg, scale: &Scale, label: f64) {
        let ticks = ((scale.high - scale.low) / scale.step).round() as usize;
        for value in (0..=ticks).map(|n| scale.low + n as f64 * scale.step) {
            let y = scale.y(value);
            svg.line((LEFT, y), (RIGHT, y), "stroke=\"#dddddd\"");
            // Sums of steps are not round numbers.
            let places = (-scale.step.log10().floor()).max(0.0) as usize;
            svg.text((LEFT - 8.0, y + 4.0), "end", &format!("{value:.places$}"));
        }
        svg.line((LEFT, scale.bottom), (RIGHT, scale.bottom), "stroke=\"#333333\"");
        svg.line((LEFT, TOP), (LEFT, scale.bottom), "stroke=\"#333333\"");
        let every = self.ticks.len().div_ceil(MOST_TICKS);
        for (number, tick) in self.ticks.iter().enumerate().step_by(every.max(1)) {
            let at = (scale.x(number as f64), scale.bottom + 20.0);
            if scale.turned {
                svg.turned_text((at.0 + 6.0, at.1 - 4.0), "end", 30.0, tick);
            } else {
                svg.text(at, "middle", tick);
            }
        }
        svg.text(((LEFT + RIGHT) / 2.0, label), "middle", &self.x);
        svg.turned_text((20.0, (TOP + scale.bottom) / 2.0), "middle", 90.0, &self.y);
        if self.curves.iter().flat_map(|curve| &curve.points).any(|point| point.value > self.highest) {
            let words = format!("above {}: drawn at {}", self.highest, self.highest);
            svg.text((RIGHT, TOP - 8.0), "end", &words);
        } else if self.curves.iter().flat_map(|curve| &curve.points).any(|point| point.value < self.lowest) {
            let words = format!("below {:.3}: drawn there", self.lowest);
            svg.text((RIGHT, TOP - 8.0), "end", &words);
        }
    }

    fn limit(&self, svg: &mut Svg, scale: &Scale) {
        let Some((place, words)) = &self.limit else { return };
        let x = scale.x(*place);
        svg.line(
            (x, TOP),
            (x, scale.bottom),
            "stroke=\"#555555\" stroke-width=\"1.5\" stroke-dasharray=\"3 3\"",
        );
        // On whichever side there is room.
        if x - LEFT > width_of(words) + 12.0 {
            svg.text((x - 6.0, TOP + 12.0), "end", words);
        } else {
            svg.text((x + 6.0, TOP + 12.0), "start", words);
        }
    }

    /// Names beside their lines, the highest curve at the end first, as the eye meets them.
    fn legend(&self, svg: &mut Svg) {
        let end = |curve: &Curve| curve.points.last().map_or(0.0, |point| point.value);
        let mut order: Vec<(usize, &Curve)> = self.named().enumerate().collect();
        order.sort_by(|(_, a), (_, b)| end(b).total_cmp(&end(a)));
        if let Some(more) = order.len().checked_sub(MOST_NAMES + 1) {
            let y = TOP + 12.0 + LEGEND_STEP * MOST_NAMES as f64;
            svg.text((RIGHT + 16.0, y), "start", &format!("and {} more", more + 1));
        }
        for (place, (number, curve)) in order.into_iter().take(MOST_NAMES).enumerate() {
            svg.group("key", number);
            let (x, y) = (RIGHT + 16.0, TOP + 12.0 + LEGEND_STEP * place as f64);
            svg.line((x, y), (x + 34.0, y), &stroke(curve.style));
            if let Some(style) = curve.style {
                marker(svg, (x + 17.0, y), style);
            }
            svg.text((x + 42.0, y + 4.5), "start", &curve.name);
            svg.end();
        }
    }
}

/// From data to pixels.
struct Scale {
    categories: usize,
    low: f64,
    high: f64,
    step: f64,
    /// What is shown highest and lowest.
    highest: f64,
    lowest: f64,
    /// Lower end of the plot.
    bottom: f64,
    longest_tick: f64,
    /// Whether the names of categories have too little room side by side.
    turned: bool,
}

impl Scale {
    fn new(chart: &Chart) -> Scale {
        let points = || chart.curves.iter().flat_map(|curve| &curve.points);
        let finite = |value: f64| value.is_finite().then_some(value.min(chart.highest).max(chart.lowest));
        let all = || points().flat_map(|point| [point.low, point.value, point.high]).filter_map(finite);
        let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        let (least, most) = if least <= most { (least, most) } else { (0.0, 1.0) };
        // Figures that are all the same have no range of their own.
        let range =
            if most - least > 1e-6 * most.abs().max(1e-3) { most - least } else { most.abs().max(1.0) };
        let step = step(range / 6.0);
        let low = (least / step).floor() * step;
        let high = ((most / step).ceil() * step).max(low + step);
        let longest_tick = chart.ticks.iter().map(|tick| width_of(tick)).fold(0.0, f64::max);
        Scale {
            categories: chart.ticks.len(),
            low,
            high,
            step,
            highest: chart.highest,
            lowest: chart.lowest,
            bottom: BOTTOM.max(TOP + 12.0 + LEGEND_STEP * chart.named().count().min(MOST_NAMES + 1) as f64),
            longest_tick,
            turned: longest_tick + 8.0 > (RIGHT - LEFT) / chart.ticks.len() as f64,
        }
    }

    fn x(&self, category: f64) -> f64 {
        LEFT + (category + 0.5) / self.categories as f64 * (RIGHT - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        self.bottom - share * (self.bottom - TOP)
    }

    /// Where a figure is drawn in a category.
    fn at(&self, tick: usize, value: f64) -> Point {
        let value = if value.is_nan() { self.highest } else { value };
        (self.x(tick as f64), self.y(value.min(self.highest).min(self.high).max(self.lowest).max(self.low)))
    }
}

/// The next of 1, 2 and 5 times a power of ten.
pub(super) fn step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= least).unwrap_or(power)
}

/// The intervals as an area; at a single point, as a bar.
fn band(svg: &mut Svg, curve: &Curve, scale: &Scale) {
    let Some(style) = curve.style else { return };
    let colour = COLOURS[style % COLOURS.len()];
    let high = curve.points.iter().map(|point| scale.at(point.tick, point.high));
    let low = curve.points.iter().rev().map(|point| scale.at(point.tick, point.low));
    let style =
        format!("fill=\"{colour}\" fill-opacity=\"0.07\" stroke=\"{colour}\" stroke-opacity=\"0.25\"");
    svg.polygon(&high.chain(low).collect::<Vec<_>>(), &style);
}

/// Colour and dash of a curve.
fn stroke(style: Option<usize>) -> String {
    let Some(number) = style else { return "stroke=\"#999999\" stroke-width=\"1\"".into() };
    let dash = match number / COLOURS.len() % 3 {
        0 => "",
        1 => " stroke-dasharray=\"7 4\"",
        _ => " stroke-dasharray=\"2 3\"",
    };
    format!("stroke=\"{}\" stroke-width=\"2\"{dash}", COLOURS[number % COLOURS.len()])
}

/// A curve's own sign: circles, squares, triangles and diamonds, filled and hollow.
fn marker(svg: &mut Svg, (x, y): Point, number: usize) {
    let colour = COLOURS[number % COLOURS.len()];
    let kind = number % MARKERS;
    let fill = if kind < MARKERS / 2 { colour } else { "white" };
    let style = format!("fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.5\"");
    let polygon = |corners: &[Point]| corners.iter().map(|(dx, dy)| (x + dx, y + dy)).collect::<Vec<_>>();
    match kind % 5 {
        0 => svg.circle((x, y), 3.5, &style),
        1 => svg.rectangle((x - 3.5, y - 3.5), (7.0, 7.0), &style),
        2 => svg.polygon(&polygon(&[(0.0, -4.5), (4.5, 3.5), (-4.5, 3.5)]), &style),
        3 => svg.polygon(&polygon(&[(0.0, -5.0), (5.0, 0.0), (0.0, 5.0), (-5.0, 0.0)]), &style),
        _ => svg.polygon(&polygon(&[(0.0, 4.5), (4.5, -3.5), (-4.5, -3.5)]), &style),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        for (least, expected) in [(0.3, 0.5), (0.12, 0.2), (7.0, 10.0), (1.0, 1.0), (0.021, 0.05)] {
            assert!((step(least) / expected - 1.0).abs() < 1e-9, "{least}: {}", step(least));
        }
    }

    #[test]
    fn many_values_and_curves_leave_out_names() {
        let point = |tick| DataPoint { tick, value: tick as f64, low: 0.0, high: 400.0 };
        let curve =
            |n: usize| Curve { name: format!("row {n}"), style: Some(n), points: vec![point(0), point(399)] };
        let chart = Chart {
            title: "t".into(),
            x: "x".into(),
            y: "y".into(),
            ticks: (0..400).map(|n| format!("value {n}")).collect(),
            limit: None,
            highest: f64::INFINITY,
            lowest: f64::NEG_INFINITY,
            curves: (0..300).map(curve).collect(),
        };
        let svg = chart.svg();
        let values = svg.matches(">value ").count();
        assert!((30..=MOST_TICKS).contains(&values) && svg.contains(">value 0<"), "{values}");
        assert_eq!(
            (svg.matches("\"start\">row ").count(), svg.matches("and 220 more").count()),
            (MOST_NAMES, 1)
        );
    }

    #[test]
    fn figures_that_are_all_the_same_have_an_axis() {
        for (value, expected) in [(0.0, 0.2), (1.0, 0.2), (250.0, 50.0), (-3.0, 0.5)] {
            let point = |tick| DataPoint { tick, value, low: value, high: value };
            let curve = Curve { name: "a".into(), style: Some(0), points: vec![point(0), point(1)] };
            let chart = Chart {
                title: "t".into(),
                x: "x".into(),
                y: "y".into(),
                ticks: vec!["0-8".into(), "8-16".into()],
                limit: None,
                highest: f64::INFINITY,
                lowest: f64::NEG_INFINITY,
                curves: vec![curve],
            };
            let scale = Scale::new(&chart);
            assert!((scale.step / expected - 1.0).abs() < 1e-9, "{value}: {}", scale.step);
            assert!(scale.low <= value && value <= scale.high);
        }
    }
}
