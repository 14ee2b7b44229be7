//! Scores of single tokens, and the parquet file that has them: a row a predicted token.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use serde::{Deserialize, Serialize};

use crate::task::sources;
use longcode_structure::{Draw, Language, Source, Unit, segments};
use longcode_text::{TokenScores, Tokens};

/// The columns of the file. Distances are in tokens, 0 where a token's source has never been seen before, and null where
/// there is nothing to look for.
const SCHEMA: &str = "message per_token {
    required binary model (UTF8);
    required binary encoding (UTF8);
    required binary task (UTF8);
    required binary sample (UTF8);
    required int32 position (INTEGER(32,false));
    required int32 token_id (INTEGER(32,false));
    required int64 byte_offset (INTEGER(64,false));
    required int32 segment (INTEGER(32,false));
    required float loss;
    required int32 rank (INTEGER(32,false));
    required float entropy;
    optional int32 copy_distance (INTEGER(32,false));
    optional int32 reference_distance (INTEGER(32,false));
    optional int32 definition_distance (INTEGER(32,false));
}";

/// The names of a row's first columns.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// The model.
    pub model: &'a str,
    /// The encoding.
    pub encoding: &'a str,
    /// The task; empty for a file that is scored by itself.
    pub task: &'a str,
    /// The sample, or the file.
    pub sample: &'a str,
}

/// The predicted tokens of a text, from position 1 on: an entry a token in every list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PerToken {
    token_id: Vec<u32>,
    byte_offset: Vec<u64>,
    segment: Vec<u32>,
    loss: Vec<f32>,
    rank: Vec<u32>,
    entropy: Vec<f32>,
    copy_distance: Vec<Option<u32>>,
    reference_distance: Vec<Option<u32>>,
    definition_distance: Vec<Option<u32>>,
}

impl PerToken {
    /// Of a text and its detailed scores; `None` if ranks and entropies were not asked for. Segments are functions.
    pub fn of(
        text: &str,
        language: Option<Language>,
        file_starts: &[usize],
        tokens: &Tokens,
        scores: &TokenScores,
    ) -> Option<PerToken> {
        let details = scores.details.as_ref()?;
        let predicted = 1..scores.nll.len() + 1;
        let source = Source { text, language, file_starts };
        let index = segments(&source, &tokens.offsets, Unit::FUNCTION, Draw { seed: 0, hash: "" }).index;
        let [copy, reference, definition] = sources(text, language, tokens);
        Some(PerToken {
            token_id: tokens.ids[predicted.clone()].to_vec(),
            byte_offset: tokens.offsets[predicted.clone()].iter().map(|&(start, _)| start as u64).collect(),
            segment: index[predicted.clone()].to_vec(),
            loss: scores.nll.clone(),
            rank: details.rank.clone(),
            entropy: details.entropy.clone(),
            copy_distance: copy[predicted.clone()].to_vec(),
            reference_distance: reference[predicted.clone()].to_vec(),
            definition_distance: definition[predicted].to_vec(),
        })
    }

    /// Every token's first byte in the text, and its loss in nats.
    pub fn losses(&self) -> impl Iterator<Item = (usize, f32)> {
        self.byte_offset.iter().map(|&start| start as usize).zip(self.loss.iter().copied())
    }

    /// Refuses lists of different lengths.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        let n = self.loss.len();
        let same = [
            self.token_id.len(),
            self.byte_offset.len(),
            self.segment.len(),
            self.rank.len(),
            self.entropy.len(),
            self.copy_distance.len(),
            self.reference_distance.len(),
            self.definition_distance.len(),
        ];
        if same.iter().all(|&length| length == n) {
            Ok(())
        } else {
            Err("`per_token` has lists of different lengths")
        }
    }
}

/// Writes the file, one group of rows a sample.
pub struct PerTokenWriter<W: Write + Send>(SerializedFileWriter<W>);

impl<W: Write + Send> PerTokenWriter<W> {
    /// A file without rows.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(file: W) -> io::Result<PerTokenWriter<W>> {
        let schema = parse_message_type(SCHEMA).expect("a schema");
        let level = ZstdLevel::try_new(3).expect("a level");
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_created_by(concat!("longcode ", env!("CARGO_PKG_VERSION")).into())
            .build();
        let writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties));
        Ok(PerTokenWriter(writer.map_err(failed)?))
    }

    /// Adds a sample's tokens.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn add(&mut self, names: Names, tokens: &PerToken) -> io::Result<()> {
        self.add_rows(names, tokens).map_err(failed)
    }

    fn add_rows(&mut self, names: Names, tokens: &PerToken) -> Result<(), ParquetError> {
        let n = tokens.loss.len();
        let positions: Vec<u32> = (1..=n as u32).collect();
        let mut group = self.0.next_row_group()?;
        let mut column = |values: Values| -> Result<(), ParquetError> {
            let mut column = group.next_column()?.expect("the schema has a column for each");
            values.write(&mut column, n)?;
            column.close()
        };
        for name in [names.model, names.encoding, names.task, names.sample] {
            column(Values::Name(name))?;
        }
        column(Values::Whole(&positions))?;
        column(Values::Whole(&tokens.token_id))?;
        column(Values::Long(&tokens.byte_offset))?;
        column(Values::Whole(&tokens.segment))?;
        column(Values::Real(&tokens.loss))?;
        column(Values::Whole(&tokens.rank))?;
        column(Values::Real(&tokens.entropy))?;
        for distances in [&tokens.copy_distance, &tokens.reference_distance, &tokens.definition_distance] {
            column(Values::Distance(distances))?;
        }
        group.close().map(|_| ())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> io::Result<()> {
        self.0.close().map(|_| ()).map_err(failed)
    }
}

