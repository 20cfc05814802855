//! What the sources of the wide pipeline hold, made from a row's number alone, and what a plain loop makes of it.

/// Microseconds by which a row of each source may be late.
pub(crate) const LATENESS: [i64; 2] = [3_000_000, 7_000_000];

/// Partitions of the source of lines; the other has one.
pub(crate) const PARTITIONS: usize = 3;

/// Tries that the stage `flaky` gives a row beside the first.
pub(crate) const RETRIES: u32 = 2;

/// A record of a source.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Even in the source of lines (0), odd in the one that makes rows (1); rises within a partition.
    pub(crate) id: i64,
    pub(crate) key: i64,
    pub(crate) value: i64,
    /// Event time in microseconds.
    pub(crate) at: i64,
    pub(crate) partition: usize,
    /// Where it begins in its partition, and where the next one does.
    pub(crate) offset: u64,
    pub(crate) end: u64,
    /// Counted from 1.
    pub(crate) line: i64,
    /// The line without its end, if the source has lines.
    pub(crate) text: String,
    /// Whether it can be decoded.
    pub(crate) good: bool,
}

impl Row {
    /// The ways that it takes out of the stage `route`.
    pub(crate) fn is_low(&self) -> bool {
        self.good && self.value >= 50 && self.value % 3 != 1
    }

    pub(crate) fn is_high(&self) -> bool {
        self.good && self.value >= 50 && self.value % 3 != 0
    }

    /// Tries of `flaky` that fail before one goes well.
    pub(crate) fn failures(&self) -> u32 {
        failures(self.id, self.value)
    }

    /// Whether `flaky` gives it up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.is_high() && self.failures() > RETRIES
    }
}

/// Tries of a row that fail before one goes well.
pub(crate) fn failures(id: i64, value: i64) -> u32 {
    if value % 7 == 5 { (id / 2 % 4) as u32 } else { 0 }
}

/// Rows number 0.. of one source.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    /// Of the lines, by partition: the bytes. The last record of the last partition breaks off, that of the first has
    /// no line end.
    pub(crate) bytes: Vec<Vec<u8>>,
    /// Of both sources, in the order of their ids.
    pub(crate) rows: [Vec<Row>; 2],
}

impl Input {
    pub(crate) fn new(lines: i64, rows: i64) -> Self {
        let mut bytes = vec![Vec::new(); PARTITIONS];
        let mut of_lines: Vec<Row> = (0..lines).map(|number| line(number, &mut bytes)).collect();
        for (partition, bytes) in bytes.iter_mut().enumerate() {
            let Some(last) = of_lines.iter_mut().rev().find(|row| row.partition == partition) else { continue };
            if partition == 0 {
                bytes.pop();
            } else if partition == PARTITIONS - 1 {
                (last.good, last.text) = (false, last.text[..5].to_owned());
                bytes.truncate(last.offset as usize + 5);
            }
            last.end = bytes.len() as u64;
        }
        let own = |number: i64| Row { offset: number as u64, end: number as u64 + 1, line: 0, ..row(number, 1) };
        Self { bytes, rows: [of_lines, (0..rows).map(own).collect()] }
    }

    /// The records of a source between these offsets of its partitions.
    pub(crate) fn between<'a>(
        &'a self,
        source: usize,
        from: &'a [u64],
        to: &'a [u64],
    ) -> impl Iterator<Item = &'a Row> + 'a {
        self.rows[source].iter().filter(move |row| from[row.partition] <= row.offset && row.end <= to[row.partition])
    }

    /// Where the partitions of a source end.
    pub(crate) fn ends(&self, source: usize) -> Vec<u64> {
        match source {
            0 => self.bytes.iter().map(|bytes| bytes.len() as u64).collect(),
            _ => vec![self.rows[1].len() as u64],
        }
    }
}

fn row(number: i64, source: i64) -> Row {
    let id = number * 2 + source;
    let at = 1_000 * (1_000_000 + id * 500 - (id * 37) % (LATENESS[source as usize] / 1_000));
    let (key, value) = ((id * 7919) % 11, (id * 31) % 1_000);
    let (partition, offset, end, line, text) = (0, 0, 0, 0, String::new());
    Row { id, key, value, at, partition, offset, end, line, text, good: true }
}

/// The row of that number as a line at the end of its partition: in one of several ways to write it, or broken.
fn line(number: i64, bytes: &mut [Vec<u8>]) -> Row {
    let mut row = row(number, 0);
    let Row { id, key, value, at, .. } = row;
    let at = at / 1_000;
    (row.text, row.good) = match number % 37 {
        7 => (format!(r#"{{"id":{id},"key":"#), false),
        13 => (format!(r#"{{"id":{id},"key":{key},"value":{value},"note":"no time"}}"#), false),
        19 => (format!(r#"{{"id":{id},"key":{key},"value":"{value}","at":{at},"note":"a text"}}"#), false),
        n if n % 3 == 0 => (
            format!(r#"{{ "note" : "n {id} \u00e9", "id" : {id}, "key" : {key}, "value" : {value}, "at" : {at} }}"#),
            true,
        ),
        _ => {
            (format!(r#"{{"id":{id},"key":{key},"value":{value},"at":{at},"note":"n {id} é","more":[1,{{}}]}}"#), true)
        }
    };
    row.partition = (number * 5 / 3 % PARTITIONS as i64) as usize;
    let bytes = &mut bytes[row.partition];
    row.line = 1 + bytes.iter().filter(|byte| **byte == b'\n').count() as i64;
    row.offset = bytes.len() as u64;
    bytes.extend_from_slice(row.text.as_bytes());
    bytes.push(b'\n');
    row.end = bytes.len() as u64;
    row
}
