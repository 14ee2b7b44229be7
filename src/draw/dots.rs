//! Dots joined to those that they are held against, over a logarithmic axis.

use super::chart::{COLOURS, step};
use super::svg::{Point, Svg, width_of};

const LEFT: f64 = 72.0;
const RIGHT: f64 = 688.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 412.0;
/// From one name of the legend to the next.
const LEGEND_STEP: f64 = 24.0;
/// Most names of stars that are written.
const MOST_NAMES: usize = 40;
/// Most numbers along the logarithmic axis.
const MOST_TICKS: i32 = 12;

/// What is drawn.
pub(crate) struct Dots {
    pub(crate) title: String,
    /// What the axes are; the first one is logarithmic.
    pub(crate) x: String,
    pub(crate) y: String,
    /// What the dot in the middle of a star is.
    pub(crate) centre: &'static str,
    /// What the signs at the ends of its lines are.
    pub(crate) signs: [&'static str; 3],
    pub(crate) stars: Vec<Star>,
}

/// What is held against several others, in one colour.
pub(crate) struct Star {
    pub(crate) name: String,
    pub(crate) links: Vec<Link>,
}

/// A line from a star's dot to one that it is held against; the places have an x above 0.
pub(crate) struct Link {
    pub(crate) from: Point,
    pub(crate) to: Point,
    /// Number of the sign at its end.
    pub(crate) sign: usize,
}

impl Dots {
    /// The picture as SVG.
    pub(crate) fn svg(&self) -> String {
        let scale = Scale::new(self);
        let names = self.stars.iter().map(|star| width_of(&star.name));
        let longest = names.chain(self.signs.iter().map(|sign| width_of(sign))).fold(0.0, f64::max);
        let width = (RIGHT + 72.0 + longest).max(32.0 + width_of(&self.title) * 16.0 / 13.0);
        let legend = TOP + LEGEND_STEP * (self.stars.len().min(MOST_NAMES + 1) + self.signs.len() + 2) as f64;
        let mut svg = Svg::new(width, (BOTTOM + 56.0).max(legend), &self.title);
        self.axes(&mut svg, &scale);
        for (number, star) in self.stars.iter().enumerate() {
            star.draw(&mut svg, &scale, COLOURS[number % COLOURS.len()]);
        }
        self.legend(&mut svg);
        svg.finish()
    }

    fn axes(&self, svg: &mut Svg, scale: &Scale) {
        let ticks = ((scale.high - scale.low) / scale.step).round() as usize;
        // Sums of steps are not round numbers.
        let places = (-scale.step.log10().floor()).max(0.0) as usize;
        for value in (0..=ticks).map(|n| scale.low + n as f64 * scale.step) {
            let y = scale.y(value);
            svg.line((LEFT, y), (RIGHT, y), "stroke=\"#dddddd\"");
            svg.text((LEFT - 8.0, y + 4.0), "end", &format!("{value:.places$}"));
        }
        let every = ((scale.most - scale.least) / MOST_TICKS + 1) as usize;
        for power in (scale.least..=scale.most).step_by(every) {
            let value = 2f64.powi(power);
            let x = scale.x(value);
            svg.line((x, TOP), (x, BOTTOM), "stroke=\"#eeeeee\"");
            svg.text((x, BOTTOM + 20.0), "middle", &value.to_string());
        }
        svg.line((LEFT, BOTTOM), (RIGHT, BOTTOM), "stroke=\"#333333\"");
        svg.line((LEFT, TOP), (LEFT, BOTTOM), "stroke=\"#333333\"");
        svg.text(((LEFT + RIGHT) / 2.0, BOTTOM + 42.0), "middle", &self.x);
        svg.turned_text((20.0, (TOP + BOTTOM) / 2.0), "middle", 90.0, &self.y);
    }

