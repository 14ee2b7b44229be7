//! Pieces of SVG.

use std::borrow::Cow;
use std::fmt::Write;

use crate::terminal::{escape, visible_line};

/// A point in pixels.
pub(crate) type Point = (f64, f64);

/// Height of the text, pixels.
const SIZE: f64 = 13.0;

/// Most characters of words in a picture.
const LABEL: usize = 200;

/// A picture under construction.
pub(crate) struct Svg {
    body: String,
    width: f64,
    height: f64,
}

impl Svg {
    /// An empty picture with a title in its upper left corner.
    pub(crate) fn new(width: f64, height: f64, title: &str) -> Svg {
        let mut svg = Svg { body: String::new(), width, height };
        let title = escape(&label(title));
        let _ = writeln!(svg.body, "<text x=\"16\" y=\"28\" font-size=\"16\">{title}</text>");
        svg
    }

    pub(crate) fn line(&mut self, from: Point, to: Point, style: &str) {
        let _ = writeln!(
            self.body,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" {style}/>",
            from.0, from.1, to.0, to.1
        );
    }

    pub(crate) fn polyline(&mut self, points: &[Point], style: &str) {
        let _ = writeln!(self.body, "<polyline points=\"{}\" fill=\"none\" {style}/>", joined(points));
    }

    pub(crate) fn polygon(&mut self, points: &[Point], style: &str) {
        let _ = writeln!(self.body, "<polygon points=\"{}\" {style}/>", joined(points));
    }

    pub(crate) fn rectangle(&mut self, corner: Point, size: Point, style: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" {style}/>",
            corner.0, corner.1, size.0, size.1
        );
    }

    pub(crate) fn circle(&mut self, at: Point, radius: f64, style: &str) {
        let _ = writeln!(self.body, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\" {style}/>", at.0, at.1);
    }

    /// Words; `anchor` is start, middle or end.
    pub(crate) fn text(&mut self, at: Point, anchor: &str, words: &str) {
        self.styled_text(at, anchor, words, "");
    }

    pub(crate) fn styled_text(&mut self, at: Point, anchor: &str, words: &str, style: &str) {
        let words = escape(&label(words));
        let _ = writeln!(
            self.body,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\"{style}>{words}</text>",
            at.0, at.1
        );
    }

    /// Words that read upwards by so many degrees.
    pub(crate) fn turned_text(&mut self, at: Point, anchor: &str, degrees: f64, words: &str) {
        let turn = format!(" transform=\"rotate(-{degrees} {:.1} {:.1})\"", at.0, at.1);
        self.styled_text(at, anchor, words, &turn);
    }

    /// Begins what belongs together, with words that a page shows where a pointer rests on it.
    pub(crate) fn described(&mut self, words: &str) {
        let _ = writeln!(self.body, "<g><title>{}</title>", escape(&label(words)));
    }

    /// Begins what belongs together, named in `data-` attributes for a page's script.
    pub(crate) fn group(&mut self, what: &str, name: usize) {
        let _ = writeln!(self.body, "<g data-{what}=\"{name}\">");
    }

    /// Ends what was begun last.
    pub(crate) fn end(&mut self) {
        self.body.push_str("</g>\n");
    }

    /// The whole file.
    pub(crate) fn finish(self) -> String {
        let Svg { body, width, height } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 \
             {width:.0} {height:.0}\" font-family=\"'DejaVu Sans', Verdana, sans-serif\" font-size=\"{SIZE}\">\n<rect \
             width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
        )
    }
}

/// About how wide words are, pixels: a generous mean of DejaVu Sans.
pub(crate) fn width_of(words: &str) -> f64 {
    words.chars().count().min(LABEL) as f64 * SIZE * 0.62
}

/// Words as a picture shows them: of very many the first and the last, as a sweep's names differ in their ends.
fn label(words: &str) -> Cow<'_, str> {
    let words = visible_line(words);
    let count = words.chars().count();
    if count <= LABEL {
        return words;
    }
    let (first, last) = (LABEL / 2, LABEL - LABEL / 2 - 1);
    let all = || words.chars();
    Cow::Owned(all().take(first).chain(['…']).chain(all().skip(count - last)).collect())
}

fn joined(points: &[Point]) -> String {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    points.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_can_be_written() {
        assert_eq!(escape("a<b> & \"c\"\n"), "a&lt;b&gt; &amp; &quot;c&quot;\n");
        assert_eq!(escape("\u{1}\u{1b}[0m\u{ffff}é"), "\u{fffd}\u{fffd}[0m\u{fffd}é");
        let mut svg = Svg::new(100.0, 50.0, "\u{1}<&>");
        svg.text((10.0, 10.0), "start", "\u{0}");
        svg.text((10.0, 10.0), "start", &"name ".repeat(100_000));
        assert!(crate::draw::png::png(&svg.finish()).is_some());
    }
}
