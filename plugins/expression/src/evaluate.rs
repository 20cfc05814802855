//! Loops over columns: a byte a row says whether something is true of it.
//!
//! Each loop is over slices of one type with one comparison in it, which a compiler turns into wide instructions; what
//! differs from condition to condition is decided once a batch. Neighbour: [`crate::condition`] calls.

use std::cmp::Ordering;

use memchr::memmem::Finder;
use wasmill::column::Column;

/// It is not so.
pub const FALSE: u8 = 0;
/// A null makes that it cannot be told. Between the others, so that `and` is the least and `or` the greatest.
pub const UNKNOWN: u8 = 1;
/// It is so.
pub const TRUE: u8 = 2;

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

impl Order {
    /// The comparison that the right operand has with the left one.
    #[must_use]
    pub const fn flipped(self) -> Self {
        match self {
            Self::Below => Self::Above,
            Self::AtMost => Self::AtLeast,
            Self::Above => Self::Below,
            Self::AtLeast => Self::AtMost,
            same => same,
        }
    }

    /// Whether values in that order compare so; those that have none are only unequal.
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Below => order == Some(Ordering::Less),
            Self::AtMost => order.is_some_and(Ordering::is_le),
            Self::Above => order == Some(Ordering::Greater),
            Self::AtLeast => order.is_some_and(Ordering::is_ge),
        }
    }
}

/// A test of a text against another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// It has the other somewhere.
    Contains,
    /// It begins with the other.
    StartsWith,
    /// It ends with the other.
    EndsWith,
}

/// What the values of a column are compared with.
#[derive(Clone, Copy)]
pub(crate) enum Right<'a, T> {
    /// One value.
    One(T),
    /// The values of another column.
    Each(&'a [T]),
}

/// Compares numbers.
pub(crate) fn numbers<T: PartialOrd + Copy>(left: &[T], order: Order, right: Right<'_, T>, truths: &mut [u8]) {
    macro_rules! with {
        ($compare:tt) => {
            match right {
                Right::One(right) => {
                    for (truth, left) in truths.iter_mut().zip(left) {
                        *truth = TRUE * u8::from(*left $compare right);
                    }
                }
                Right::Each(right) => {
                    for (truth, (left, right)) in truths.iter_mut().zip(left.iter().zip(right)) {
                        *truth = TRUE * u8::from(*left $compare *right);
                    }
                }
            }
        };
    }
    match order {
        Order::Equal => with!(==),
        Order::NotEqual => with!(!=),
        Order::Below => with!(<),
        Order::AtMost => with!(<=),
        Order::Above => with!(>),
        Order::AtLeast => with!(>=),
    }
}

/// Compares whole numbers with others by value.
pub(crate) fn mixed(left: &[i64], order: Order, right: &[f64], truths: &mut [u8]) {
    for (truth, (left, right)) in truths.iter_mut().zip(left.iter().zip(right)) {
        *truth = TRUE * u8::from(order.holds(by_value(*left, *right)));
    }
}

/// How a whole number compares with another by value; none with what is no number.
fn by_value(left: i64, right: f64) -> Option<Ordering> {
    const PAST: f64 = 9_223_372_036_854_775_808.0;
    if right.is_nan() {
        return None;
    }
    if right >= PAST {
        return Some(Ordering::Less);
    }
    if right < -PAST {
        return Some(Ordering::Greater);
    }
    // It is within the range: the cast takes the whole part and nothing else.
    let whole = right as i64;
    Some(left.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&right.fract()).unwrap_or(Ordering::Equal)))
}

/// Values of differing length.
pub(crate) struct Texts<'a> {
    data: &'a [u8],
    ends: &'a [u32],
}

impl<'a> Texts<'a> {
    pub(crate) fn of(column: &Column<'a>) -> Self {
        Self { data: column.data.get(), ends: column.offsets.numbers() }
    }

    fn each(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let data = self.data;
        self.ends.windows(2).map(move |ends| &data[ends[0] as usize..ends[1] as usize])
    }

    /// Their lengths in characters.
    pub(crate) fn characters(&self) -> Vec<i64> {
        let starts = |text: &[u8]| text.iter().filter(|byte| (**byte as i8) >= -0x40).count();
        self.each().map(|text| starts(text) as i64).collect()
    }

    /// Their lengths in bytes.
    pub(crate) fn lengths(&self) -> Vec<i64> {
        self.ends.windows(2).map(|ends| i64::from(ends[1] - ends[0])).collect()
    }

    pub(crate) fn compare_one(&self, order: Order, right: &str, truths: &mut [u8]) {
        let right = right.as_bytes();
        match order {
            // Asking for equality alone is cheaper: most texts differ in length.
            Order::Equal => self.test(|left| left == right, truths),
            Order::NotEqual => self.test(|left| left != right, truths),
            _ => self.test(|left| order.holds(Some(left.cmp(right))), truths),
        }
    }

