//! The segments of a source file, as hierarchical encodings number them.
//!
//! ```sh
//! cargo run -p longcode-structure --example segments -- FILE [UNIT]
//! ```

use longcode_structure::{Language, Source, Unit, regions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("give a source file")?;
    let unit: Unit = arguments.next().as_deref().unwrap_or("function").parse()?;
    let text = std::fs::read_to_string(&path)?;
    let language = Language::of_path(path.as_ref());
    let source = Source { text: &text, language, file_starts: &[] };
    let Some(regions) = regions(&source, unit) else {
        println!("no {unit} in {path}: tokens are numbered by {}", Unit::FALLBACK);
        return Ok(());
    };
    for region in regions {
        let first_line = text[region.start..region.end].trim_start().lines().next().unwrap_or_default();
        let name = region.name.as_deref().unwrap_or("-");
        println!(
            "{:>4} {:>7} {:<9} {name:<24} {first_line}",
            region.segment,
            region.start,
            format!("{:?}", region.kind)
        );
    }
    Ok(())
}
