//! report.html in a browser: nothing is wider than the page at any width, and what can be clicked works. Without Chromium
//! these checks are counted as ignored, and the output says so.

#![allow(clippy::disallowed_macros, reason = "a test has no messages of the program's")]

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use libtest_mimic::{Arguments, Failed, Trial};
use longcode::report::Report;
use longcode::store::{Results, StoredText, add_texts};

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

/// Uses what the page's script offers, and writes down what came of it.
const USE: &str = r#"<script>addEventListener("load", () => {
  const table = document.querySelector("table");
  const rows = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[0].textContent);
  const said = [];
  const gained = table.querySelectorAll("thead button")[2];
  gained.click();
  said.push(rows()[0]);
  const field = document.querySelector(".filter input");
  const type = (words) => { field.value = words; field.dispatchEvent(new Event("input")); };
  type("hirope logn");
  said.push(rows().sort().join(" & "));
  type("");
  said.push(rows().length);
  const name = document.querySelector("[data-key]");
  const hidden = () => [...name.closest("svg").querySelectorAll("[data-curve]")]
    .filter((curve) => getComputedStyle(curve).display === "none").length;
  for (const _ of [1, 2]) {
    name.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    said.push(hidden());
  }
  dispatchEvent(new Event("beforeprint"));
  said.push(document.querySelectorAll("details:not([open])").length);
  const line = document.createElement("p");
  line.id = "said";
  line.textContent = said.join("|");
  document.body.append(line);
})</script>"#;

/// The page without its policy, which lets no other script run, and with one.
fn with_script(page: &str, script: &str) -> String {
    let start = page.find("<meta http-equiv=\"Content-Security-Policy\"").unwrap();
    let end = start + page[start..].find('>').unwrap() + 1;
    format!("{}{}", &page[..start], &page[end..]).replace("</body>", &format!("{script}</body>"))
}

/// What a stranger's text would have to bring into the page to run something, or to tell somebody that it is read.
fn payloads(port: u16) -> String {
    let ran = "document.body.dataset.ran = 1";
    let outside = format!("http://127.0.0.1:{port}/");
    format!(
        "<script>{ran}</script><script src=\"{outside}a.js\"></script><script src=\"data:text/javascript,{ran}\"></script>\
         <img src=\"x\" onerror=\"{ran}\"><svg onload=\"{ran}\"></svg><style onload=\"{ran}\"></style>\
         <iframe srcdoc=\"<script>parent.{ran}</script>\"></iframe><img src=\"{outside}b.png\">\
         <link rel=\"stylesheet\" href=\"{outside}c.css\"><style>@import url({outside}d.css);</style>\
         <video src=\"{outside}e.mp4\" autoplay></video><object data=\"{outside}f\"></object>\
         <base href=\"{outside}\"><form action=\"{outside}g\" id=\"f\"></form>"
    )
}

/// The page after its scripts, as the browser shows it; `settings` are the browser's.
fn shown(browser: &str, dir: &Path, file: &str, settings: &[&str]) -> String {
    let url = format!("file://{}", dir.join(file).display());
    let mut command = Command::new(browser);
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]);
    command.arg(format!("--user-data-dir={}", dir.join("profile").display())).args(settings);
    let ended = command.args(["--virtual-time-budget=8000", "--dump-dom", &url]).output().unwrap();
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

/// What a page says in its element `said`, divided at `|`; `settings` are the browser's.
fn said(browser: &str, dir: &Path, file: &str, settings: &[&str]) -> Vec<String> {
    let dom = shown(browser, dir, file, settings);
    let said = dom.split("<p id=\"said\">").nth(1).and_then(|rest| rest.split("</p>").next());
    said.unwrap_or_default().split('|').filter(|line| !line.is_empty()).map(str::to_string).collect()
}

/// The page with a script that measures it, in frames of every width; what each says.
fn measured(browser: &str, page: &str, dir: &Path) -> Vec<String> {
    fs::write(dir.join("measured.html"), with_script(page, MEASURE)).unwrap();
    let frame = |width| {
        format!("<iframe src=\"measured.html\" width=\"{width}\" height=\"900\" style=\"border:0\"></iframe>")
    };
    let frames: String = WIDTHS.map(frame).concat();
    let listen =
        "<script>addEventListener(\"message\", (e) => { said.textContent += e.data + \"|\" })</script>";
    fs::write(dir.join("all.html"), format!("<body><p id=\"said\"></p>{listen}{frames}")).unwrap();
    said(browser, dir, "all.html", &[])
}

