//! Parquet files, as data sets of the hub are kept: a row is a record. Only the columns that a manifest maps are read.

use std::fs::File;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use serde_json::{Map, Number, Value};

use super::record::{Origin, Record, Roles};
use super::{Dataset, Format, unreadable};
use crate::error::{Error, ErrorKind, Result};
use crate::files::open;

pub(super) const ENTRY: Format = Format { name: "parquet", takes, read, files };

fn takes(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "parquet")
}

fn files(path: &Path) -> Result<Vec<PathBuf>> {
    Ok(vec![path.to_path_buf()])
}

fn read(dataset: &Dataset) -> Result<Vec<Result<Record>>> {
    let damaged = |what: &str| {
        Error::new(ErrorKind::Dataset, format!("not a whole parquet file: {what}"))
            .in_file(&dataset.path)
            .fix("the file may be cut short, or compressed by another codec than snappy and zstd; get it again")
    };
    let file = open(&dataset.path).map_err(|e| unreadable(&dataset.path, &e))?;
    // The crate panics on some damaged files.
    let rows = catch_unwind(|| rows(dataset, file)).map_err(|_| damaged("its bytes make no sense"))?;
    rows.map_err(|e| damaged(&e.to_string()))
}

fn rows(dataset: &Dataset, file: File) -> std::result::Result<Vec<Result<Record>>, ParquetError> {
    let reader = SerializedFileReader::new(file)?;
    let schema = reader.metadata().file_metadata().schema();
    let asked: Vec<&String> = dataset.manifest.fields.values().collect();
    let columns = if asked.is_empty() { None } else { Some(only(schema, &asked)?) };
    let roles = Roles::new(&dataset.manifest.fields);
    let mut records = Vec::new();
    for (number, row) in reader.get_row_iter(columns)?.enumerate() {
        let origin = Origin::line(&dataset.path, number + 1);
        records.push(Record::new(object(&row?), origin, roles.clone(), dataset.manifest.language));
    }
    Ok(records)
}

/// The columns of these names; one that is not there is told with the first record.
fn only(schema: &Type, names: &[&String]) -> std::result::Result<Type, ParquetError> {
    let is_asked = |column: &&Arc<Type>| names.iter().any(|name| *name == column.name());
    let columns = schema.get_fields().iter().filter(is_asked).cloned().collect();
    Type::group_type_builder(schema.name()).with_fields(columns).build()
}

fn object(row: &Row) -> Map<String, Value> {
    row.get_column_iter().map(|(name, field)| (name.clone(), value(field))).collect()
}

/// A field as JSON; dates and decimals, which no task asks for, as their text.
fn value(field: &Field) -> Value {
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
        Field::Float(value) => number(f64::from(*value)),
        Field::Double(value) => number(*value),
        Field::Str(text) => text.clone().into(),
        Field::Bytes(bytes) => match bytes.as_utf8() {
            Ok(text) => text.into(),
            Err(_) => Value::Null,
        },
        Field::Group(row) => Value::Object(object(row)),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => other.to_string().into(),
    }
}

fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// A text, a count and a list of texts a row, in two row groups.
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
        for compression in
            [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())]
        {
            write(&dir.path().join("d.parquet"), compression);
            let records = Dataset::open("d.parquet", &[dir.path().to_path_buf()]).unwrap().records().unwrap();
            assert_eq!(records.len(), 4);
            assert_eq!(records[3].text("text").unwrap(), "x = 11 # äöü 位置");
            assert_eq!(records[2].count("length").unwrap(), 7);
            assert!(records[3].get("length").is_none());
            assert_eq!(records[0].texts("answers").unwrap(), ["a", "b"]);
        }
    }

    #[test]
    fn only_the_columns_that_are_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("d.parquet"), Compression::SNAPPY);
        let records = open(dir.path(), "[fields]\ntext = \"content\"\n").records().unwrap();
        assert_eq!(records[1].text("text").unwrap(), "x = 01 # äöü 位置");
        assert!(records[1].get("answers").is_none());
        let missing = open(dir.path(), "[fields]\ntext = \"contents\"\n").records().unwrap_err().to_string();
        assert!(missing.contains("contents") && missing.contains("d.parquet:1"), "{missing}");
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

    /// Whatever bytes are wrong: rows, or an error in words.
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
