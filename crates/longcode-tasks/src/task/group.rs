//! Groups: the samples or positions that a figure is taken over, and what tables and curves need to know
//! about them.

use super::Span;

/// The samples or positions that a figure is taken over: a column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Samples of a bucket.
    Bucket(Span),
    /// Samples of a bucket by the length in words that their records state.
    Words(Span),
    /// Samples that were made with this length, in tokens.
    Length(usize),
    /// Samples of a part of a benchmark: a language, a class of lines.
    Part(&'static str),
    /// All samples of the task.
    All,
    /// Tokens at these positions, of all samples that reach them.
    Position(Span),
    /// Tokens from this position on, of all samples that reach it.
    From(usize),
    /// Those of them by the distance to their source.
    Distance {
        /// The position from which on they count.
        from: usize,
        /// The kind of source.
        by: By,
        /// The distance to it.
        back: Back,
    },
    /// Samples of one length with the question's object at one depth: a cell of a grid.
    Cell {
        /// Tokens.
        length: usize,
        /// Percent of the length.
        depth: u8,
    },
    /// All samples, by a threshold in tenths that an answer must reach.
    Bar(u8),
    /// All samples, asked in one of several orders, by its number from 1.
    Order(u8),
}

/// What the groups of one table have in common, in the order of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Axis {
    /// Groups of whole samples: some, or all.
    Samples,
    /// The cells of a grid of lengths and depths.
    Grid,
    /// All samples, each group with another threshold.
    Bars,
    /// All samples, each group in another order.
    Orders,
    /// Positions in the samples.
    Positions,
    /// All positions from one on.
    From(usize),
    /// The same positions by distance.
    Distance(usize, By),
}

impl Axis {
    /// Whether its groups consist of positions in the samples, and not of samples.
    pub fn is_of_positions(self) -> bool {
        match self {
            Axis::Samples | Axis::Grid | Axis::Bars | Axis::Orders => false,
            Axis::Positions | Axis::From(_) | Axis::Distance(..) => true,
        }
    }
}

/// The axis of a curve's points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruler {
    /// Positions in a sample, tokens.
    Position,
    /// Lengths of samples, tokens.
    Tokens,
    /// Lengths stated by records, words.
    Words,
}

impl Ruler {
    /// All of them, in the order of the pictures.
    pub const ALL: [Ruler; 3] = [Ruler::Position, Ruler::Tokens, Ruler::Words];

    /// Its name, as in "loss by bucket".
    pub fn name(self) -> &'static str {
        match self {
            Ruler::Position => "position",
            Ruler::Tokens | Ruler::Words => "bucket",
        }
    }

    /// The title of the axis.
    pub fn title(self) -> &'static str {
        match self {
            Ruler::Position => "position of the token in the document",
            Ruler::Tokens => "length, tokens",
            Ruler::Words => "length of the context, words",
        }
    }

    /// Whether the model's training length can be marked on it.
    pub fn is_in_tokens(self) -> bool {
        self != Ruler::Words
    }
}

impl Group {
    /// The table in which it is a column.
    pub fn axis(self) -> Axis {
        match self {
            Group::Bucket(_) | Group::Words(_) | Group::Length(_) | Group::Part(_) | Group::All => {
                Axis::Samples
            }
            Group::Position(_) => Axis::Positions,
            Group::From(from) => Axis::From(from),
            Group::Distance { from, by, .. } => Axis::Distance(from, by),
            Group::Cell { .. } => Axis::Grid,
            Group::Bar(_) => Axis::Bars,
            Group::Order(_) => Axis::Orders,
        }
    }

    /// Its heading in that table.
    pub fn heading(self) -> String {
        match self {
            Group::Position(span) => span.to_string(),
            Group::Distance { back, .. } => back.to_string(),
            Group::Cell { length, depth } => format!("{length} at {depth}%"),
            group => group.to_string(),
        }
    }

