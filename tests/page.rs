//! report.html in a browser: nothing is wider than the page at any width. Without Chromium that check is counted as
//! ignored, and the output says so.

#![allow(clippy::disallowed_macros, reason = "a test has no messages of the program's")]

use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};
use longcode::report::Report;
use longcode::store::Results;

/// Widths of a desk, a tablet and a phone, pixels.
const WIDTHS: [u32; 3] = [390, 800, 1400];

/// Bytes that the page of 24 rows and 6 tasks may have.
const MOST: usize = 3_000_000;

/// Sends its window's width, how wide the page is, and what reaches beyond it, to the page that it stands in.
const MEASURE: &str = r#"<script>addEventListener("load", () => {
  const inside = ".wide, figure.picture, pre";
  for (const one of document.querySelectorAll("details")) one.open = true;
  const wide = [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(inside));
  const names = wide.slice(0, 3).map((one) => one.tagName + " " + one.textContent.slice(0, 30));
  parent.postMessage(`${innerWidth} ${document.documentElement.scrollWidth} ${names.join(", ")}`, "*");
})</script>"#;

/// A browser that runs without a screen.
fn browser() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    names
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success()))
}

/// The page with a script that measures it, in frames of every width; what each says.
fn measured(browser: &str, page: &str, dir: &Path) -> Vec<String> {
    // The page itself lets no other script run.
    let start = page.find("<meta http-equiv=\"Content-Security-Policy\"").unwrap();
    let end = start + page[start..].find('>').unwrap() + 1;
    let open = format!("{}{}", &page[..start], &page[end..]).replace("</body>", &format!("{MEASURE}</body>"));
    fs::write(dir.join("measured.html"), open).unwrap();
    let frame = |width| {
        format!("<iframe src=\"measured.html\" width=\"{width}\" height=\"900\" style=\"border:0\"></iframe>")
    };
    let frames: String = WIDTHS.map(frame).concat();
    let listen =
        "<script>addEventListener(\"message\", (e) => { said.textContent += e.data + \"|\" })</script>";
    let all = format!("<body><p id=\"said\"></p>{listen}{frames}");
    fs::write(dir.join("all.html"), all).unwrap();
    let url = format!("file://{}", dir.join("all.html").display());
    let mut command = Command::new(browser);
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]);
    command.arg(format!("--user-data-dir={}", dir.join("profile").display()));
    let ended = command.args(["--virtual-time-budget=8000", "--dump-dom", &url]).output().unwrap();
    let dom = String::from_utf8_lossy(&ended.stdout).into_owned();
    let said = dom.split("<p id=\"said\">").nth(1).and_then(|rest| rest.split("</p>").next());
    said.unwrap_or_default().split('|').filter(|line| !line.is_empty()).map(str::to_string).collect()
}

/// The page of kept results, written into a directory.
fn page(kept: &str, dir: &Path) -> String {
    let results = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/kept").join(kept);
    let results = Results::read_all(&[results], false).unwrap();
    Report::new(&results, None).unwrap().write(dir).unwrap();
    fs::read_to_string(dir.join("report.html")).unwrap()
}

fn nothing_is_wider_than_the_page(browser: &str) {
    for kept in ["quickstart", "encodings"] {
        let dir = tempfile::tempdir().unwrap();
        let page = page(kept, dir.path());
        let said = measured(browser, &page, dir.path());
        let mut widths = Vec::new();
        for line in &said {
            let mut words = line.splitn(3, ' ');
            let mut number = || words.next().and_then(|word| word.parse::<u32>().ok()).unwrap();
            let (window, width) = (number(), number());
            // A scroll bar takes a part of the window.
            assert!(
                width <= window && words.next() == Some(""),
                "{kept}: window, page, what is beyond: {line}"
            );
            widths.push(window);
        }
        widths.sort_unstable();
        assert_eq!(widths, WIDTHS, "{kept}: {said:?}");
    }
}

/// 23 rows on 2 tasks, whose sections take all but a few kilobytes: 24 rows and 6 tasks take about three times as much.
fn the_page_stays_small() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = page("encodings", dir.path()).len();
    assert!(3 * bytes * 24 / 23 < MOST, "{bytes}");
}

#[expect(clippy::print_stderr, reason = "a test says why it is skipped")]
fn main() {
    let browser = browser();
    if browser.is_none() {
        eprintln!("no Chromium, so nobody looks at report.html");
    }
    let looked_at = Trial::test("nothing_is_wider_than_the_page", move || -> Result<(), Failed> {
        nothing_is_wider_than_the_page(browser.expect("ignored without a browser"));
        Ok(())
    });
    let small = Trial::test("the_page_stays_small", || -> Result<(), Failed> {
        the_page_stays_small();
        Ok(())
    });
    let trials = vec![looked_at.with_ignored_flag(browser.is_none()), small];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
