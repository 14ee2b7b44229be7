//! Pictures as PNG, drawn from our own SVG with the font that lies in `fonts/`: the same on every machine.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

/// Pixels of the PNG for one of the SVG; fewer where the picture would have more than [`MOST`].
const SCALE: f32 = 2.0;

/// Most pixels of a PNG, and of one of its sides.
const MOST: f32 = 60e6;
const MOST_OF_A_SIDE: f32 = 20e3;

static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(include_bytes!("fonts/DejaVuSans.ttf").to_vec());
    Arc::new(fonts)
});

/// A picture as the bytes of a PNG; none for one that is no SVG.
pub(crate) fn png(svg: &str) -> Option<Vec<u8>> {
    let family = "DejaVu Sans".to_string();
    let options = Options { fontdb: FONTS.clone(), font_family: family, ..Options::default() };
    let tree = Tree::from_str(svg, &options).ok()?;
    let size = tree.size();
    let fits = (MOST / (size.width() * size.height())).sqrt();
    let scale = SCALE.min(fits).min(MOST_OF_A_SIDE / size.width().max(size.height()));
    let size = size.to_int_size().scale_by(scale)?;
    let mut pixels = Pixmap::new(size.width(), size.height())?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    pixels.encode_png().ok()
}
