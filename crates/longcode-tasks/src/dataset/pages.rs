//! What a parquet file says about itself, read before anything is unpacked: the parquet crate allocates what
//! a header claims, and unpacks gzip and brotli without a limit.
//!
//! Headers are in Thrift's compact protocol; only their integers are read.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use longcode_base::limits;

/// What the pages of some columns hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Values, including nulls.
    pub values: usize,
    /// Bytes, unpacked.
    pub bytes: usize,
}

/// Refuses a footer that is too long, or whose columns are nested too deep: the crate recurses over them.
///
/// # Errors
/// In words, also if it cannot be read.
pub(super) fn check_footer(file: &File) -> Result<(), String> {
    const TAIL: u64 = 8;
    let mut file = BufReader::new(file);
    let in_words = |e: io::Error| e.to_string();
    let length = file.seek(SeekFrom::End(0)).map_err(in_words)?;
    let Some(start_of_tail) = length.checked_sub(TAIL) else { return Err("it is too short".into()) };
    file.seek(SeekFrom::Start(start_of_tail)).map_err(in_words)?;
    let mut tail = [0; 4];
    file.read_exact(&mut tail).map_err(in_words)?;
    let footer = u64::from(u32::from_le_bytes(tail));
    if footer > limits::FOOTER_BYTES {
        return Err(format!("its footer of {footer} bytes has more than {}", limits::FOOTER_BYTES));
    }
    let Some(start) = start_of_tail.checked_sub(footer) else {
        return Err("its footer is longer than the file".into());
    };
    file.seek(SeekFrom::Start(start)).map_err(in_words)?;
    match Thrift::new(file.take(footer)).depth_of_schema() {
        Ok(depth) if depth > DEEPEST_SCHEMA => {
            Err(format!("its columns are nested more than {DEEPEST_SCHEMA} deep"))
        }
        Ok(_) => Ok(()),
        Err(e) => Err(format!("its footer cannot be read: {e}")),
    }
}

/// Groups within groups of columns.
const DEEPEST_SCHEMA: usize = 64;

/// Checks every page of the columns that are wanted.
///
/// # Errors
/// In words: a page that is too large, or unpacks to something other than its header says.
pub(super) fn look_at(
    file: &File,
    metadata: &ParquetMetaData,
    is_wanted: impl Fn(&ColumnChunkMetaData) -> bool,
) -> Result<Held, String> {
    let mut held = Held::default();
    for group in metadata.row_groups() {
        for column in group.columns().iter().filter(|column| is_wanted(column)) {
            look_at_column(file, column, &mut held)
                .map_err(|e| format!("column {}: {e}", column.column_path().string()))?;
            if held.bytes > limits::DATA_BYTES {
                return Err(format!("its pages hold more than {} bytes", limits::DATA_BYTES));
            }
        }
    }
    Ok(held)
}

fn look_at_column(file: &File, column: &ColumnChunkMetaData, held: &mut Held) -> Result<(), String> {
    let (start, length) = column.byte_range();
    let mut file = BufReader::new(file);
    let in_words = |e: io::Error| format!("a page cannot be read: {e}");
    let mut at = start;
    while at < start.saturating_add(length) {
        file.seek(SeekFrom::Start(at)).map_err(in_words)?;
        let mut thrift = Thrift::new(&mut file);
        let page = Page::of(&thrift.numbers().map_err(in_words)?)
            .ok_or("a page has a header that makes no sense")?;
        at = at.saturating_add(thrift.read as u64);
        if page.unpacked > limits::PAGE_BYTES {
            return Err(format!("a page of {} bytes has more than {}", page.unpacked, limits::PAGE_BYTES));
        }
        check_unpacked(&mut file, column.compression(), &page)?;
        at = at.saturating_add(page.packed as u64);
        held.values = held.values.saturating_add(page.values);
        held.bytes = held.bytes.saturating_add(page.unpacked);
        if held.bytes > limits::DATA_BYTES {
            return Ok(());
        }
    }
    Ok(())
}

/// Unpacks what the crate would unpack without a limit, to see where it ends.
fn check_unpacked(file: &mut impl Read, codec: Compression, page: &Page) -> Result<(), String> {
    let wanted = page.unpacked.saturating_sub(page.levels) as u64;
    let is_endless = matches!(codec, Compression::GZIP(_) | Compression::BROTLI(_) | Compression::LZ4);
    if !is_endless || !page.is_packed || wanted == 0 {
        return Ok(());
    }
    let in_words = |e: io::Error| format!("a page cannot be read: {e}");
    let mut packed = file.take(page.packed as u64);
    io::copy(&mut packed.by_ref().take(page.levels as u64), &mut io::sink()).map_err(in_words)?;
    let unpacked: Box<dyn Read> = match codec {
        Compression::GZIP(_) => Box::new(MultiGzDecoder::new(packed)),
        Compression::BROTLI(_) => Box::new(brotli::Decompressor::new(packed, 1 << 16)),
        _ => Box::new(lz4_flex::frame::FrameDecoder::new(packed)),
    };
    let found = io::copy(&mut unpacked.take(wanted + 1), &mut io::sink());
    match found {
        Ok(found) if found > wanted => {
            Err(format!("a page unpacks to more than the {wanted} bytes that it should"))
        }
        // Other errors are found by the crate; an old LZ4 page may have another frame.
        _ => Ok(()),
    }
}

/// What the header of a page says.
#[derive(Debug)]
struct Page {
    /// Bytes in the file.
    packed: usize,
    unpacked: usize,
    values: usize,
    /// Bytes before the compressed part.
    levels: usize,
    is_packed: bool,
}

