//! The table: what each job answers, whatever language it is written in.
//!
//! Expected values of the small cases are written out; those of the large ones come from the jobs in plain Rust below.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};
use wasmill_engine::schema::{Field, Kind};

/// A job that every language has a guest for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// `price * 908 / 1000`, made as `price`.
    Convert,
    /// The rows whose `auction` is a multiple of 123.
    Filter,
    /// What stands in `url` between `://` and the next `/`, made as `domain`.
    Domain,
    /// Count, sum and average of `price` for each key so far, a row a row.
    Keyed,
}

/// One call.
pub(crate) struct Batch {
    /// The column that the job reads.
    pub(crate) column: ArrayRef,
    /// For the keyed job, each row's key.
    pub(crate) keys: Vec<u32>,
    /// The rows of the input that are answered.
    pub(crate) origin: Vec<u32>,
    /// The columns that are made.
    pub(crate) makes: Vec<ArrayRef>,
}

/// A story: calls of one instance, one after the other.
pub(crate) struct Case {
    /// What is special about it.
    pub(crate) name: &'static str,
    /// Who is called.
    pub(crate) job: Job,
    /// With what.
    pub(crate) batches: Vec<Batch>,
}

impl Job {
    /// The fields of the pipeline that the job stands in: the one that it reads and one that it never sees.
    pub(crate) fn input(self) -> Vec<Field> {
        let read = match self {
            Self::Convert | Self::Keyed => Field::required("price", Kind::Int64),
            Self::Filter => Field::required("auction", Kind::Int64),
            Self::Domain => Field::required("url", Kind::Utf8),
        };
        vec![Field::nullable("note", Kind::Utf8), read]
    }
}

/// The table.
pub(crate) fn cases() -> Vec<Case> {
    [conversions(), choices(), texts(), totals()].into_iter().flatten().collect()
}

fn conversions() -> Vec<Case> {
    let case = |name, batches| Case { name, job: Job::Convert, batches };
    let edges = [i64::MAX / 908, i64::MAX / 908 + 1, i64::MIN / 908, i64::MIN / 908 - 1];
    vec![
        case("no row", vec![convert(&[])]),
        case("one row", vec![convert_to(&[1_000], &[908])]),
        case("rounding is towards zero", vec![convert_to(&[1, -1, 2, -2, 0], &[0, 0, 1, -1, 0])]),
        case("the largest numbers wrap", vec![convert_to(&[i64::MAX, i64::MIN], &[0, 0]), convert(&edges)]),
        case("a full batch, then a small one", vec![convert(&numbers(1_024)), convert(&numbers(3))]),
        case("a batch as large as they come", vec![convert(&numbers(8_192)), convert(&numbers(8_192))]),
    ]
}

fn choices() -> Vec<Case> {
    let case = |name, batch| Case { name, job: Job::Filter, batches: vec![batch] };
    vec![
        case("no row", filter(&[])),
        case("one row that stays", filter_to(&[123], &[0])),
        case("one row that goes", filter_to(&[124], &[])),
        case("none of several stays", filter_to(&[1, 2, 122, -1], &[])),
        case("all stay", filter_to(&[0, 123, -246], &[0, 1, 2])),
        case("the largest numbers", filter(&[i64::MAX, i64::MIN, i64::MAX - i64::MAX % 123])),
        case("a full batch", filter(&numbers(1_024))),
    ]
}

fn texts() -> Vec<Case> {
    let case = |name, batches| Case { name, job: Job::Domain, batches };
    let odd = domain_to(
        &["://", "a://", "://b", "/c", "d/", "e", "f:/g", "h://i://j/k", ":/", "l://m", "http:///n", "::://o"],
        &["", "", "b", "", "d", "e", "f:", "i:", ":", "m", "", "o"],
    );
    let foreign = domain_to(
        &["https://bücher.example/ä", "https://例え.テスト/パス", "🦀://🦀/🦀", "ÿ://\u{0}\u{10FFFF}/"],
        &["bücher.example", "例え.テスト", "🦀", "\u{0}\u{10FFFF}"],
    );
    let long = ["x".repeat(100_000), format!("s://{}/y", "z".repeat(70_000))];
    vec![
        case("no row", vec![domain(&[])]),
        case("one row", vec![domain_to(&["https://example.org/a/b?c=d"], &["example.org"])]),
        case("empty texts", vec![domain_to(&["", "", ""], &["", "", ""]), domain_to(&[""], &[""])]),
        case("odd urls", vec![odd]),
        case("texts that are not ASCII", vec![foreign]),
        case("a full batch, then a small one", vec![domain_of(&urls(1_024)), domain_of(&urls(2))]),
        case("long texts", vec![domain_of(&long)]),
    ]
}

