//! A comparison as a page that needs nothing else.

use std::fmt::Write;

use longcode_base::hash::sha256_base64;
use longcode_base::terminal::escape;

use crate::found::{Compared, Differing, SideShown};
use crate::text::{number, sentences, side_line, signed};

const STYLE: &str = include_str!("page.css");

/// The page. Nothing in it is run or loaded, whatever stands in names.
pub fn render(compared: &Compared) -> String {
    let title = escape(&format!("{} and {}", compared.a.name, compared.b.name));
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src '{}'; base-uri 'none'; form-action 'none'\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
        sha256_base64(STYLE.as_bytes())
    );
    side(&mut page, "A", &compared.a);
    side(&mut page, "B", &compared.b);
    compared.notes.iter().for_each(|note| paragraph(&mut page, note));
    overview(&mut page, compared);
    for figure in &compared.figures {
        let mut said = sentences(figure).into_iter();
        let _ = writeln!(page, "<section>\n<h2>{}</h2>", escape(&said.next().unwrap_or_default()));
        said.for_each(|sentence| paragraph(&mut page, sentence.trim_start()));
        differ_most(&mut page, &figure.differ_most);
        page.push_str("</section>\n");
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn paragraph(page: &mut String, text: &str) {
    let _ = writeln!(page, "<p>{}</p>", escape(text));
}

fn side(page: &mut String, letter: &str, side: &SideShown) {
    paragraph(page, &format!("{letter}: {}", side_line(side)));
    side.notes.iter().for_each(|note| paragraph(page, &format!("{letter}: {note}")));
}

/// A row a figure.
fn overview(page: &mut String, compared: &Compared) {
    page.push_str("<table>\n<caption>A less B, with 95% intervals. Bold: told apart.</caption>\n<thead><tr>");
    for head in
        ["task", "figure", "n", "A", "B", "A less B", "interval", "permutation p", "A higher", "B higher"]
    {
        let _ = write!(page, "<th scope=\"col\">{head}</th>");
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for figure in &compared.figures {
        let difference = signed(figure.difference);
        let difference = if figure.told_apart { format!("<b>{difference}</b>") } else { difference };
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{difference}</td><td>[{}, \
             {}]</td><td>{:.4}</td><td>{}</td><td>{}</td></tr>",
            escape(&figure.task),
            escape(&figure.metric),
            figure.n,
            number(figure.a),
            number(figure.b),
            signed(figure.interval.low),
            signed(figure.interval.high),
            figure.permutation_p,
            figure.a_more,
            figure.b_more
        );
    }
    page.push_str("</tbody>\n</table>\n");
}

fn differ_most(page: &mut String, samples: &[Differing]) {
    if samples.is_empty() {
        return;
    }
    page.push_str(
        "<table>\n<caption>Samples that differ most.</caption>\n<thead><tr><th scope=\"col\">sample</th><th \
         scope=\"col\">A</th><th scope=\"col\">B</th><th scope=\"col\">A less B</th></tr></thead>\n<tbody>\n",
    );
    for one in samples {
        let [a, b] = [one.a, one.b].map(number);
        let (sample, difference) = (escape(&one.sample), signed(one.difference));
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{sample}</th><td>{a}</td><td>{b}</td><td>{difference}</td></tr>"
        );
    }
    page.push_str("</tbody>\n</table>\n");
}