/// The page of kept results, written into a directory.
fn page(kept: &str, dir: &Path) -> String {
    report(&Path::new(env!("CARGO_MANIFEST_DIR")).join("results/kept").join(kept), dir)
}

fn report(results: &Path, dir: &Path) -> String {
    let results = Results::read_all(&[results.to_path_buf()], false).unwrap();
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

fn buttons_and_fields_do_what_they_say(browser: &str) {
    let dir = tempfile::tempdir().unwrap();
    let page = page("quickstart", dir.path());
    fs::write(dir.path().join("used.html"), with_script(&page, USE)).unwrap();
    let expected = ["RoPE", "HiRoPE, logn &amp; HiRoPE, logn, shuffled", "9", "1", "0", "0"];
    assert_eq!(said(browser, dir.path(), "used.html", &[]), expected);
}

/// By the page's policy its own script runs and nothing else, and nothing is asked of any place. Without the policy
/// all of that happens, so the test sees it.
fn the_policy_keeps_others_out(browser: &str) {
    let dir = tempfile::tempdir().unwrap();
    let page = page("quickstart", dir.path());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let payloads = payloads(listener.local_addr().unwrap().port());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    // Each is closed without an answer. The thread ends with the tests.
    thread::spawn(move || {
        for _ in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let asked = || asked.load(Ordering::Relaxed);
    let with_payloads = page.replace("</body>", &format!("{payloads}</body>"));
    fs::write(dir.path().join("kept.html"), with_payloads).unwrap();
    let kept = shown(browser, dir.path(), "kept.html", &[]);
    assert!(
        kept.contains("class=\"filter\"") && kept.contains("<button"),
        "the page's own script did not run"
    );
    assert!(!kept.contains("data-ran"), "a script of somebody else ran");
    assert_eq!(asked(), 0, "the page asked another place for something");
    fs::write(dir.path().join("open.html"), with_script(&page, &payloads)).unwrap();
    assert!(
        shown(browser, dir.path(), "open.html", &[]).contains("data-ran"),
        "the payloads do nothing anyway"
    );
    assert!(asked() > 0, "the payloads ask for nothing anyway");
}

/// Says the contrast of text and paper, and of every element that has a colour of its own below it, as WCAG 2 counts it: the
/// least one.
const CONTRAST: &str = r#"<script>addEventListener("load", () => {
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, n) => sum + part * [0.2126, 0.7152, 0.0722][n], 0);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((part, n) => part * a + below[n] * (1 - a));
  const paper = (one) => one === null ? [255, 255, 255] : over(numbers(getComputedStyle(one).backgroundColor), paper(one.parentElement));
  const contrast = (one) => {
    const [a, b] = [light(numbers(getComputedStyle(one).color)), light(paper(one))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const texts = [...document.querySelectorAll("body *")]
    .filter((one) => !one.closest("svg") && [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
  const line = document.createElement("p");
  line.id = "said";
  line.textContent = `${light(paper(document.body)) < 0.2 ? "dark" : "light"}|${Math.min(...texts.map(contrast)).toFixed(2)}`;
  document.body.append(line);
})</script>"#;

/// Light or dark, every text stands out from what is below it, also where tokens are coloured.
fn text_stands_out_in_light_and_dark(browser: &str) {
    let dir = tempfile::tempdir().unwrap();
    let page = page("quickstart", dir.path());
    let colours: String = (1..=5).map(|n| format!("<span class=\"loss-{n}\">token</span>")).collect();
    let page = page.replace("</body>", &format!("<pre class=\"tokens\">{colours}</pre></body>"));
    fs::write(dir.path().join("seen.html"), with_script(&page, CONTRAST)).unwrap();
    for (mode, setting) in [("light", "1"), ("dark", "0")] {
        let setting = format!("--blink-settings=preferredColorScheme={setting}");
        let said = said(browser, dir.path(), "seen.html", &[&setting]);
        assert!(said[0] == mode && said[1].parse::<f64>().unwrap() >= 4.5, "{mode}: {said:?}");
    }
}

/// Results of 24 rows on 6 tasks with a text of every sample: kept ones of 23 rows on 2 tasks, each task three times and the
/// last row twice. Two samples of a bucket give as many tables, curves and texts as more of them, in less time.
fn made_up(dir: &Path) {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/kept/encodings");
    let read = |name: &str| fs::read_to_string(kept.join(name)).unwrap();
    let mut config: toml::Table = read("config.toml").parse().unwrap();
    let named = |entry: &toml::Value, name: &str| {
        let mut entry = entry.as_table().unwrap().clone();
        entry.insert("name".into(), name.into());
        toml::Value::Table(entry)
    };
    let tasks = config["task"].as_array().unwrap().clone();
    let name = |task: &str, n: usize| format!("{task}-{n}");
    let copies = |task: &toml::Value| {
        (0..3).map(|n| named(task, &name(task["name"].as_str().unwrap(), n))).collect::<Vec<_>>()
    };
    config["task"] = toml::Value::Array(tasks.iter().flat_map(copies).collect());
    let rows = config["encoding"].as_array_mut().unwrap();
    let last = rows[rows.len() - 1].clone();
    rows.push(named(&last, "One more"));
    assert_eq!((rows.len(), config["task"].as_array().unwrap().len()), (24, 6));
    let (mut lines, mut texts) = (Vec::new(), Vec::new());
    let mut of_bucket: HashMap<[String; 2], BTreeSet<String>> = HashMap::new();
    for line in read("samples.jsonl").lines() {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("check");
        let of = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap().to_string();
        let (task, encoding) = (of(&line, "task"), of(&line, "encoding"));
        let first = of_bucket.entry([task.clone(), of(&line, "bucket")]).or_default();
        if first.len() < 2 {
            first.insert(of(&line, "sample"));
        }
        if !first.contains(&of(&line, "sample")) {
            continue;
        }
        for n in 0..3 {
            line["task"] = name(&task, n).into();
            line["encoding"] = encoding.clone().into();
            lines.push(line.to_string());
            if encoding == last["name"].as_str().unwrap() {
                line["encoding"] = "One more".into();
                lines.push(line.to_string());
                let text = "def f(a):\n    return a < 1 and \"&\"\n"
                    .repeat(line["tokens"].as_u64().unwrap() as usize / 9);
                let (task, sample, sha256) = (of(&line, "task"), of(&line, "sample"), of(&line, "sha256"));
                let (unit, starts) = ("function".parse().unwrap(), (0..text.len()).step_by(37).collect());
                texts.push(StoredText { task, sample, sha256, text, cut: 0, unit, starts });
            }
        }
    }
    let mut environment: serde_json::Value = serde_json::from_str(&read("environment.json")).unwrap();
    environment["planned"] = lines.len().into();
    fs::write(dir.join("config.toml"), config.to_string()).unwrap();
    fs::write(dir.join("samples.jsonl"), lines.join("\n") + "\n").unwrap();
    fs::write(dir.join("environment.json"), environment.to_string()).unwrap();
    add_texts(dir, texts).unwrap();
}

fn the_page_of_24_rows_and_6_tasks_stays_small() {
    let dir = tempfile::tempdir().unwrap();
    made_up(dir.path());
    let page = report(dir.path(), dir.path());
    assert!(page.len() < MOST, "{}", page.len());
    assert_eq!(page.matches("<h2>").count(), 6 + 2, "6 tasks, the samples, the environment");
    assert!(!page.contains("do not hold the text") && page.contains("bytes more are left out here"));
}

#[expect(clippy::print_stderr, reason = "a test says why it is skipped")]
fn main() {
    let browser = browser();
    if browser.is_none() {
        eprintln!("no Chromium, so nobody looks at report.html");
    }
    let looked_at = |name: &str, check: fn(&str)| {
        let trial = Trial::test(name, move || -> Result<(), Failed> {
            check(browser.expect("ignored without a browser"));
            Ok(())
        });
        trial.with_ignored_flag(browser.is_none())
    };
    let small = Trial::test("the_page_of_24_rows_and_6_tasks_stays_small", || -> Result<(), Failed> {
        the_page_of_24_rows_and_6_tasks_stays_small();
        Ok(())
    });
    let trials = vec![
        looked_at("nothing_is_wider_than_the_page", nothing_is_wider_than_the_page),
        looked_at("buttons_and_fields_do_what_they_say", buttons_and_fields_do_what_they_say),
        looked_at("the_policy_keeps_others_out", the_policy_keeps_others_out),
        looked_at("text_stands_out_in_light_and_dark", text_stands_out_in_light_and_dark),
        small,
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
