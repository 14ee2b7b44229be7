//! Parquet files, the form of data sets on the hub: a row is a record. Only the columns that a manifest maps
//! are read.
//!
//! A file of some hundred bytes may expand to gigabytes, by a dictionary or by runs. So headers are checked
//! before pages are unpacked (`pages.rs`), and texts are measured, one row at a time, before records are made
//! of them.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{AsBytes, DataType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::{Map, Number, Value};

use super::fields::Fields;
use super::gathered::Gathered;
use super::record::{Making, Origin, Record, Roles};
use super::{Format, open, pages};
use longcode_base::error::{Error, ErrorKind, Result};
use longcode_base::limits;

pub(super) const ENTRY: Format = Format { name: "parquet", takes, read, files: None };

/// Rows that are decoded together.
const TOGETHER: usize = 16;

fn takes(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "parquet")
}

fn read(path: &Path, making: &Making, gathered: &mut Gathered) -> Result<()> {
    let file = open::file(path)?;
    // The crate panics on some damaged files.
    let read = catch_unwind(AssertUnwindSafe(|| rows(path, &file, making, gathered)));
    read.unwrap_or_else(|_| Err(Failure::Damaged("its bytes make no sense".into()))).map_err(|failure| {
        match failure {
            Failure::Damaged(what) => Error::new(ErrorKind::Dataset, format!("not a whole parquet file: {what}"))
                .in_file(path)
                .fix("the file may be cut short, or too large unpacked (SECURITY.md lists the limits); get it again"),
            Failure::Refused(error) => error,
        }
    })
}

/// Why a file is not read.
enum Failure {
    /// The file itself is damaged.
    Damaged(String),
    /// An error that is complete already.
    Refused(Error),
}

impl From<ParquetError> for Failure {
    fn from(error: ParquetError) -> Failure {
        Failure::Damaged(error.to_string())
    }
}

impl From<String> for Failure {
    fn from(what: String) -> Failure {
        Failure::Damaged(what)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Refused(error)
    }
}

fn rows(
    path: &Path,
    file: &File,
    making: &Making,
    gathered: &mut Gathered,
) -> std::result::Result<(), Failure> {
    pages::check_footer(file)?;
    let copy = file.try_clone().map_err(|e| e.to_string())?;
    let reader = SerializedFileReader::new(copy)?;
    let metadata = reader.metadata();
    let is_wanted = |column: &ColumnChunkMetaData| is_wanted(column, &making.roles);
    let count = usize::try_from(metadata.file_metadata().num_rows()).map_err(|e| e.to_string())?;
    gathered.check_room(count, 0, path)?;
    let held = pages::look_at(file, metadata, is_wanted)?;
    let besides_texts = held.values.saturating_mul(limits::VALUE_COST);
    gathered.check_room(count, besides_texts, path)?;
    measure_texts(&reader, is_wanted, |texts| {
        gathered.check_room(count, besides_texts.saturating_add(texts), path)
    })?;
    let columns = only(metadata.file_metadata().schema(), &making.roles)?;
    let iterator = RowIter::from_file(Some(columns), &reader)?.with_batch_size(TOGETHER);
    let (shared, others): (Arc<Path>, _) =
        (path.into(), others(metadata.file_metadata().schema(), &making.roles));
    for (number, row) in iterator.enumerate() {
        let mut fields = fields(&row?);
        fields.values.extend(others.iter().map(|name| (name.clone(), Value::Null)));
        let bytes = fields.bytes;
        let origin = Origin::line(shared.clone(), number + 1);
        gathered.take(Record::new(fields, origin, making), bytes, path)?;
    }
    Ok(())
}

fn is_wanted(column: &ColumnChunkMetaData, roles: &Roles) -> bool {
    column.column_path().parts().first().is_some_and(|name| roles.ask_for(name))
}

