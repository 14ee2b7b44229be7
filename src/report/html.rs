//! report.html: one page that needs nothing else, with sortable tables, the pictures, single samples to
//! look into, and at its end the environment and the config.

use std::collections::HashSet;
use std::fmt::Write;

use super::number::number;
use super::samples::{Shown, Text, shown};
use super::svg::escape;
use super::{Cell, Mark, Picture, Report, Section, Table, caption};

/// The page.
pub(super) fn render(report: &Report) -> String {
    let name = escape(&report.results.config.name);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{name}</title>\n<style>\n{}</style>\n</head>\n<body>\n<h1>{name}</h1>\n",
        include_str!("page.css")
    );
    report.overview.iter().for_each(|one| table(&mut page, one));
    for line in caption(report) {
        let _ = writeln!(page, "<p>{}</p>", escape(&line));
    }
    page.push_str("<nav><ul>\n");
    for (number, one) in report.sections.iter().enumerate() {
        let _ = writeln!(page, "<li><a href=\"#section-{number}\">{}</a></li>", escape(&one.title()));
    }
    page.push_str("<li><a href=\"#samples\">Samples</a></li>\n<li><a href=\"#environment\">Environment</a></li>\n</ul></nav>\n");
    for (number, one) in report.sections.iter().enumerate() {
        section(&mut page, number, one);
    }
    samples(&mut page, report);
    environment(&mut page, report);
    let _ = write!(page, "<script>\n{}</script>\n</body>\n</html>\n", include_str!("page.js"));
    page
}

fn section(page: &mut String, number: usize, section: &Section) {
    let _ = writeln!(page, "<section id=\"section-{number}\">\n<h2>{}</h2>", escape(&section.title()));
    // With a verdict what shows it comes first, and the rest folds away.
    let leads = section.verdict.is_some();
    if let Some(verdict) = &section.verdict {
        let _ = writeln!(page, "<p class=\"verdict\">{}</p>", escape(verdict));
    }
    let (first_pictures, pictures) = section.pictures.split_at(usize::from(leads));
    let (first_tables, tables) = section.tables.split_at(usize::from(leads));
    first_pictures.iter().for_each(|one| picture(page, one));
    first_tables.iter().for_each(|one| table(page, one));
    page.push_str(if leads { "<details><summary>All figures</summary>\n" } else { "" });
    tables.iter().for_each(|one| table(page, one));
    let _ = writeln!(page, "<p class=\"legend\">{}</p>", section.legend("<b>Bold</b>"));
    pictures.iter().for_each(|one| picture(page, one));
    page.push_str(if leads { "</details>\n" } else { "" });
    page.push_str("</section>\n");
}

fn picture(page: &mut String, picture: &Picture) {
    let label = escape(&picture.title);
    let svg = picture.svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1);
    let _ = writeln!(page, "<figure>{svg}</figure>");
}

fn table(page: &mut String, table: &Table) {
    let _ = writeln!(page, "<div class=\"wide\"><table>\n<caption>{}</caption>", escape(&table.title));
    let columns = table.columns.iter().map(|column| match column.beyond {
        true => head(&format!("{} †", column.name)),
        false => head(&column.name),
    });
    let _ = writeln!(
        page,
        "<thead><tr>{}{}</tr></thead>\n<tbody>",
        head("encoding"),
        columns.collect::<String>()
    );
    for (name, cells) in &table.rows {
        let cells: String = cells.iter().map(cell).collect();
        let _ = writeln!(page, "<tr><th scope=\"row\">{}</th>{cells}</tr>", escape(name));
    }
    page.push_str("</tbody>\n<tfoot><tr><th scope=\"row\">n</th>");
    for column in &table.columns {
        let _ = write!(page, "<td>{}</td>", column.samples);
    }
    page.push_str("</tr></tfoot>\n</table></div>\n");
}

/// A column's name, which sorts by the column.
fn head(name: &str) -> String {
    format!("<th scope=\"col\"><button>{}</button></th>", escape(name))
}