    /// Names by colour, and below them what the signs are.
    fn legend(&self, svg: &mut Svg) {
        let at = |place: usize| (RIGHT + 24.0, TOP + 12.0 + LEGEND_STEP * place as f64);
        let words = |svg: &mut Svg, (x, y): Point, words: &str| svg.text((x + 16.0, y + 4.5), "start", words);
        for (place, star) in self.stars.iter().take(MOST_NAMES).enumerate() {
            dot(svg, at(place), COLOURS[place % COLOURS.len()]);
            words(svg, at(place), &star.name);
        }
        let mut place = self.stars.len().min(MOST_NAMES);
        if let Some(more) = self.stars.len().checked_sub(MOST_NAMES).filter(|&more| more > 0) {
            words(svg, at(place), &format!("and {more} more"));
            place += 1;
        }
        dot(svg, at(place), "#555555");
        words(svg, at(place), self.centre);
        for (number, sign) in self.signs.iter().enumerate() {
            end(svg, at(place + 1 + number), number, "#555555");
            words(svg, at(place + 1 + number), sign);
        }
    }
}

impl Star {
    fn draw(&self, svg: &mut Svg, scale: &Scale, colour: &str) {
        let line = format!("stroke=\"{colour}\" stroke-width=\"1.5\" stroke-opacity=\"0.6\"");
        for link in &self.links {
            svg.line(scale.at(link.from), scale.at(link.to), &line);
        }
        for link in &self.links {
            end(svg, scale.at(link.to), link.sign, colour);
            dot(svg, scale.at(link.from), colour);
        }
    }
}

/// The middle of a star.
fn dot(svg: &mut Svg, at: Point, colour: &str) {
    svg.circle(at, 4.5, &format!("fill=\"{colour}\" stroke=\"{colour}\""));
}

/// What it is held against: a hollow square, circle or triangle.
fn end(svg: &mut Svg, (x, y): Point, sign: usize, colour: &str) {
    let style = format!("fill=\"white\" stroke=\"{colour}\" stroke-width=\"1.5\"");
    match sign {
        0 => svg.rectangle((x - 4.0, y - 4.0), (8.0, 8.0), &style),
        1 => svg.circle((x, y), 4.0, &style),
        _ => svg.polygon(&[(x, y - 5.0), (x + 5.0, y + 4.0), (x - 5.0, y + 4.0)], &style),
    }
}

/// From data to pixels.
struct Scale {
    /// Powers of two at the ends of the logarithmic axis.
    least: i32,
    most: i32,
    low: f64,
    high: f64,
    step: f64,
}

impl Scale {
    fn new(dots: &Dots) -> Scale {
        let links = || dots.stars.iter().flat_map(|star| &star.links);
        let places = || links().flat_map(|link| [link.from, link.to]);
        let (least, most) = ends(places().map(|(x, _)| x.log2())).unwrap_or((0.0, 1.0));
        let (low, high) = ends(places().map(|(_, y)| y)).unwrap_or((0.0, 1.0));
        // Figures that are all the same have no range of their own.
        let range = if high - low > 1e-6 * high.abs().max(1e-3) { high - low } else { high.abs().max(1.0) };
        let step = step(range / 6.0);
        let bottom = (low / step).floor() * step;
        Scale {
            least: least.floor() as i32,
            most: (most.ceil() as i32).max(least.floor() as i32 + 1),
            low: bottom,
            high: ((high / step).ceil() * step).max(bottom + step),
            step,
        }
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value.log2() - f64::from(self.least)) / f64::from(self.most - self.least);
        LEFT + share * (RIGHT - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - (value - self.low) / (self.high - self.low) * (BOTTOM - TOP)
    }

    /// A figure that is not finite is drawn at the top.
    fn at(&self, (x, y): Point) -> Point {
        (self.x(x), self.y(if y.is_finite() { y } else { self.high }))
    }
}

/// The least and the greatest of those that are finite; none of none.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |found, value| match found {
        None => Some((value, value)),
        Some((least, most)) => Some((value.min(least), value.max(most))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dots(links: Vec<Link>) -> Dots {
        Dots {
            title: "t".into(),
            x: "x".into(),
            y: "y".into(),
            centre: "the unit",
            signs: ["square", "circle", "triangle"],
            stars: vec![Star { name: "functions".into(), links }],
        }
    }

    #[test]
    fn a_dot_is_joined_to_every_other() {
        let link = |to, sign| Link { from: (64.0, 2.5), to, sign };
        let dots = dots(vec![link((1024.0, 2.51), 0), link((64.0, 2.49), 2)]);
        let scale = Scale::new(&dots);
        assert_eq!((scale.least, scale.most), (6, 10));
        assert!(scale.x(64.0) == LEFT && scale.x(1024.0) == RIGHT);
        let svg = dots.svg();
        assert_eq!(svg.matches("stroke-opacity=\"0.6\"").count(), 2);
        for words in ["functions", "the unit", "square", "triangle", "64", "1024"] {
            assert!(svg.contains(&format!(">{words}<")), "{words}");
        }
    }

    #[test]
    fn places_that_are_one_or_have_no_figure_are_drawn() {
        let svg = dots(vec![Link { from: (1.0, 0.0), to: (1.0, f64::NAN), sign: 1 }]).svg();
        assert!(!svg.contains("NaN") && svg.contains(">2<"), "{svg}");
        assert!(crate::draw::png::png(&svg).is_some());
    }
}
