//! The head of a GGUF file: magic, version, metadata, and where each tensor is. Every count, length and
//! offset is checked against the bytes that are there before it is used.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::error::{Error, ErrorKind, Result};
use crate::kernels::stored::{FORMATS, Format};

/// The start of the data, and of each tensor in it, is a multiple of this unless `general.alignment` says
/// otherwise.
const ALIGNMENT: usize = 32;
/// Formats of tensors of which only the name is known.
const OTHER_FORMATS: &[(u32, &str)] = &[
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
];
/// Value types by their number in a file; this one is a text.
const TEXT: u32 = 8;
const ARRAY: u32 = 9;
const COPY_AGAIN: &str = "the file may be cut short or damaged; download or copy it again";

/// What the head of a file says.
#[derive(Debug)]
pub struct Header {
    /// Values by key.
    pub metadata: BTreeMap<String, MetadataValue>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// A metadata value.
#[derive(Debug)]
pub enum MetadataValue {
    /// Of any integer type.
    Whole(i128),
    /// Of either float type.
    Float(f64),
    /// A boolean.
    Flag(bool),
    /// UTF-8.
    Text(String),
    /// Left in the file, as vocabularies are long.
    Array(Array),
}

/// An array of one element type, whose bounds have been checked.
#[derive(Debug, Clone)]
pub struct Array {
    element: u32,
    /// Number of elements.
    len: usize,
    bytes: Range<usize>,
}

/// A tensor's place and shape.
#[derive(Debug)]
pub struct TensorInfo {
    /// Rows first, as everywhere except in the file.
    pub shape: Vec<usize>,
    /// Format of the data.
    pub format: &'static Format,
    /// The data's bytes in the file.
    pub bytes: Range<usize>,
}

impl Header {
    /// Reads the head of a file.
    ///
    /// # Errors
    /// [`ErrorKind::Model`], naming the metadata key or tensor: not GGUF, a version that is not 2 or 3,
    /// cut short, or an entry that makes no sense.
    pub fn read(file: &[u8]) -> Result<Header> {
        let mut reader = Reader { file, at: 0 };
        check_magic_and_version(&mut reader)?;
        let counts = (|| Ok((reader.length()?, reader.length()?)))();
        let (tensor_count, key_count) = counts.map_err(|e: Error| e.at("counts of tensors and keys"))?;
        let metadata = read_metadata(&mut reader, key_count)?;
        let alignment = alignment(&metadata)?;
        let mut infos = Vec::new();
        for number in 0..tensor_count {
            infos.push(RawInfo::read(&mut reader).map_err(|e| e.at(format_args!("tensor entry {number}")))?);
        }
        let data = reader.at.next_multiple_of(alignment);
        let mut tensors = BTreeMap::new();
        for info in infos {
            let name = info.name.clone();
            let at_entry = |e: Error| e.at(format_args!("tensor `{name}`"));
            let info = info.checked(data, alignment, file.len()).map_err(at_entry)?;
            if tensors.insert(name.clone(), info).is_some() {
                return Err(at_entry(damaged("the tensor is there twice")));
            }
        }
        Ok(Header { metadata, tensors })
    }
}

fn damaged(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Model, what).fix(COPY_AGAIN)
}

fn check_magic_and_version(reader: &mut Reader<'_>) -> Result<()> {
    let refused = |what: String, fix: &str| Error::new(ErrorKind::Model, what).at("header").fix(fix);
    if reader.take(4).ok() != Some(b"GGUF") {
        return Err(refused("not a GGUF file".into(), "give a .gguf file, or a Hugging Face directory"));
    }
    match reader.u32().map_err(|e| e.at("version"))? {
        2 | 3 => Ok(()),
        version if matches!(version.swap_bytes(), 1..=3) => {
            Err(refused("big-endian GGUF is not supported".into(), "use the little-endian file"))
        }
        version => Err(refused(
            format!("GGUF version {version} is not supported"),
            "convert the model again with a llama.cpp that writes version 3",
        )),
    }
}

fn read_metadata(reader: &mut Reader<'_>, count: usize) -> Result<BTreeMap<String, MetadataValue>> {
    let mut metadata = BTreeMap::new();
    for number in 0..count {
        let key = reader.text().map_err(|e| e.at(format_args!("key of metadata entry {number}")))?;
        let at_entry = |e: Error| e.at(format_args!("metadata `{key}`"));
        let kind = reader.u32().map_err(at_entry)?;
        let value = reader.value(kind).map_err(at_entry)?;
        if metadata.insert(key.to_string(), value).is_some() {
            return Err(at_entry(damaged("the key is there twice")));
        }
    }
    Ok(metadata)
}

fn alignment(metadata: &BTreeMap<String, MetadataValue>) -> Result<usize> {
    match metadata.get("general.alignment") {
        None => Ok(ALIGNMENT),
        Some(&MetadataValue::Whole(alignment)) if (1..=1 << 20).contains(&alignment) => {
            Ok(alignment as usize)
        }
        Some(_) => {
            Err(damaged("the alignment is not a small whole number").at("metadata `general.alignment`"))
        }
    }
}

/// A tensor as in its entry.
struct RawInfo {
    name: String,
    /// Columns first.
    dims: Vec<usize>,
    kind: u32,
    offset: usize,
}