fn cell(cell: &Cell) -> String {
    let text = escape(&cell.text);
    let text = match cell.mark {
        Mark::Best => format!("<b>{text}</b>"),
        Mark::Tie => format!("<span class=\"tie\">≈</span> {text}"),
        Mark::Plain => text,
    };
    let value = cell.value.map_or(String::new(), |value| format!(" data-value=\"{value}\""));
    let interval = cell.interval.as_ref().map_or(String::new(), |i| format!("<small>{}</small>", escape(i)));
    format!("<td{value}>{text}{interval}</td>")
}

fn samples(page: &mut String, report: &Report) {
    let (shown, all) = shown(report.results);
    let _ = writeln!(
        page,
        "<section id=\"samples\">\n<h2>Samples</h2>\n<p>{} of {all}: the first of every bucket, so that this page stays \
         small. Stripes in the text are segments.</p>",
        shown.len()
    );
    let mut texts = HashSet::new();
    for one in &shown {
        sample(page, one, texts.insert(&one.line.sha256));
    }
    page.push_str("</section>\n");
}

/// A sample; its text only where it is not on the page already.
fn sample(page: &mut String, shown: &Shown, first: bool) {
    let line = shown.line;
    let (task, id) = (escape(&line.key.task), escape(&line.key.sample));
    let _ = writeln!(page, "<details><summary>{task}: {id} ({} tokens)</summary>", line.tokens);
    results(page, shown);
    match &shown.text {
        Ok(found) if first => text(page, found),
        Ok(_) => page.push_str("<p>Its text stands above, under another task.</p>\n"),
        Err(why) => {
            let _ = writeln!(page, "<p>The text (sha256 {}) is not shown: {}.</p>", line.sha256, escape(why));
        }
    }
    page.push_str("</details>\n");
}

/// The sample's figures and what was generated, one row a model and encoding.
fn results(page: &mut String, shown: &Shown) {
    let Some((first, figures)) = shown.results.first() else { return };
    let fields = first.outcome.as_object().into_iter().flatten();
    let texts: Vec<&String> = fields.filter(|(_, value)| value.is_string()).map(|(key, _)| key).collect();
    let names = ["model", "encoding"].into_iter().chain(figures.iter().map(|(name, _)| *name));
    let names = names.chain(texts.iter().map(|text| text.as_str()));
    let heads: String = names.map(|name| head(&name.replace('_', " "))).collect();
    let _ = writeln!(page, "<div class=\"wide\"><table><thead><tr>{heads}</tr></thead>\n<tbody>");
    for (line, figures) in &shown.results {
        let (model, encoding) = (escape(&line.key.model), escape(&line.key.encoding));
        let _ = write!(page, "<tr><th scope=\"row\">{model}</th><th scope=\"row\">{encoding}</th>");
        for (_, value) in figures {
            let _ = write!(page, "<td data-value=\"{value}\">{}</td>", number(*value));
        }
        for key in &texts {
            let generated = line.outcome[key.as_str()].as_str().unwrap_or("-");
            let _ = write!(page, "<td><code>{}</code></td>", escape(generated));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

fn text(page: &mut String, text: &Text) {
    let count = text.starts.len();
    let _ = writeln!(page, "<p>{count} segments by {}:</p>", text.unit);
    page.push_str("<pre>");
    for (number, segment) in text.segments().enumerate() {
        let class = if number % 2 == 0 { "even" } else { "odd" };
        let _ = write!(page, "<span class=\"{class}\" title=\"segment {number}\">{}</span>", escape(segment));
    }
    page.push_str("</pre>\n");
    if text.cut > 0 {
        let _ = writeln!(page, "<p>{} bytes more are left out here.</p>", text.cut);
    }
}

fn environment(page: &mut String, report: &Report) {
    page.push_str("<section id=\"environment\">\n<h2>Environment and config</h2>\n");
    for one in &report.results.environments {
        let text = serde_json::to_string_pretty(one).expect("plain data");
        let _ = writeln!(page, "<pre>{}</pre>", escape(&text));
    }
    let _ =
        writeln!(page, "<pre>{}</pre>\n</section>", escape(&report.results.config.resolved().to_string()));
}
