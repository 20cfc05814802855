//! A condition: a tree of tests, evaluated over the columns of a batch.
//!
//! Neighbours: `parse` and `compare` make one, `evaluate` has the loops.

use wasmill::column::{Column, Kind};

use crate::evaluate::{self, FALSE, Order, Right, TRUE, TextTest, Texts};
use crate::literal::Literal;
use crate::scope::Used;

/// Something that is true of a row, or not, or cannot be told.
#[derive(Clone, Debug)]
pub struct Condition {
    pub(crate) node: Node,
    pub(crate) columns: Vec<Used>,
}

/// Whole numbers of a row: those of a column, or how long its texts are. The numbers are those of columns in a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ints {
    /// An int64 or timestamp column.
    Column(usize),
    /// Characters of a utf8 column.
    Characters(usize),
    /// Bytes of a bytes column.
    Bytes(usize),
}

/// What a column is compared with.
#[derive(Clone, Debug)]
pub(crate) enum Against<C, L> {
    /// Another column.
    Column(C),
    /// A value.
    Literal(L),
}

/// A test, or several.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    /// The same of every row that has a value.
    Known(usize, u8),
    Present(usize),
    Ints(Ints, Order, Against<Ints, i64>),
    Floats(usize, Order, Against<usize, f64>),
    Mixed(Ints, Order, usize),
    Booleans(usize, Order, Against<usize, bool>),
    Texts(usize, Order, Against<usize, String>),
    Search(usize, TextTest, String),
    /// Sorted by length, then by bytes.
    Among(usize, Vec<String>),
}

impl Condition {
    pub(crate) fn of(node: Node, columns: impl IntoIterator<Item = Used>) -> Self {
        Self { node, columns: columns.into_iter().collect() }
    }

    /// True of a row that has a value in that column.
    #[must_use]
    pub fn present(column: Used) -> Self {
        Self::of(Node::Present(column.number), [column])
    }

    /// True of a text that passes the test.
    ///
    /// # Errors
    /// The column has no texts.
    pub fn search(column: Used, test: TextTest, wanted: String) -> Result<Self, String> {
        match column.kind {
            Kind::Utf8 => Ok(Self::of(Node::Search(column.number, test, wanted), [column])),
            kind => Err(format!("`{}` is {}; only utf8 can be searched", column.name, kind.name())),
        }
    }

    /// True where any of them is.
    #[must_use]
    pub fn any(of: Vec<Self>) -> Self {
        Self::joined(of, Node::Any)
    }

    /// True where all of them are.
    #[must_use]
    pub fn all(of: Vec<Self>) -> Self {
        Self::joined(of, Node::All)
    }

    fn joined(of: Vec<Self>, join: impl FnOnce(Vec<Node>) -> Node) -> Self {
        let (mut nodes, mut columns) = (Vec::with_capacity(of.len()), Vec::new());
        for Self { node, columns: its } in of {
            nodes.push(node);
            its.into_iter().for_each(|column| {
                if !columns.contains(&column) {
                    columns.push(column);
                }
            });
        }
        match (nodes.pop(), nodes.is_empty()) {
            (Some(only), true) => Self { node: only, columns },
            (last, _) => {
                nodes.extend(last);
                Self { node: join(nodes), columns }
            }
        }
    }

    /// The columns that it asks about, each once.
    #[must_use]
    pub fn columns(&self) -> &[Used] {
        &self.columns
    }

    /// For each row [`FALSE`], [`UNKNOWN`](evaluate::UNKNOWN) or [`TRUE`]. `columns` are those of the scope's reads.
    #[must_use]
    pub fn truths(&self, rows: usize, columns: &[Column<'_>]) -> Vec<u8> {
        let mut truths = vec![FALSE; rows];
        self.node.evaluate(columns, &mut truths);
        truths
    }
}

impl std::ops::Not for Condition {
    type Output = Self;

    /// True where it is false; unknown stays unknown.
    fn not(self) -> Self {
        Self { node: Node::Not(Box::new(self.node)), columns: self.columns }
    }
}

impl Ints {
    /// The number of its column.
    const fn column(self) -> usize {
        match self {
            Self::Column(column) | Self::Characters(column) | Self::Bytes(column) => column,
        }
    }