impl RawInfo {
    fn read(reader: &mut Reader<'_>) -> Result<RawInfo> {
        let name = reader.text()?.to_string();
        let rest = |reader: &mut Reader<'_>| {
            let count = reader.u32()?;
            if !(1..=4).contains(&count) {
                return Err(damaged(format!("the tensor has {count} dimensions")));
            }
            let dims = (0..count).map(|_| reader.length()).collect::<Result<_>>()?;
            Ok((dims, reader.u32()?, reader.length()?))
        };
        let (dims, kind, offset) = rest(reader).map_err(|e: Error| e.at(format_args!("tensor `{name}`")))?;
        Ok(RawInfo { name, dims, kind, offset })
    }

    /// Checks the entry against the data, which begins at byte `data` of a file of `end` bytes.
    fn checked(self, data: usize, alignment: usize, end: usize) -> Result<TensorInfo> {
        let format = FORMATS.iter().find(|format| format.id == self.kind).ok_or_else(|| {
            let known: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
            let named = OTHER_FORMATS.iter().find(|(other, _)| *other == self.kind);
            let name = named.map_or_else(|| format!("number {}", self.kind), |(_, name)| name.to_string());
            Error::new(ErrorKind::Model, format!("tensor type {name} is not supported"))
                .fix(format!("use a file of the types {}; Q4_K_M and Q8_0 files are", known.join(", ")))
        })?;
        if !self.offset.is_multiple_of(alignment) {
            return Err(damaged(format!("offset {} is not a multiple of {alignment}", self.offset)));
        }
        let values = self.dims.iter().try_fold(1usize, |values, &dim| values.checked_mul(dim));
        let size = format.bytes(self.dims[0]).and_then(|_| format.bytes(values?));
        let Some(size) = size else {
            return Err(damaged(format!("dimensions {:?} do not suit type {}", self.dims, format.name)));
        };
        let start = data.checked_add(self.offset);
        let stop = start.and_then(|start| start.checked_add(size));
        match (start, stop) {
            (Some(start), Some(stop)) if stop <= end => {
                let shape = self.dims.into_iter().rev().collect();
                Ok(TensorInfo { shape, format, bytes: start..stop })
            }
            _ => Err(damaged(format!(
                "{size} bytes at offset {} reach beyond the end of the file, {end} bytes",
                self.offset
            ))),
        }
    }
}

/// Takes bytes from the front.
struct Reader<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let rest = &self.file[self.at..];
        let taken = rest.get(..count).ok_or_else(|| {
            damaged(format!("{count} bytes are needed at byte {}, {} are left", self.at, rest.len()))
        })?;
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("N bytes"))
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A length, count or offset.
    fn length(&mut self) -> Result<usize> {
        let length = self.array().map(u64::from_le_bytes)?;
        usize::try_from(length).map_err(|_| damaged(format!("{length} is beyond this machine")))
    }

    fn text(&mut self) -> Result<&'a str> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| damaged("not valid UTF-8"))
    }

    /// A value of a type, given by the type's number in the file.
    fn value(&mut self, kind: u32) -> Result<MetadataValue> {
        Ok(match kind {
            0 => MetadataValue::Whole(u8::from_le_bytes(self.array()?).into()),
            1 => MetadataValue::Whole(i8::from_le_bytes(self.array()?).into()),
            2 => MetadataValue::Whole(u16::from_le_bytes(self.array()?).into()),
            3 => MetadataValue::Whole(i16::from_le_bytes(self.array()?).into()),
            4 => MetadataValue::Whole(u32::from_le_bytes(self.array()?).into()),
            5 => MetadataValue::Whole(i32::from_le_bytes(self.array()?).into()),
            6 => MetadataValue::Float(f32::from_le_bytes(self.array()?).into()),
            7 => MetadataValue::Flag(self.array::<1>()? != [0]),
            TEXT => MetadataValue::Text(self.text()?.to_string()),
            ARRAY => MetadataValue::Array(self.elements()?),
            10 => MetadataValue::Whole(u64::from_le_bytes(self.array()?).into()),
            11 => MetadataValue::Whole(i64::from_le_bytes(self.array()?).into()),
            12 => MetadataValue::Float(f64::from_le_bytes(self.array()?)),
            other => return Err(damaged(format!("there is no value type {other}"))),
        })
    }

    /// An array, whose elements are only skipped over.
    fn elements(&mut self) -> Result<Array> {
        let element = self.u32()?;
        if element == ARRAY {
            return Err(damaged("an array of arrays"));
        }
        let len = self.length()?;
        let start = self.at;
        for number in 0..len {
            let passed = if element == TEXT { self.text().map(drop) } else { self.value(element).map(drop) };
            passed.map_err(|e| e.at(format_args!("element {number}")))?;
        }
        Ok(Array { element, len, bytes: start..self.at })
    }
}

impl Array {
    /// The texts of an array, from the file it was read in; none if it holds something else.
    pub fn texts<'a>(&self, file: &'a [u8]) -> Option<Vec<&'a str>> {
        let mut reader = Reader { file: &file[..self.bytes.end], at: self.bytes.start };
        (self.element == TEXT).then(|| (0..self.len).map_while(|_| reader.text().ok()).collect())
    }

    /// The booleans of an array, from the file it was read in; none if it holds something else.
    pub fn flags(&self, file: &[u8]) -> Option<Vec<bool>> {
        let mut reader = Reader { file: &file[..self.bytes.end], at: self.bytes.start };
        (0..self.len)
            .map(|_| match reader.value(self.element) {
                Ok(MetadataValue::Flag(flag)) => Some(flag),
                _ => None,
            })
            .collect()
    }

    /// The numbers of an array, from the file it was read in; none if it holds something else.
    pub fn numbers(&self, file: &[u8]) -> Option<Vec<f64>> {
        let mut reader = Reader { file: &file[..self.bytes.end], at: self.bytes.start };
        (0..self.len)
            .map(|_| match reader.value(self.element) {
                Ok(MetadataValue::Whole(whole)) => Some(whole as f64),
                Ok(MetadataValue::Float(float)) => Some(float),
                _ => None,
            })
            .collect()
    }
}