/// A column's values.
enum Values<'a> {
    /// The same in every row.
    Name(&'a str),
    Whole(&'a [u32]),
    Long(&'a [u64]),
    Real(&'a [f32]),
    Distance(&'a [Option<u32>]),
}

impl Values<'_> {
    fn write(self, column: &mut SerializedColumnWriter, rows: usize) -> Result<(), ParquetError> {
        fn put<T: DataType>(
            column: &mut SerializedColumnWriter,
            values: &[T::T],
            levels: Option<&[i16]>,
        ) -> Result<(), ParquetError> {
            column.typed::<T>().write_batch(values, levels, None).map(|_| ())
        }
        match self {
            Values::Name(name) => put::<ByteArrayType>(column, &vec![ByteArray::from(name); rows], None),
            Values::Whole(values) => {
                put::<Int32Type>(column, &values.iter().map(|&value| value as i32).collect::<Vec<_>>(), None)
            }
            Values::Long(values) => {
                put::<Int64Type>(column, &values.iter().map(|&value| value as i64).collect::<Vec<_>>(), None)
            }
            Values::Real(values) => put::<FloatType>(column, values, None),
            Values::Distance(values) => {
                let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
                let known: Vec<i32> = values.iter().flatten().map(|&value| value as i32).collect();
                put::<Int32Type>(column, &known, Some(&levels))
            }
        }
    }
}

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use longcode_text::TokenDetails;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Row;

    use super::*;

    fn some() -> PerToken {
        let text = "def f(a):\n    return f(a)\n";
        let tokens = Tokens {
            ids: text.bytes().map(u32::from).collect(),
            offsets: (0..text.len()).map(|at| (at, at + 1)).collect(),
        };
        let n = text.len() - 1;
        let details = TokenDetails { rank: vec![1; n], entropy: vec![0.5; n], ..TokenDetails::default() };
        let scores = TokenScores {
            nll: (0..n).map(|n| n as f32).collect(),
            correct: vec![true; n],
            details: Some(details),
        };
        PerToken::of(text, Some(Language::Python), &[], &tokens, &scores).unwrap()
    }

    #[test]
    fn an_entry_for_every_predicted_token() {
        let found = some();
        found.check().unwrap();
        assert_eq!((found.token_id[0], found.byte_offset[0], found.loss[3]), (u32::from(b'e'), 1, 3.0));
        // Names begin at bytes 4, 6, 21 and 23; f is defined at 4.
        assert_eq!(
            [3, 5, 20, 22].map(|n| found.reference_distance[n]),
            [Some(0), Some(0), Some(17), Some(17)]
        );
        assert_eq!([3, 20].map(|n| found.definition_distance[n]), [None, Some(17)]);
        assert_eq!(found.copy_distance[0], Some(0));
        let damaged = PerToken { rank: Vec::new(), ..found };
        assert!(damaged.check().is_err());
    }

    #[test]
    fn what_is_written_is_read() {
        let mut file = Vec::new();
        let mut writer = PerTokenWriter::new(&mut file).unwrap();
        let names = |sample| Names { model: "m", encoding: "RoPE", task: "t", sample };
        let tokens = some();
        writer.add(names("a"), &tokens).unwrap();
        writer.add(names("b"), &tokens).unwrap();
        writer.finish().unwrap();
        let mut written = tempfile::tempfile().unwrap();
        written.write_all(&file).unwrap();
        let reader = SerializedFileReader::new(written).unwrap();
        let rows: Vec<Row> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 2 * tokens.loss.len());
        let column = |row: &Row, wanted: &str| -> String {
            row.get_column_iter().find(|(name, _)| *name == wanted).unwrap().1.to_string()
        };
        let last = rows.last().unwrap();
        assert_eq!(column(last, "sample"), "\"b\"");
        assert_eq!(column(last, "position"), tokens.loss.len().to_string());
        assert_eq!(column(&rows[20], "reference_distance"), "17");
        assert_eq!(column(&rows[3], "definition_distance"), "null");
    }
}
