//! Where the boxes of a picture stand: in columns from left to right, each part one column after the last that it reads
//! from.
//!
//! An edge that passes columns gets an empty box in each of them, so that no line runs behind a box. Within a column
//! boxes stand in the order of what they read from and as near to it as they can: a few sweeps over the columns, after
//! Sugiyama.

use super::Sketch;

/// A box, or an empty one that an edge passes through.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Column, counted from 0.
    pub(super) column: usize,
    /// Middle.
    pub(super) y: f64,
    /// Height.
    pub(super) height: f64,
}

/// All boxes of a picture.
pub(super) struct Places {
    /// One entry a part.
    pub(super) parts: Vec<Place>,
    /// For each edge the places that it passes, both ends included.
    pub(super) ways: Vec<Vec<Place>>,
    /// Number of columns.
    pub(super) columns: usize,
    /// Lowest end of a box.
    pub(super) bottom: f64,
}

/// Empty space between two boxes of a column.
const GAP: f64 = 18.0;

/// Height that an edge takes which passes a column.
const PASSING: f64 = 6.0;

/// Times that the columns are swept in both directions.
const SWEEPS: usize = 6;

/// Places for parts of these heights.
pub(super) fn place(sketch: &Sketch, heights: &[f64]) -> Places {
    let columns = columns(sketch);
    let mut places: Vec<Place> = Vec::new();
    for (column, height) in columns.iter().zip(heights) {
        places.push(Place { column: *column, y: 0.0, height: *height });
    }
    let mut ways: Vec<Vec<usize>> = Vec::new();
    for edge in &sketch.edges {
        let mut way = vec![edge.from];
        for column in columns[edge.from] + 1..columns[edge.to] {
            way.push(places.len());
            places.push(Place { column, y: 0.0, height: PASSING });
        }
        way.push(edge.to);
        ways.push(way);
    }
    let count = columns.iter().max().map_or(0, |last| last + 1);
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); count];
    (0..places.len()).for_each(|place| order[places[place].column].push(place));
    order.iter().for_each(|column| settle(&mut places, column, |_| None));
    for sweep in 0..SWEEPS {
        let to_the_right = sweep % 2 == 0;
        for i in 0..count {
            let column = &mut order[if to_the_right { i } else { count - 1 - i }];
            let wanted: Vec<Option<f64>> =
                column.iter().map(|place| middle(&places, &ways, *place, to_the_right)).collect();
            let mut wanted: Vec<(usize, f64)> =
                column.iter().zip(wanted).map(|(place, y)| (*place, y.unwrap_or(places[*place].y))).collect();
            wanted.sort_by(|a, b| a.1.total_cmp(&b.1));
            *column = wanted.iter().map(|(place, _)| *place).collect();
            settle(&mut places, column, |i| Some(wanted[i].1));
        }
    }
    let top = places.iter().map(|place| place.y - place.height / 2.0).fold(f64::INFINITY, f64::min);
    places.iter_mut().for_each(|place| place.y -= top);
    let bottom = places.iter().map(|place| place.y + place.height / 2.0).fold(0.0, f64::max);
    let ways = ways.iter().map(|way| way.iter().map(|place| places[*place].clone()).collect()).collect();
    places.truncate(sketch.parts.len());
    Places { parts: places, ways, columns: count, bottom }
}

/// The longest way from a source to each part; sinks stand in the last column.
fn columns(sketch: &Sketch) -> Vec<usize> {
    let mut columns = vec![0; sketch.parts.len()];
    for part in 0..columns.len() {
        let before = sketch.edges.iter().filter(|edge| edge.to == part).map(|edge| columns[edge.from] + 1);
        columns[part] = before.max().unwrap_or(0);
    }
    let last = columns.iter().copied().max().unwrap_or(0);
    for (column, part) in columns.iter_mut().zip(&sketch.parts) {
        if part.role == super::Role::Sink {
            *column = last;
        }
    }
    columns
}

/// The mean of what a place is connected to on one side.
fn middle(places: &[Place], ways: &[Vec<usize>], place: usize, from_the_left: bool) -> Option<f64> {
    let pairs = ways.iter().flat_map(|way| way.windows(2));
    let others = pairs.filter_map(|pair| match (from_the_left, pair) {
        (true, [other, here]) | (false, [here, other]) if *here == place => Some(places[*other].y),
        _ => None,
    });
    let ys: Vec<f64> = others.collect();
    let count = u32::try_from(ys.len()).ok().filter(|count| *count > 0)?;
    Some(ys.iter().sum::<f64>() / f64::from(count))
}

/// Puts the places of a column where they want to be, in their order and without overlap, none of them much worse off.
fn settle(places: &mut [Place], column: &[usize], wanted: impl Fn(usize) -> Option<f64>) {
    let mut low = f64::NEG_INFINITY;
    let mut off = 0.0;
    for (i, place) in column.iter().enumerate() {
        let half = places[*place].height / 2.0;
        let want = wanted(i);
        let y = want.unwrap_or(0.0).max(low + half + GAP);
        off += want.map_or(0.0, |want| y - want);
        places[*place].y = y;
        low = y + half;
    }
    let shift = off / f64::from(u32::try_from(column.len().max(1)).unwrap_or(u32::MAX));
    column.iter().for_each(|place| places[*place].y -= shift);
}
