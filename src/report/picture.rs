//! Pictures: loss by position, one curve an encoding, as SVG.

use std::fmt::Write;

use super::Row;
use crate::config::EncodingEntry;
use crate::task::{Group, Span};

/// Colours that the colour-blind can tell apart (Okabe and Ito 2008); curves beyond the eighth are drawn
/// in the same colours, dashed.
const COLOURS: [&str; 8] =
    ["#000000", "#e69f00", "#56b4e9", "#009e73", "#d55e00", "#0072b2", "#cc79a7", "#808080"];

/// Most nats shown: a model that guesses evenly among 22,000 tokens.
const HIGHEST: f64 = 10.0;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 460.0;
/// The plot's frame, in pixels.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 680.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 404.0;

/// The mean loss at each position bucket under one encoding.
struct Curve<'a> {
    encoding: &'a str,
    /// `(number of the bucket, loss)`.
    points: Vec<(usize, f64)>,
}

/// Loss by position with a line at the training length; none where fewer than two positions were
/// measured.
pub(super) fn loss_by_position(
    title: &str,
    encodings: &[EncodingEntry],
    rows: &[&Row],
    trained_length: usize,
) -> Option<String> {
    let mut spans: Vec<Span> = rows.iter().filter_map(|row| position(row)).collect();
    spans.sort_unstable();
    spans.dedup();
    if spans.len() < 2 {
        return None;
    }
    let curve = |encoding: &'_ EncodingEntry| {
        let value = |span: &Span| {
            let at = |row: &&&Row| row.encoding == encoding.name && position(row) == Some(*span);
            rows.iter().find(at).map(|row| row.estimate.value)
        };
        spans.iter().enumerate().filter_map(|(n, span)| Some((n, value(span)?))).collect()
    };
    let curves: Vec<Curve> = encodings
        .iter()
        .map(|encoding| Curve { encoding: &encoding.name, points: curve(encoding) })
        .filter(|curve| !curve.points.is_empty())
        .collect();
    let beyond = spans.iter().position(|span| span.from >= trained_length);
    let scale = Scale::new(spans.len(), &curves);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} \
         {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    text(&mut svg, (LEFT, 28.0), "start", &format!("<tspan font-size=\"16\">{}</tspan>", escape(title)));
    axes(&mut svg, &scale, &spans);
    if let Some(number) = beyond {
        let x = scale.x(number as f64 - 0.5);
        line(&mut svg, (x, TOP), (x, BOTTOM), "stroke=\"#666666\" stroke-dasharray=\"3 3\"");
        text(&mut svg, (x - 6.0, TOP + 14.0), "end", &format!("trained to {trained_length}"));
    }
    for (number, curve) in curves.iter().enumerate() {
        draw(&mut svg, curve, &style(number), &scale);
    }
    legend(&mut svg, &curves);
    svg.push_str("</svg>\n");
    Some(svg)
}

/// The positions that a row is the loss at.
fn position(row: &Row) -> Option<Span> {
    match row.group {
        Group::Position(span) if row.metric.name == "loss" => Some(span),
        _ => None,
    }
}

/// From data to pixels.
struct Scale {
    buckets: usize,
    low: f64,
    high: f64,
}

impl Scale {
    /// Half nats around all losses, cut at [`HIGHEST`].
    fn new(buckets: usize, curves: &[Curve]) -> Scale {
        let losses = || curves.iter().flat_map(|curve| &curve.points).map(|&(_, loss)| loss.min(HIGHEST));
        let low = (losses().fold(HIGHEST, f64::min) * 2.0).floor() / 2.0;
        let high = (losses().fold(low, f64::max) * 2.0).ceil() / 2.0;
        Scale { buckets, low, high: high.max(low + 0.5) }
    }

    fn x(&self, bucket: f64) -> f64 {
        LEFT + (bucket + 0.5) / self.buckets as f64 * (RIGHT - LEFT)
    }

    fn y(&self, loss: f64) -> f64 {
        BOTTOM - (loss.min(HIGHEST) - self.low) / (self.high - self.low) * (BOTTOM - TOP)
    }

    /// Losses that get a grid line, half a nat apart, or whole nats where that would be too many.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let step = if self.high - self.low > 4.0 { 1.0 } else { 0.5 };
        let first = (self.low / step).ceil();
        let last = (self.high / step).floor();
        (0..=(last - first) as usize).map(move |n| (first + n as f64) * step)
    }
}

fn axes(svg: &mut String, scale: &Scale, spans: &[Span]) {
    for loss in scale.ticks() {
        let y = scale.y(loss);
        line(svg, (LEFT, y), (RIGHT, y), "stroke=\"#dddddd\"");
        text(svg, (LEFT - 8.0, y + 4.0), "end", &loss.to_string());
    }
    line(svg, (LEFT, BOTTOM), (RIGHT, BOTTOM), "stroke=\"#333333\"");
    line(svg, (LEFT, TOP), (LEFT, BOTTOM), "stroke=\"#333333\"");
    for (number, span) in spans.iter().enumerate() {
        text(svg, (scale.x(number as f64), BOTTOM + 20.0), "middle", &span.to_string());
    }
    text(svg, ((LEFT + RIGHT) / 2.0, BOTTOM + 44.0), "middle", "position of the token in the document");
    let (x, y) = (18.0, (TOP + BOTTOM) / 2.0);
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\" transform=\"rotate(-90 {x} {y})\">loss, nats a token</text>"
    );
}

/// Colour and dash of a curve.
fn style(number: usize) -> String {
    let dash = if number < COLOURS.len() { "" } else { " stroke-dasharray=\"6 4\"" };
    format!("stroke=\"{}\" stroke-width=\"2\"{dash}", COLOURS[number % COLOURS.len()])
}

fn draw(svg: &mut String, curve: &Curve, style: &str, scale: &Scale) {
    let points: Vec<String> = curve
        .points
        .iter()
        .map(|&(n, loss)| format!("{:.1},{:.1}", scale.x(n as f64), scale.y(loss)))
        .collect();
    let _ = writeln!(svg, "<polyline points=\"{}\" fill=\"none\" {style}/>", points.join(" "));
    for point in points {
        let (x, y) = point.split_once(',').unwrap_or_default();
        let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"2.5\" fill=\"white\" {style}/>");
    }
}

/// Names beside their lines, the highest curve at the end first, as the eye meets them.
fn legend(svg: &mut String, curves: &[Curve]) {
    let end = |n: &usize| curves[*n].points.last().map_or(0.0, |&(_, loss)| loss);
    let mut order: Vec<usize> = (0..curves.len()).collect();
    order.sort_by(|a, b| end(b).total_cmp(&end(a)));
    for (place, number) in order.into_iter().enumerate() {
        let (x, y) = (RIGHT + 16.0, TOP + 16.0 + 24.0 * place as f64);
        line(svg, (x, y), (x + 30.0, y), &style(number));
        text(svg, (x + 38.0, y + 4.0), "start", &escape(curves[number].encoding));
    }
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), style: &str) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {style}/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, words: &str) {
    let _ =
        writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{words}</text>", at.0, at.1);
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
