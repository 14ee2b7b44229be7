//! The models in the local Hugging Face cache. Nothing is fetched.
//!
//! ```sh
//! cargo run -p longcode-hub --example cached
//! ```

use longcode_hub::{cache, models};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let found = models()?;
    println!("{} models in {}", found.len(), cache().display());
    for model in found {
        println!("{:<48} {}", model.name.to_string(), model.path.display());
    }
    Ok(())
}
