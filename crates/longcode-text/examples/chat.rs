//! A question in a model's own words: its chat template rendered, and its tokens.
//!
//! ```sh
//! cargo run -p longcode-text --example chat -- DIRECTORY "What does this function return?"
//! ```

use std::path::Path;

use longcode_text::{PromptFormatter, PromptStyle, TextDirectory};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, question] = &arguments[..] else {
        return Err("give a directory with tokenizer.json, and a question".into());
    };
    let model = TextDirectory::open(Path::new(directory))?;
    for style in [PromptStyle::Raw, PromptStyle::Chat] {
        let formatter = match PromptFormatter::new(style, &model) {
            Ok(formatter) => formatter,
            Err(error) => {
                println!("{style:?}: {error}");
                continue;
            }
        };
        let prompt = formatter.ask(question.clone(), Vec::new())?;
        println!("{style:?}, {} tokens: {:?}", prompt.tokens.ids.len(), prompt.text);
    }
    Ok(())
}
