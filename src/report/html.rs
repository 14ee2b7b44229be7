//! report.html: one page that needs nothing else, with sortable tables, the pictures, single samples to
//! look into, and at its end the environment and the config.

use std::collections::HashSet;
use std::fmt::Write;

use longcode_tasks::per_token::PerToken;

use super::samples::{Chosen, OfRow, Shown, chosen};
use super::{Cell, Content, Mark, Picture, Report, Section, Standings, Table, caption};
use crate::draw::number::number;
use crate::error::Result;
use crate::hash::sha256_base64;
use crate::store::StoredText;
use crate::terminal::escape;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page; `files` are the report's other ones, which it links to. Nothing in it is run or loaded but its own style and
/// script, whatever stands in names and texts.
///
/// # Errors
/// [`crate::error::ErrorKind::Results`] when stored samples were changed since they were read.
pub(super) fn render(report: &Report, files: &[&str]) -> Result<String> {
    let name = escape(&report.results.config.name);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'\">\n<meta \
         name=\"viewport\" content=\"width=device-width\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{name}</h1>\n",
        sha256_base64(STYLE.as_bytes()),
        sha256_base64(SCRIPT.as_bytes())
    );
    links(&mut page, report, files);
    if let Some(all) = &report.standings {
        standings(&mut page, all);
    }
    report.picture.iter().for_each(|one| picture(&mut page, one));
    report.changes.iter().for_each(|one| table(&mut page, &one.table()));
    for line in caption(report).into_iter().chain(report.failures.head()) {
        let _ = writeln!(page, "<p>{}</p>", escape(&line));
    }
    for (number, one) in report.sections.iter().enumerate() {
        section(&mut page, number, one, report.failures.of(one));
    }
    samples(&mut page, report)?;
    environment(&mut page, report);
    let _ = write!(page, "<script>{SCRIPT}</script>\n</body>\n</html>\n");
    Ok(page)
}

/// To the parts of the page, and to the files beside it.
fn links(page: &mut String, report: &Report, files: &[&str]) {
    page.push_str("<nav>\n<ul>\n");
    for (number, one) in report.sections.iter().enumerate() {
        let _ = writeln!(page, "<li><a href=\"#section-{number}\">{}</a></li>", escape(&one.title()));
    }
    page.push_str(
        "<li><a href=\"#samples\">Samples</a></li>\n<li><a href=\"#environment\">Environment and config</a></li>\n</ul>\n",
    );
    let link = |file: &&str| format!("<a href=\"{file}\">{file}</a>");
    let files: Vec<String> = files.iter().map(link).collect();
    let _ = writeln!(page, "<p>Numbers as files: {}</p>\n</nav>", files.join(" · "));
}

/// One table of everything, with a line over its heads that names the tasks.
fn standings(page: &mut String, all: &Standings) {
    let _ = writeln!(
        page,
        "<figure class=\"table\"><figcaption>All rows. {}</figcaption>\n<div class=\"wide\"><table>\n<thead><tr>",
        escape(&all.title)
    );
    let names: &[&str] = if all.several_models { &["model", "encoding"] } else { &["encoding"] };
    names.iter().for_each(|_| page.push_str("<td></td>"));
    for task in &all.tasks {
        let _ = write!(
            page,
            "<th scope=\"colgroup\" colspan=\"{}\">{}</th>",
            task.columns.len(),
            escape(&task.name)
        );
    }
    let columns = all.tasks.iter().flat_map(|task| task.columns.iter().map(String::as_str));
    let heads: String = names.iter().copied().chain(columns).map(head).collect();
    let _ = writeln!(page, "</tr>\n<tr>{heads}</tr></thead>\n<tbody>");
    for row in &all.rows {
        let model = Some(&row.model).filter(|_| all.several_models);
        let names = model.into_iter().chain([&row.encoding]);
        let names: String = names.map(|name| format!("<th scope=\"row\">{}</th>", escape(name))).collect();
        let cells: String = row.cells.iter().flatten().map(cell).collect();
        let _ = writeln!(page, "<tr>{names}{cells}</tr>");
    }
    page.push_str("</tbody>\n</table></div></figure>\n");
}

fn section(page: &mut String, number: usize, section: &Section, failed: Option<String>) {
    let _ = writeln!(page, "<section id=\"section-{number}\">\n<h2>{}</h2>", escape(&section.title()));
    // With a verdict what shows it comes first, and the rest folds away.
    let leads = section.verdict.is_some()
        && section.tables.first().is_some_and(|first| first.content == Content::Contributions);
    for words in section.words() {
        let _ = writeln!(page, "<p class=\"verdict\">{}</p>", escape(words));
    }
    let (first_pictures, pictures) =
        section.pictures.split_at(usize::from(leads).min(section.pictures.len()));
    let (first_tables, tables) = section.tables.split_at(usize::from(leads));
    first_pictures.iter().for_each(|one| picture(page, one));
    first_tables.iter().for_each(|one| table(page, one));
    page.push_str(if leads { "<details><summary>All figures</summary>\n" } else { "" });
    tables.iter().for_each(|one| table(page, one));
    let _ = writeln!(page, "<p class=\"legend\">{}</p>", section.legend("<b>Bold</b>"));
    if let Some(failed) = failed {
        let _ = writeln!(page, "<p class=\"legend\">{}</p>", escape(&failed));
    }
    pictures.iter().for_each(|one| picture(page, one));
    page.push_str(if leads { "</details>\n" } else { "" });
    page.push_str("</section>\n");
}