fn totals() -> Vec<Case> {
    let case = |name, batches| Case { name, job: Job::Keyed, batches };
    let one_key = vec![
        keyed_to(&[1, 1], &[10, 20], &[1, 2], &[10, 30], &[10.0, 15.0]),
        keyed_to(&[], &[], &[], &[], &[]),
        keyed_to(&[1], &[3], &[3], &[33], &[11.0]),
    ];
    let old_and_new = vec![
        keyed_to(&[5, 6, 5], &[1, 2, 3], &[1, 1, 2], &[1, 2, 4], &[1.0, 2.0, 2.0]),
        keyed_to(&[9, 6, 9, 5], &[8, 8, 8, 8], &[1, 2, 2, 3], &[8, 10, 16, 12], &[8.0, 5.0, 8.0, 4.0]),
    ];
    vec![
        case("no row", keyed(&[(&[], &[])])),
        case("one row", vec![keyed_to(&[7], &[40], &[1], &[40], &[40.0])]),
        case("one key through several batches", one_key),
        case("old and new keys in one batch", old_and_new),
        case("sums that wrap", keyed(&[(&[1, 1, 2], &[i64::MAX, 1, i64::MIN]), (&[2, 1], &[-1, -1])])),
        case("many keys in full batches", many_keys()),
    ]
}

fn int64(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn utf8<S: AsRef<str>>(values: &[S]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// Row numbers of so many rows.
fn all(rows: usize) -> Vec<u32> {
    (0..u32::try_from(rows).unwrap()).collect()
}

/// Numbers of all sizes and both signs, the same each time.
fn numbers(count: usize) -> Vec<i64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state
    };
    (0..count).map(|_| (next() as i64) >> (next() >> 58)).collect()
}

fn urls(count: usize) -> Vec<String> {
    let url = |(i, n): (usize, i64)| match i % 4 {
        0 => format!("https://www.shop-{}.example/item/{n}", n.rem_euclid(97)),
        1 => format!("http://{}.tést", n.rem_euclid(1_000)),
        2 => format!("no-scheme-{n}/x"),
        _ => String::new(),
    };
    numbers(count).into_iter().enumerate().map(url).collect()
}

fn convert_to(prices: &[i64], converted: &[i64]) -> Batch {
    Batch { column: int64(prices), keys: Vec::new(), origin: all(prices.len()), makes: vec![int64(converted)] }
}

fn convert(prices: &[i64]) -> Batch {
    let converted: Vec<i64> = prices.iter().map(|price| price.wrapping_mul(908) / 1_000).collect();
    convert_to(prices, &converted)
}

fn filter_to(auctions: &[i64], kept: &[u32]) -> Batch {
    Batch { column: int64(auctions), keys: Vec::new(), origin: kept.to_vec(), makes: Vec::new() }
}

fn filter(auctions: &[i64]) -> Batch {
    let kept: Vec<u32> = all(auctions.len()).into_iter().filter(|row| auctions[*row as usize] % 123 == 0).collect();
    filter_to(auctions, &kept)
}

fn domain_to(urls: &[&str], domains: &[&str]) -> Batch {
    Batch { column: utf8(urls), keys: Vec::new(), origin: all(urls.len()), makes: vec![utf8(domains)] }
}

fn domain(urls: &[&str]) -> Batch {
    let domains: Vec<&str> = urls
        .iter()
        .map(|url| url.split_once("://").map_or(*url, |(_, rest)| rest))
        .map(|rest| rest.split_once('/').map_or(rest, |(domain, _)| domain))
        .collect();
    domain_to(urls, &domains)
}

fn domain_of(urls: &[String]) -> Batch {
    domain(&urls.iter().map(String::as_str).collect::<Vec<_>>())
}

fn keyed_to(keys: &[u32], prices: &[i64], counts: &[i64], sums: &[i64], averages: &[f64]) -> Batch {
    let makes = vec![int64(counts), int64(sums), Arc::new(Float64Array::from(averages.to_vec())) as ArrayRef];
    Batch { column: int64(prices), keys: keys.to_vec(), origin: all(prices.len()), makes }
}

fn keyed(batches: &[(&[u32], &[i64])]) -> Vec<Batch> {
    let mut totals = std::collections::BTreeMap::<u32, (i64, i64)>::new();
    let batch = |(keys, prices): &(&[u32], &[i64])| {
        let (mut counts, mut sums, mut averages) = (Vec::new(), Vec::new(), Vec::new());
        for (key, price) in keys.iter().zip(*prices) {
            let (n, sum) = totals.entry(*key).or_default();
            (*n, *sum) = (*n + 1, sum.wrapping_add(*price));
            counts.push(*n);
            sums.push(*sum);
            averages.push(*sum as f64 / *n as f64);
        }
        keyed_to(keys, prices, &counts, &sums, &averages)
    };
    batches.iter().map(batch).collect()
}

fn many_keys() -> Vec<Batch> {
    let prices = numbers(1_024);
    let keys = |step: usize| (0..1_024).map(|row| u32::try_from(row * step % 701).unwrap()).collect::<Vec<u32>>();
    keyed(&[(&keys(1), &prices), (&keys(37), &prices), (&keys(0), &prices)])
}