    fn with<R>(self, columns: &[Column<'_>], use_them: impl FnOnce(&[i64]) -> R) -> R {
        let column = &columns[self.column()];
        match self {
            Self::Column(_) => use_them(column.numbers()),
            Self::Characters(_) => use_them(&Texts::of(column).characters()),
            Self::Bytes(_) => use_them(&Texts::of(column).lengths()),
        }
    }
}

impl Node {
    fn evaluate(&self, columns: &[Column<'_>], truths: &mut [u8]) {
        match self {
            Self::All(nodes) => fold(nodes, columns, truths, u8::min),
            Self::Any(nodes) => fold(nodes, columns, truths, u8::max),
            Self::Not(node) => {
                node.evaluate(columns, truths);
                truths.iter_mut().for_each(|truth| *truth = TRUE - *truth);
            }
            Self::Present(column) => evaluate::present(&columns[*column], truths),
            test => {
                test.compare(columns, truths);
                test.asks().into_iter().flatten().for_each(|column| {
                    evaluate::unknown_where_null(&columns[column], truths);
                });
            }
        }
    }

    /// The columns without whose values nothing is known.
    fn asks(&self) -> [Option<usize>; 2] {
        let both = |left, right| [Some(left), Some(right)];
        match self {
            Self::All(_) | Self::Any(_) | Self::Not(_) | Self::Present(_) => [None, None],
            Self::Known(column, _) | Self::Search(column, ..) | Self::Among(column, _) => [Some(*column), None],
            Self::Ints(left, _, Against::Column(right)) => both(left.column(), right.column()),
            Self::Ints(left, _, Against::Literal(_)) => [Some(left.column()), None],
            Self::Mixed(left, _, right) => both(left.column(), *right),
            Self::Floats(left, _, Against::Column(right))
            | Self::Booleans(left, _, Against::Column(right))
            | Self::Texts(left, _, Against::Column(right)) => both(*left, *right),
            Self::Floats(left, ..) | Self::Booleans(left, ..) | Self::Texts(left, ..) => [Some(*left), None],
        }
    }

    /// What is so of the values, as if there were no nulls.
    fn compare(&self, columns: &[Column<'_>], truths: &mut [u8]) {
        match self {
            Self::Known(_, truth) => truths.fill(*truth),
            Self::Ints(left, order, Against::Literal(right)) => {
                left.with(columns, |left| evaluate::numbers(left, *order, Right::One(*right), truths));
            }
            Self::Ints(left, order, Against::Column(right)) => left.with(columns, |left| {
                right.with(columns, |right| evaluate::numbers(left, *order, Right::Each(right), truths));
            }),
            Self::Mixed(left, order, right) => {
                left.with(columns, |left| evaluate::mixed(left, *order, columns[*right].numbers(), truths));
            }
            Self::Floats(left, order, against) => {
                let right = match against {
                    Against::Literal(right) => Right::One(*right),
                    Against::Column(right) => Right::Each(columns[*right].numbers()),
                };
                evaluate::numbers::<f64>(columns[*left].numbers(), *order, right, truths);
            }
            Self::Booleans(left, order, against) => {
                let right = match against {
                    Against::Literal(right) => Right::One(u8::from(*right)),
                    Against::Column(right) => Right::Each(columns[*right].numbers()),
                };
                evaluate::numbers::<u8>(columns[*left].numbers(), *order, right, truths);
            }
            Self::Texts(left, order, against) => {
                let left = Texts::of(&columns[*left]);
                match against {
                    Against::Literal(right) => left.compare_one(*order, right, truths),
                    Against::Column(right) => left.compare_each(*order, &Texts::of(&columns[*right]), truths),
                }
            }
            Self::Search(column, test, wanted) => Texts::of(&columns[*column]).search(*test, wanted, truths),
            Self::Among(column, sorted) => Texts::of(&columns[*column]).among(sorted, truths),
            Self::All(_) | Self::Any(_) | Self::Not(_) | Self::Present(_) => {
                unreachable!("`evaluate` has done what does not compare")
            }
        }
    }
}

fn fold(nodes: &[Node], columns: &[Column<'_>], truths: &mut [u8], join: impl Fn(u8, u8) -> u8) {
    let Some((first, others)) = nodes.split_first() else { return };
    first.evaluate(columns, truths);
    let mut its = vec![FALSE; truths.len()];
    for node in others {
        node.evaluate(columns, &mut its);
        for (truth, other) in truths.iter_mut().zip(&its) {
            *truth = join(*truth, *other);
        }
    }
}

/// Texts in the order in which one is looked for among them.
pub(crate) fn sorted(texts: impl IntoIterator<Item = Literal>) -> Vec<String> {
    let text = |literal| match literal {
        Literal::Text(text) => Some(text),
        _ => None,
    };
    let mut texts: Vec<String> = texts.into_iter().filter_map(text).collect();
    texts.sort_by(|a, b| (a.len(), a.as_bytes()).cmp(&(b.len(), b.as_bytes())));
    texts
}