fn picture(page: &mut String, picture: &Picture) {
    let label = escape(&picture.title);
    let svg = picture.svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1);
    let _ = writeln!(page, "<figure class=\"picture\">{svg}</figure>");
}

fn table(page: &mut String, table: &Table) {
    let _ = writeln!(
        page,
        "<figure class=\"table\"><figcaption>{}</figcaption>\n<div class=\"wide\"><table>",
        escape(&table.title)
    );
    let columns = table
        .columns
        .iter()
        .map(|column| if column.beyond { head(&format!("{} †", column.name)) } else { head(&column.name) });
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
    page.push_str("</tbody>\n");
    if table.columns.iter().any(|column| !column.samples.is_empty()) {
        page.push_str("<tfoot><tr><th scope=\"row\">n</th>");
        table.columns.iter().for_each(|column| page.push_str(&format!("<td>{}</td>", column.samples)));
        page.push_str("</tr></tfoot>\n");
    }
    page.push_str("</table></div></figure>\n");
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
    let value = cell.value.map_or(String::new(), |value| format!(" data-value=\"{}\"", brief(value)));
    let interval = cell.interval.as_ref().map_or(String::new(), |i| format!("<small>{}</small>", escape(i)));
    format!("<td{value}>{text}{interval}</td>")
}