/// Adds up the bytes of the texts in the wanted columns, a row at a time, and checks whether that many are
/// allowed.
fn measure_texts(
    reader: &SerializedFileReader<File>,
    is_wanted: impl Fn(&ColumnChunkMetaData) -> bool,
    check: impl Fn(usize) -> Result<()>,
) -> std::result::Result<(), Failure> {
    let mut bytes = 0;
    for number in 0..reader.num_row_groups() {
        let group = reader.get_row_group(number)?;
        for column in 0..group.num_columns() {
            if !is_wanted(group.metadata().column(column)) {
                continue;
            }
            match group.get_column_reader(column)? {
                ColumnReader::ByteArrayColumnReader(mut values) => measure(&mut values, &mut bytes, &check)?,
                ColumnReader::FixedLenByteArrayColumnReader(mut values) => {
                    measure(&mut values, &mut bytes, &check)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

fn measure<T: DataType>(
    column: &mut ColumnReaderImpl<T>,
    bytes: &mut usize,
    check: impl Fn(usize) -> Result<()>,
) -> std::result::Result<(), Failure>
where
    T::T: AsBytes,
{
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        values.clear();
        definitions.clear();
        repetitions.clear();
        let (records, ..) =
            column.read_records(1, Some(&mut definitions), Some(&mut repetitions), &mut values)?;
        if records == 0 {
            return Ok(());
        }
        let of_row: usize = values.iter().map(|value| value.as_bytes().len()).sum();
        if of_row > limits::RECORD_BYTES {
            return Err(format!("a row has more than {} bytes", limits::RECORD_BYTES).into());
        }
        *bytes = bytes.saturating_add(of_row);
        check(*bytes)?;
    }
}

/// The columns that roles ask for; a missing one is reported with the first record.
fn only(schema: &Type, roles: &Roles) -> std::result::Result<Type, ParquetError> {
    let is_asked = |column: &&Arc<Type>| roles.ask_for(column.name());
    let columns = schema.get_fields().iter().filter(is_asked).cloned().collect();
    Type::group_type_builder(schema.name()).with_fields(columns).build()
}

/// The names of the other columns, to be listed where one is missing.
fn others(schema: &Type, roles: &Roles) -> Vec<String> {
    let names = schema.get_fields().iter().map(|column| column.name().to_string());
    names.filter(|name| roles.are_usual() && !roles.ask_for(name)).collect()
}

fn fields(row: &Row) -> Fields {
    let mut fields = Fields::default();
    for (name, field) in row.get_column_iter() {
        let mut found = Found::default();
        let value = value(field, &mut found);
        fields.bytes += found.bytes + name.len() + limits::VALUE_COST;
        fields.unreadable.extend(found.unreadable.map(|what| (name.clone(), what)));
        fields.values.insert(name.clone(), value);
    }
    fields
}

/// What is found in a value.
#[derive(Default)]
struct Found {
    bytes: usize,
    /// A part of it that is not a JSON value.
    unreadable: Option<&'static str>,
}

fn object(row: &Row, found: &mut Found) -> Map<String, Value> {
    row.get_column_iter().map(|(name, field)| (name.clone(), value(field, found))).collect()
}

/// A field as JSON; dates and decimals, which no task asks for, as their text.
fn value(field: &Field, found: &mut Found) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        Field::Float(value) => number(f64::from(*value), found),
        Field::Double(value) => number(*value, found),
        Field::Str(text) => {
            found.bytes += text.len();
            text.clone().into()
        }
        Field::Bytes(bytes) => {
            found.bytes += bytes.len();
            match bytes.as_utf8() {
                Ok(text) => text.into(),
                Err(_) => {
                    found.unreadable = Some("bytes that are not UTF-8");
                    Value::Null
                }
            }
        }
        Field::Group(row) => Value::Object(object(row, found)),
        Field::ListInternal(list) => list.elements().iter().map(|field| value(field, found)).collect(),
        other => other.to_string().into(),
    }
}

fn number(value: f64, found: &mut Found) -> Value {
    Number::from_f64(value).map_or_else(
        || {
            found.unreadable = Some(if value.is_nan() { "NaN" } else { "an infinite number" });
            Value::Null
        },
        Value::Number,
    )
}

#[cfg(test)]
mod tests {
    use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::super::Dataset;
    use super::*;

    /// A text, a count and a list of texts in each row, in two row groups.
    fn write(path: &Path, compression: Compression) {
        let schema = "message d { required binary content (utf8); optional int64 length; required group answers \
                      (list) { repeated group list { required binary element (utf8); } } }";
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
        for group in 0..2 {
            let text = |n: usize| ByteArray::from(format!("x = {group}{n} # äöü 位置").as_str());
            let mut rows = writer.next_row_group().unwrap();
            let mut column = rows.next_column().unwrap().unwrap();
            column.typed::<ByteArrayType>().write_batch(&[text(0), text(1)], None, None).unwrap();
            column.close().unwrap();
            let mut column = rows.next_column().unwrap().unwrap();
            column.typed::<Int64Type>().write_batch(&[7], Some(&[1, 0]), None).unwrap();
            column.close().unwrap();
            let mut column = rows.next_column().unwrap().unwrap();
            let answers = ["a", "b", "c"].map(ByteArray::from);
            column
                .typed::<ByteArrayType>()
                .write_batch(&answers, Some(&[1, 1, 1]), Some(&[0, 1, 0]))
                .unwrap();
            column.close().unwrap();
            rows.close().unwrap();
        }
        writer.close().unwrap();
    }

    fn open(dir: &Path, manifest: &str) -> Dataset {
        std::fs::create_dir_all(dir.join("datasets")).unwrap();
        let keys = "name = \"d\"\nwhat = \"w\"\nlicence = \"MIT\"\nsource = \"s\"\nobtain = \"o\"\nformat = \
                    \"parquet\"\npath = \"../d.parquet\"\n";
        std::fs::write(dir.join("datasets/d.toml"), format!("{keys}{manifest}")).unwrap();
        Dataset::open("d", &[dir.to_path_buf()]).unwrap()
    }

    #[test]
    fn rows_are_records() {
        let dir = tempfile::tempdir().unwrap();
        for compression in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::ZSTD(ZstdLevel::default()),
            Compression::GZIP(GzipLevel::default()),
            Compression::BROTLI(BrotliLevel::default()),
            Compression::LZ4,
            Compression::LZ4_RAW,
        ] {
            write(&dir.path().join("d.parquet"), compression);
            let records = Dataset::open("d.parquet", &[dir.path().to_path_buf()]).unwrap().records().unwrap();
            assert_eq!(records.len(), 4);
            assert_eq!(records[3].text("text").unwrap(), "x = 11 # äöü 位置");
            assert_eq!(records[2].count("length").unwrap(), 7);
            assert!(records[3].get("length").unwrap().is_none());
            assert_eq!(records[0].texts("answers").unwrap(), ["a", "b"]);
        }
    }

    #[test]
    fn only_the_columns_that_are_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("d.parquet"), Compression::SNAPPY);
        let records = open(dir.path(), "[fields]\ntext = \"content\"\n").records().unwrap();
        assert_eq!(records[1].text("text").unwrap(), "x = 01 # äöü 位置");
        assert!(records[1].get("answers").unwrap().is_none());
        let missing = open(dir.path(), "[fields]\ntext = \"contents\"\n").records().unwrap_err().to_string();
        assert!(missing.contains("contents") && missing.contains("d.parquet:1"), "{missing}");
    }

    /// One column of texts.
    fn write_texts(path: &Path, compression: Compression, texts: &[&str], page: usize) {
        let schema = Arc::new(parse_message_type("message d { required binary text (utf8); }").unwrap());
        let properties =
            WriterProperties::builder().set_compression(compression).set_data_page_size_limit(page);
        let properties = Arc::new(properties.set_dictionary_page_size_limit(page).build());
        let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
        let mut rows = writer.next_row_group().unwrap();
        let mut column = rows.next_column().unwrap().unwrap();
        let texts: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(*text)).collect();
        column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
        column.close().unwrap();
        rows.close().unwrap();
        writer.close().unwrap();
    }

    fn read_up_to(path: &Path, most: usize) -> Result<usize> {
        let mut gathered = Gathered::up_to(most);
        read(path, &Making::default(), &mut gathered).map(|()| gathered.records.len())
    }

    /// A dictionary: the file has the text only once.
    #[test]
    fn rows_that_are_far_more_than_the_file_are_counted_before_they_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.parquet");
        let text = "x".repeat(10_000);
        write_texts(&path, Compression::SNAPPY, &vec![&text[..]; 1000], 1 << 20);
        assert!(std::fs::metadata(&path).unwrap().len() < 2_000);
        assert_eq!(read_up_to(&path, 20_000_000).unwrap(), 1000);
        // By their number, by their values, by their texts.
        for most in [500_000, 1_100_000, 5_000_000] {
            let error = read_up_to(&path, most).unwrap_err();
            assert!(error.what.contains(&format!("more than {most} bytes")), "{error}");
            assert!(error.place.unwrap().ends_with("d.parquet") && error.fix.is_some());
        }
    }

    /// A page of some kB for 300 MB, with every codec that achieves that.
    #[test]
    fn a_page_may_not_be_larger_than_pages_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.parquet");
        let text = "x".repeat(limits::PAGE_BYTES + 1);
        write_texts(&path, Compression::ZSTD(ZstdLevel::default()), &[&text], limits::PAGE_BYTES * 2);
        let error = read_up_to(&path, limits::DATA_BYTES).unwrap_err();
        assert!(error.what.contains("a page of") && error.what.contains("column text"), "{error}");
    }

    /// The header states a small size, and the page is longer.
    #[test]
    fn a_page_that_unpacks_to_more_than_it_says_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.parquet");
        let text = "x".repeat(100_000);
        for codec in [Compression::GZIP(GzipLevel::default()), Compression::BROTLI(BrotliLevel::default())] {
            write_texts(&path, codec, &[&text], 1 << 20);
            let mut bytes = std::fs::read(&path).unwrap();
            // The dictionary page's header: its type, then its size unpacked, 100,004 as a zigzag varint.
            let size: Vec<u8> = vec![0x15, 0xc8, 0x9a, 0x0c];
            let at = bytes.windows(4).position(|four| four == size).unwrap();
            bytes[at + 1..at + 4].copy_from_slice(&[0xc8, 0x80, 0x00]);
            std::fs::write(&path, bytes).unwrap();
            let error = read_up_to(&path, limits::DATA_BYTES).unwrap_err();
            assert!(error.what.contains("unpacks to more than"), "{error}");
        }
    }

    #[test]
    fn columns_nested_without_end_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.parquet");
        // FileMetaData: version 1, then a list of groups with one child each.
        let mut footer = vec![0x15, 0x02, 0x19, 0xfc, 0xa0, 0x8d, 0x06];
        for _ in 0..100_000 {
            footer.extend([0x48, 0x01, b'a', 0x15, 0x02, 0x00]);
        }
        let length = (footer.len() as u32).to_le_bytes();
        std::fs::write(&path, [b"PAR1", &footer[..], &length, b"PAR1"].concat()).unwrap();
        let error = read_up_to(&path, limits::DATA_BYTES).unwrap_err();
        assert!(error.what.contains("nested more than"), "{error}");
        let length = (1u32 << 30).to_le_bytes();
        std::fs::write(&path, [b"PAR1", &footer[..], &length, b"PAR1"].concat()).unwrap();
        assert!(read_up_to(&path, limits::DATA_BYTES).unwrap_err().what.contains("footer of"));
    }

    #[test]
    fn a_file_that_is_cut_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.parquet");
        write(&path, Compression::SNAPPY);
        let bytes = std::fs::read(&path).unwrap();
        for length in [0, 3, 20, bytes.len() / 2, bytes.len() - 5] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let dataset = Dataset::open("d.parquet", &[dir.path().to_path_buf()]).unwrap();
            let error = dataset.records().unwrap_err().to_string();
            assert!(
                error.contains("not a whole parquet file") && error.contains("d.parquet"),
                "{length}: {error}"
            );
        }
    }

    /// Whichever bytes are wrong: rows, or an error in words.
    #[test]
    fn damaged_files_do_not_panic() {
        use rand::{Rng, SeedableRng};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.parquet");
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        let mut refused = 0;
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
            write(&path, compression);
            let whole = std::fs::read(&path).unwrap();
            for _ in 0..500 {
                let mut bytes = whole.clone();
                for _ in 0..random.random_range(1..4) {
                    let place = random.random_range(0..bytes.len());
                    bytes[place] = random.random();
                }
                std::fs::write(&path, &bytes).unwrap();
                let dataset = Dataset::open("d.parquet", &[dir.path().to_path_buf()]).unwrap();
                if let Err(e) = dataset.records() {
                    assert!(e.place.is_some() && e.fix.is_some(), "{e}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 200, "{refused}");
    }
}