    /// Its place in a curve; none for a group that is not a range. A length stands for everything up to it.
    pub fn place(self) -> Option<(Ruler, Span)> {
        match self {
            Group::Position(span) => Some((Ruler::Position, span)),
            Group::Bucket(span) => Some((Ruler::Tokens, span)),
            Group::Length(length) => Some((Ruler::Tokens, Span { from: 0, to: length })),
            Group::Words(span) => Some((Ruler::Words, span)),
            _ => None,
        }
    }

    /// Whether some of its samples or positions are beyond a training length in tokens. If all of a table's
    /// are, none counts as such.
    pub fn is_beyond(self, trained_length: usize) -> bool {
        match self {
            Group::Bucket(span) => span.to > trained_length,
            Group::Position(span) => span.from >= trained_length,
            Group::Length(length) | Group::Cell { length, .. } => length > trained_length,
            // A length in words is not one in tokens.
            Group::Words(_) | Group::Part(_) | Group::Bar(_) | Group::Order(_) | Group::All => false,
            Group::From(_) | Group::Distance { .. } => false,
        }
    }

    /// Length in tokens and depth in percent of a cell of a grid.
    pub fn cell(self) -> Option<(usize, u8)> {
        match self {
            Group::Cell { length, depth } => Some((length, depth)),
            _ => None,
        }
    }

    /// The first position of a group of all positions from one on.
    pub fn from(self) -> Option<usize> {
        match self {
            Group::From(from) => Some(from),
            _ => None,
        }
    }
}

impl std::fmt::Display for Group {
    /// Its form in summary.csv.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Group::Bucket(span) | Group::Words(span) => write!(f, "{span}"),
            Group::Length(length) => write!(f, "{length}"),
            Group::All => f.write_str("all"),
            Group::Position(span) => write!(f, "position {span}"),
            Group::From(position) => write!(f, "from {position}"),
            Group::Part(part) => f.write_str(part),
            Group::Order(number) => write!(f, "order {number}"),
            Group::Bar(tenths) => write!(f, "at {}.{}", tenths / 10, tenths % 10),
            Group::Distance { by, back, .. } => write!(f, "{by} {back}"),
            Group::Cell { length, depth } => write!(f, "length {length} depth {depth}"),
        }
    }
}

/// A source from which a token could be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// The same pair of tokens.
    Copy,
    /// The last use of the same identifier.
    Reference,
    /// The definition of the function, method or class of that name.
    Definition,
}

impl By {
    /// All of them in the order of the tables: first the one by which every token has a distance.
    pub const ALL: [By; 3] = [By::Copy, By::Reference, By::Definition];

    /// The name of the distance, after "by".
    pub fn distance(self) -> &'static str {
        match self {
            By::Copy => "how many tokens back the same pair of tokens last stood (new: never)",
            By::Reference => {
                "how many tokens back the identifier was last used (new: never; other: no identifier)"
            }
            By::Definition => "how many tokens back the function, method or class of that name was defined",
        }
    }

    /// The tokens of a loss, after "Loss".
    pub(super) fn tokens(self) -> &'static str {
        match self {
            By::Copy => "where the same pair of tokens last stood so many tokens back (new: never)",
            By::Reference => {
                "at identifiers last used so many tokens back (new: never; other: no identifier)"
            }
            By::Definition => "at names whose function, method or class was defined so many tokens back",
        }
    }
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            By::Copy => "copy",
            By::Reference => "reference",
            By::Definition => "definition",
        })
    }
}

/// How far back the source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Back {
    /// There is none: this is the first occurrence.
    New,
    /// At this distance, tokens.
    At(Span),
    /// This kind of source does not apply, as the token is not an identifier.
    Other,
}

impl std::fmt::Display for Back {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Back::New => f.write_str("new"),
            Back::At(span) => write!(f, "{span}"),
            Back::Other => f.write_str("other"),
        }
    }
}