/// Six digits, which order cells as well as all of them.
fn brief(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

fn samples(page: &mut String, report: &Report) -> Result<()> {
    let (chosen, all) = chosen(report)?;
    let _ = writeln!(
        page,
        "<section id=\"samples\">\n<h2>Samples</h2>\n<p>Some of {all}, so that this page stays small. Stripes in a text are \
         segments.</p>"
    );
    let shown = chosen.iter().flat_map(|chosen| &chosen.samples).filter(|one| one.text.is_some());
    let count = shown.map(|one| &one.first.sha256).collect::<HashSet<_>>().len();
    let most = Most {
        text: (TEXTS / count.max(1)).max(LEAST_OF_A_TEXT),
        coloured: (COLOURED / count.max(1)).clamp(LEAST_COLOURED, MOST_COLOURED),
    };
    let mut texts = HashSet::new();
    for Chosen { why, samples } in &chosen {
        let _ = writeln!(page, "<h3>{}</h3>", escape(why));
        for one in samples {
            let most = texts.insert(&one.first.sha256).then_some(most);
            sample(page, report, one, most);
        }
    }
    page.push_str("</section>\n");
    Ok(())
}

/// A sample; its text only where it is not on the page already.
fn sample(page: &mut String, report: &Report, shown: &Shown, most: Option<Most>) {
    let stored = shown.first;
    let task = escape(&report.results.config.tasks[stored.task].name);
    let id = escape(&stored.sample);
    let _ = writeln!(page, "<details><summary>{task}: {id} ({} tokens)</summary>", stored.tokens);
    if let Some(expected) = &shown.expected {
        let _ = writeln!(page, "<p>Expected: <code>{}</code></p>", escape(expected));
    }
    results(page, report, shown);
    match (&shown.text, most) {
        (Some(found), Some(most)) => {
            text(page, found, most.text);
            let coloured = |(row, tokens): &(&str, PerToken)| losses(page, found, row, tokens, most.coloured);
            shown.tokens.iter().for_each(coloured);
        }
        (Some(_), None) => page.push_str("<p>Its text stands above.</p>\n"),
        (None, _) => {
            let hash = escape(&stored.sha256);
            let _ = writeln!(page, "<p>The results do not hold the text (sha256 {hash}).</p>");
        }
    }
    page.push_str("</details>\n");
}

/// The sample's figures and what was generated, one row a model and encoding.
fn results(page: &mut String, report: &Report, shown: &Shown) {
    // What one has that did not fail; where all did, there is nothing but that.
    let whole = shown.results.iter().find_map(|row| Some((row, row.outcome.as_ref()?)));
    let figures: Vec<&str> =
        whole.iter().flat_map(|(row, _)| row.figures.iter().map(|(name, _)| *name)).collect();
    let fields = whole.iter().flat_map(|(_, outcome)| outcome.as_object()).flatten();
    let texts: Vec<&str> = fields.filter(|(_, value)| value.is_string()).map(|(key, _)| &key[..]).collect();
    let names = ["model", "encoding"].into_iter().chain(figures.iter().copied()).chain(texts.iter().copied());
    let heads: String = names.map(|name| head(&name.replace('_', " "))).collect();
    let _ = writeln!(page, "<div class=\"wide\"><table><thead><tr>{heads}</tr></thead>\n<tbody>");
    let config = &report.results.config;
    for OfRow { stored, outcome, figures: values } in &shown.results {
        let model = escape(&config.models[stored.model].name);
        let encoding = escape(&config.encodings[stored.encoding].name);
        let _ = write!(page, "<tr><th scope=\"row\">{model}</th><th scope=\"row\">{encoding}</th>");
        if let Some(why) = &stored.failed {
            let columns = (figures.len() + texts.len()).max(1);
            let _ = writeln!(page, "<td colspan=\"{columns}\">failed: {}</td></tr>", escape(why));
            continue;
        }
        for (_, value) in values {
            let _ = write!(page, "<td data-value=\"{}\">{}</td>", brief(*value), number(*value));
        }
        for key in &texts {
            let generated = outcome.as_ref().and_then(|outcome| outcome[*key].as_str()).unwrap_or("-");
            let _ = write!(page, "<td><code>{}</code></td>", escape(generated));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
}

/// The first `most` bytes of a text.
fn text(page: &mut String, text: &StoredText, most: usize) {
    let count = text.starts.len();
    let end = text.text.floor_char_boundary(most);
    let _ = writeln!(page, "<p>{count} segments by {}:</p>", text.unit);
    page.push_str("<pre>");
    let starts = text.starts.iter().copied();
    for ((number, segment), start) in
        text.segments().enumerate().zip(starts).filter(|(_, start)| *start < end)
    {
        let segment = &segment[..segment.len().min(end - start)];
        let class = if number % 2 == 0 { "even" } else { "odd" };
        let _ = write!(page, "<span class=\"{class}\" title=\"segment {number}\">{}</span>", escape(segment));
    }
    page.push_str("</pre>\n");
    let left_out = text.text.len() - end + text.cut;
    if left_out > 0 {
        let _ = writeln!(page, "<p>{left_out} bytes more are left out here.</p>");
    }
}

/// Bytes of all texts of a page together, so that it stays small; with the marks of short segments a text takes three times
/// as many.
const TEXTS: usize = 200_000;

/// Bytes of each text that are shown all the same.
const LEAST_OF_A_TEXT: usize = 4_000;

/// Bytes of all texts of a page together whose tokens are coloured; a coloured one takes some six times as many.
const COLOURED: usize = 100_000;

/// Bytes at the end of each text whose tokens are coloured, at least and at most.
const LEAST_COLOURED: usize = 1_000;
const MOST_COLOURED: usize = 6_000;

/// Bytes of each text that a page shows.
#[derive(Clone, Copy)]
struct Most {
    /// With its segments.
    text: usize,
    /// With the losses of its tokens.
    coloured: usize,
}

/// Nats from which on a token has the next colour.
const LOSSES: [f32; 5] = [0.5, 1.0, 2.0, 4.0, 8.0];

/// The end of a text, its tokens coloured by their loss under one row.
fn losses(page: &mut String, text: &StoredText, row: &str, tokens: &PerToken, most: usize) {
    let whole = &text.text[..];
    let start = whole.floor_char_boundary(whole.len().saturating_sub(most));
    let _ = writeln!(
        page,
        "<details><summary>Loss of each token under {}</summary>\n<p>The last {} bytes; a colour each from 0.5, 1, 2, 4 and 8 \
         nats on.</p>",
        escape(row),
        whole.len() - start
    );
    page.push_str("<pre class=\"tokens\">");
    let colour = |loss: f32| LOSSES.iter().filter(|&&from| loss >= from).count();
    // Neighbours of one colour are one piece; a token begins where the one before it ends.
    let (mut from, mut last) = (start, None);
    let piece = |page: &mut String, until: usize, colour: Option<usize>, from: &mut usize| {
        let until = whole.floor_char_boundary(until.min(whole.len())).max(*from);
        let words = escape(&whole[*from..until]);
        let _ = match colour {
            Some(colour) if colour > 0 => write!(page, "<span class=\"loss-{colour}\">{words}</span>"),
            _ => write!(page, "{words}"),
        };
        *from = until;
    };
    for (at, loss) in tokens.losses().filter(|(at, _)| *at >= start) {
        if last != Some(colour(loss)) {
            piece(page, at, last, &mut from);
            last = Some(colour(loss));
        }
    }
    piece(page, whole.len(), last, &mut from);
    page.push_str("</pre>\n</details>\n");
}

fn environment(page: &mut String, report: &Report) {
    page.push_str("<section id=\"environment\">\n<h2>Environment and config</h2>\n");
    // Of several runs the first is of all of them, and stands for none.
    let all = &report.results.environments;
    for one in &all[usize::from(report.results.compared.is_some())..] {
        let text = serde_json::to_string_pretty(one).expect("plain data");
        let _ = writeln!(page, "<pre>{}</pre>", escape(&text));
    }
    let _ =
        writeln!(page, "<pre>{}</pre>\n</section>", escape(&report.results.config.resolved().to_string()));
}
