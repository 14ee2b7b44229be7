//! The loss of a file under several encodings: a checkpoint opened, a text tokenized, segments found, losses taken.
//!
//! ```sh
//! cargo run --release --example loss_of_a_file -- FILE [MODEL]
//! ```

use std::path::Path;

use longcode::checkpoint::Checkpoint;
use longcode::encoding::EncodingSpec;
use longcode::error::{Error, ErrorKind, Result};
use longcode::kernels::Precision;
use longcode::model::EncodedModel;
use longcode::structure::{Draw, Language, Source, segments};
use longcode::{device, files};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or_else(|| Error::new(ErrorKind::Usage, "no file is given"))?;
    let model = arguments.next().unwrap_or_else(|| "models/nano".into());
    let text = files::read_text(Path::new(&file), ErrorKind::Source)?;

    let checkpoint = Checkpoint::open(Path::new(&model))?;
    let network = checkpoint.load(&device::cpu().device, Precision::F32)?;
    let tokens = checkpoint.tokenizer.encode(&text)?;
    let source = Source { text: &text, language: Language::of_path(Path::new(&file)), file_starts: &[] };
    println!(
        "{file}: {} tokens; {model} was trained on {}",
        tokens.ids.len(),
        checkpoint.config.trained_length()
    );
    let hash = longcode::hash::sha256(text.as_bytes());
    let draw = Draw { seed: 0, hash: &hash };
    for spec in ["rope", "rope:context=512", "hirope:window=128,logn=true"] {
        let encoding = EncodingSpec::parse(spec)?;
        encoding.check(&checkpoint.config.rope)?;
        let levels: Vec<Vec<u32>> = encoding
            .units()
            .iter()
            .map(|&unit| segments(&source, &tokens.offsets, unit, draw).index)
            .collect();
        let bos = checkpoint.tokenizer.bos()?;
        let under = EncodedModel { model: &network, config: &checkpoint.config, encoding: &encoding, bos };
        println!("{:.4} nats a token under {encoding}", under.score(&tokens.ids, levels)?.loss());
    }
    Ok(())
}