    pub(crate) fn compare_each(&self, order: Order, right: &Self, truths: &mut [u8]) {
        for (truth, (left, right)) in truths.iter_mut().zip(self.each().zip(right.each())) {
            *truth = TRUE * u8::from(order.holds(Some(left.cmp(right))));
        }
    }

    pub(crate) fn search(&self, test: TextTest, wanted: &str, truths: &mut [u8]) {
        let bytes = wanted.as_bytes();
        match test {
            TextTest::StartsWith => self.test(|text| text.starts_with(bytes), truths),
            TextTest::EndsWith => self.test(|text| text.ends_with(bytes), truths),
            TextTest::Contains if bytes.is_empty() => truths.fill(TRUE),
            TextTest::Contains => self.contains(bytes, truths),
        }
    }

    /// Searches all texts at once, which lie back to back: a search is cheap by the byte and dear to begin.
    fn contains(&self, wanted: &[u8], truths: &mut [u8]) {
        let (finder, mut row, mut from) = (Finder::new(wanted), 0, 0);
        truths.fill(FALSE);
        while let Some(found) = self.data.get(from..).and_then(|rest| finder.find(rest)) {
            let start = from + found;
            while self.ends[row + 1] as usize <= start {
                row += 1;
            }
            let end = self.ends[row + 1] as usize;
            let is_within = start + wanted.len() <= end;
            truths[row] = if is_within { TRUE } else { truths[row] };
            // What lies across two texts is in neither.
            from = if is_within { end } else { start + 1 };
        }
    }

    /// Whether each is among `sorted`, which are sorted by length and then by bytes.
    pub(crate) fn among(&self, sorted: &[String], truths: &mut [u8]) {
        let order = |one: &String, text: &[u8]| (one.len(), one.as_bytes()).cmp(&(text.len(), text));
        self.test(|text| sorted.binary_search_by(|one| order(one, text)).is_ok(), truths);
    }

    fn test(&self, test: impl Fn(&[u8]) -> bool, truths: &mut [u8]) {
        for (truth, text) in truths.iter_mut().zip(self.each()) {
            *truth = TRUE * u8::from(test(text));
        }
    }
}

/// Makes what was told of rows without a value unknown.
pub(crate) fn unknown_where_null(column: &Column<'_>, truths: &mut [u8]) {
    for (truth, present) in truths.iter_mut().zip(column.present.get()) {
        *truth = if *present == 0 { UNKNOWN } else { *truth };
    }
}

/// Whether each row has a value.
pub(crate) fn present(column: &Column<'_>, truths: &mut [u8]) {
    truths.fill(TRUE);
    for (truth, present) in truths.iter_mut().zip(column.present.get()) {
        *truth = TRUE * u8::from(*present != 0);
    }
}

/// The rows of which something is true; none = of all. `rows` has room for a number each.
#[must_use]
pub fn passing<'r>(truths: &[u8], rows: &'r mut [u32]) -> Option<&'r [u32]> {
    let mut len = 0;
    for (row, truth) in (0..).zip(truths) {
        rows[len] = row;
        len += usize::from(*truth == TRUE);
    }
    (len < truths.len()).then(|| &rows[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_within_a_text_and_not_across_two() {
        let texts = ["", "xab", "a", "b", "aab", "ab", "", "ba"];
        let mut ends = vec![0_u32];
        texts.iter().for_each(|text| ends.push(ends[ends.len() - 1] + text.len() as u32));
        let data = texts.concat();
        let texts_of = Texts { data: data.as_bytes(), ends: &ends };
        for wanted in ["ab", "b", "a", "ba", "aab", "x", "xaba", ""] {
            let mut truths = [UNKNOWN; 8];
            texts_of.search(TextTest::Contains, wanted, &mut truths);
            assert_eq!(truths, texts.map(|text| TRUE * u8::from(text.contains(wanted))), "{wanted:?}");
        }
    }

    #[test]
    fn whole_numbers_and_others_compare_by_value() {
        let past = 1_i64 << 53;
        for (left, right, order) in [
            (past + 1, past as f64, Ordering::Greater),
            (past, past as f64, Ordering::Equal),
            (i64::MAX, i64::MAX as f64, Ordering::Less),
            (i64::MIN, i64::MIN as f64, Ordering::Equal),
            (i64::MIN, -1e300, Ordering::Greater),
            (2, 2.5, Ordering::Less),
            (3, 2.5, Ordering::Greater),
            (-2, -2.5, Ordering::Greater),
            (-3, -2.5, Ordering::Less),
            (0, -0.0, Ordering::Equal),
        ] {
            assert_eq!(by_value(left, right), Some(order), "{left} and {right}");
        }
        assert_eq!(by_value(0, f64::NAN), None);
    }
}
