//! `strftime_now` of templates: a time in words, in the form of Python's `datetime.now().strftime` on Linux.

use chrono::{Datelike, NaiveDateTime, Timelike};

/// Widest field; more is of no use.
const WIDEST: usize = 1000;
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Most bytes that a format makes: each code at its widest.
pub(super) fn longest(format: &str) -> u64 {
    (format.len() + format.matches('%').count() * WIDEST) as u64
}

/// Formats a time without a zone, in the C locale. Unknown codes are kept unchanged.
pub(super) fn strftime(time: NaiveDateTime, format: &str) -> String {
    let mut out = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let code = Code::parse(after);
        match code.and_then(|code| Some((code.text(time)?, code.length))) {
            Some((text, length)) => {
                out.push_str(&text);
                rest = &after[length..];
            }
            None => {
                out.push('%');
                rest = after;
            }
        }
    }
    out + rest
}

/// What follows a `%`.
struct Code {
    /// `-`: not padded, `_`: with spaces, `0`: with zeros.
    pad: Option<char>,
    upper: bool,
    swapped: bool,
    width: usize,
    letter: char,
    /// Its length in bytes.
    length: usize,
}

impl Code {
    fn parse(text: &str) -> Option<Code> {
        let flags = text.len() - text.trim_start_matches(['-', '_', '0', '^', '#', '+']).len();
        let digits =
            text[flags..].len() - text[flags..].trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let width = text[flags..flags + digits].parse().unwrap_or(0);
        let mut at = flags + digits;
        at += usize::from(text[at..].starts_with(['E', 'O']));
        let letter = text[at..].chars().next()?;
        let has = |flag: char| text[..flags].contains(flag);
        Some(Code {
            pad: text[..flags].chars().rfind(|flag| matches!(flag, '-' | '_' | '0')),
            upper: has('^'),
            swapped: has('#'),
            width: WIDEST.min(width),
            letter,
            length: at + letter.len_utf8(),
        })
    }

    /// None for an unknown code.
    fn text(&self, time: NaiveDateTime) -> Option<String> {
        if let Some((value, digits, pad)) = self.number(time) {
            return Some(self.padded(value.to_string(), digits, pad));
        }
        let day = DAYS[time.weekday().num_days_from_sunday() as usize];
        let month = MONTHS[time.month0() as usize];
        let same = |format: &str| strftime(time, format);
        let text = match self.letter {
            'a' => day[..3].to_string(),
            'A' => day.to_string(),
            'b' | 'h' => month[..3].to_string(),
            'B' => month.to_string(),
            'p' if self.swapped => half(time).to_lowercase(),
            'p' => half(time).to_string(),
            'P' => half(time).to_lowercase(),
            'c' => same("%a %b %e %H:%M:%S %Y"),
            'x' | 'D' => same("%m/%d/%y"),
            'X' | 'T' => same("%H:%M:%S"),
            'R' => same("%H:%M"),
            'r' => same("%I:%M:%S %p"),
            'F' => same("%Y-%m-%d"),
            'f' => format!("{:06}", time.nanosecond() / 1000),
            // There is no zone.
            'z' | 'Z' => String::new(),
            'n' => "\n".into(),
            't' => "\t".into(),
            '%' => "%".into(),
            _ => return None,
        };
        let raised = self.upper || (self.swapped && matches!(self.letter, 'a' | 'A' | 'b' | 'B' | 'h'));
        let text = if raised { text.to_uppercase() } else { text };
        Some(self.padded(text, 0, ' '))
    }

    /// A number, its digits, and the padding.
    fn number(&self, time: NaiveDateTime) -> Option<(i64, usize, char)> {
        let hour_12 = i64::from(time.hour12().1);
        let (day, monday) = (time.weekday(), i64::from(time.weekday().num_days_from_monday()));
        let ordinal = i64::from(time.ordinal0());
        Some(match self.letter {
            'd' => (time.day().into(), 2, '0'),
            'e' => (time.day().into(), 2, ' '),
            'm' => (time.month().into(), 2, '0'),
            'y' => ((time.year().rem_euclid(100)).into(), 2, '0'),
            'Y' => (time.year().into(), 1, '0'),
            'C' => (time.year().div_euclid(100).into(), 2, '0'),
            'G' => (time.iso_week().year().into(), 1, '0'),
            'g' => (time.iso_week().year().rem_euclid(100).into(), 2, '0'),
            'V' => (time.iso_week().week().into(), 2, '0'),
            'U' => ((ordinal + 7 - i64::from(day.num_days_from_sunday())) / 7, 2, '0'),
            'W' => ((ordinal + 7 - monday) / 7, 2, '0'),
            'j' => (ordinal + 1, 3, '0'),
            'u' => (monday + 1, 1, '0'),
            'w' => (day.num_days_from_sunday().into(), 1, '0'),
            'H' => (time.hour().into(), 2, '0'),
            'k' => (time.hour().into(), 2, ' '),
            'I' => (hour_12, 2, '0'),
            'l' => (hour_12, 2, ' '),
            'M' => (time.minute().into(), 2, '0'),
            'S' => (time.second().into(), 2, '0'),
            's' => {
                let here = time.and_local_timezone(chrono::Local).earliest();
                (here.map_or_else(|| time.and_utc().timestamp(), |time| time.timestamp()), 1, '0')
            }
            _ => return None,
        })
    }

    fn padded(&self, text: String, digits: usize, pad: char) -> String {
        let pad = match self.pad {
            Some('-') if self.width == 0 => return text,
            Some('-') | None => pad,
            Some('_') => ' ',
            Some(_) => '0',
        };
        let missing = self.width.max(digits).saturating_sub(text.chars().count());
        format!("{}{text}", pad.to_string().repeat(missing))
    }
}

fn half(time: NaiveDateTime) -> &'static str {
    if time.hour() < 12 { "AM" } else { "PM" }
}