impl Page {
    /// From the integers of a `PageHeader`, by its fields.
    fn of(numbers: &HashMap<(i16, i16), i64>) -> Option<Page> {
        let number = |field: (i16, i16)| numbers.get(&field).copied();
        let size = |field| usize::try_from(number(field).unwrap_or(0)).ok();
        Some(Page {
            unpacked: usize::try_from(number((0, 2))?).ok()?,
            packed: usize::try_from(number((0, 3))?).ok()?,
            values: size((5, 1))?.saturating_add(size((7, 1))?).saturating_add(size((8, 1))?),
            levels: size((8, 5))?.saturating_add(size((8, 6))?),
            is_packed: number((8, 7)) != Some(0),
        })
    }
}

/// A reader of Thrift's compact protocol, which counts the bytes.
struct Thrift<R> {
    inner: R,
    read: usize,
}

const DEEPEST_STRUCT: usize = 16;

impl<R: Read> Thrift<R> {
    fn new(inner: R) -> Thrift<R> {
        Thrift { inner, read: 0 }
    }

    /// The integers of a structure, by field, and by the field that they are nested in: 0 for its own.
    fn numbers(&mut self) -> io::Result<HashMap<(i16, i16), i64>> {
        let mut numbers = HashMap::new();
        self.structure(0, 0, &mut numbers)?;
        Ok(numbers)
    }

    /// How deep the columns of a `FileMetaData` are nested.
    fn depth_of_schema(&mut self) -> io::Result<usize> {
        let mut id = 0;
        while let Some((next, kind)) = self.field(id)? {
            id = next;
            if (id, kind) == (2, LIST) {
                return self.depth_of_elements();
            }
            self.value(kind, 0, id, &mut HashMap::new())?;
        }
        Err(nonsense())
    }

    fn depth_of_elements(&mut self) -> io::Result<usize> {
        let (count, _) = self.list()?;
        let (mut open, mut deepest): (Vec<i64>, usize) = (Vec::new(), 0);
        for _ in 0..count {
            let mut numbers = HashMap::new();
            self.structure(0, 0, &mut numbers)?;
            while open.pop_if(|left| *left <= 0).is_some() {}
            open.last_mut().into_iter().for_each(|left| *left -= 1);
            open.extend(numbers.get(&(0, 5)).copied().filter(|&children| children > 0));
            deepest = deepest.max(open.len());
            if deepest > DEEPEST_SCHEMA {
                break;
            }
        }
        Ok(deepest)
    }

    fn structure(&mut self, depth: usize, of: i16, into: &mut HashMap<(i16, i16), i64>) -> io::Result<()> {
        if depth > DEEPEST_STRUCT {
            return Err(nonsense());
        }
        let mut id = 0;
        while let Some((next, kind)) = self.field(id)? {
            id = next;
            if let Some(number) = self.value(kind, depth, id, into)? {
                into.insert((of, id), number);
            }
        }
        Ok(())
    }

    /// The next field's id and type; none at the end of a structure.
    fn field(&mut self, last: i16) -> io::Result<Option<(i16, u8)>> {
        let head = self.byte()?;
        let (step, kind) = (head >> 4, head & 15);
        match (step, kind) {
            (_, 0) => Ok(None),
            (0, _) => Ok(Some((self.number()? as i16, kind))),
            (step, _) => Ok(Some((last.wrapping_add(i16::from(step)), kind))),
        }
    }

    /// Reads a value: a number, or something that may hold some.
    fn value(
        &mut self,
        kind: u8,
        depth: usize,
        id: i16,
        into: &mut HashMap<(i16, i16), i64>,
    ) -> io::Result<Option<i64>> {
        match kind {
            1 => return Ok(Some(1)),
            2 => return Ok(Some(0)),
            3 => self.skip(1)?,
            4..=6 => return self.number().map(Some),
            7 => self.skip(8)?,
            8 => {
                let length = self.varint()?;
                self.skip(length)?;
            }
            LIST | 10 => {
                let (count, kind) = self.list()?;
                for _ in 0..count {
                    self.element(kind, depth)?;
                }
            }
            11 => {
                let count = self.varint()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                for _ in 0..count {
                    self.element(kinds >> 4, depth)?;
                    self.element(kinds & 15, depth)?;
                }
            }
            // Only a structure directly in the outermost one matters.
            12 if depth == 0 => self.structure(1, id, into)?,
            12 => self.structure(depth + 1, id, &mut HashMap::new())?,
            _ => return Err(nonsense()),
        }
        Ok(None)
    }

    /// A list element; a boolean is a byte there.
    fn element(&mut self, kind: u8, depth: usize) -> io::Result<()> {
        match kind {
            1 | 2 => self.skip(1),
            _ if depth >= DEEPEST_STRUCT => Err(nonsense()),
            _ => self.value(kind, depth + 1, 0, &mut HashMap::new()).map(|_| ()),
        }
    }

    fn list(&mut self) -> io::Result<(u64, u8)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        Ok((count, head & 15))
    }

    fn number(&mut self) -> io::Result<i64> {
        let zigzag = self.varint()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }

    fn varint(&mut self) -> io::Result<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(number);
            }
        }
        Err(nonsense())
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.inner.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.inner.by_ref().take(bytes), &mut io::sink())?;
        self.read += skipped as usize;
        if skipped == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

const LIST: u8 = 9;

fn nonsense() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "its bytes make no sense")
}
