//! Which comparison two operands mean, decided once by their kinds.
//!
//! A number that stands in the configuration is turned into one of the column's own type where that changes nothing,
//! and else the comparison into one that does: `n < 2.5` of whole numbers is `n <= 2`. Neighbours: `parse` calls, and
//! operators whose configuration has checks of its own.

use wasmill::column::Kind;

use crate::condition::{Against, Condition, Ints, Node, sorted};
use crate::evaluate::{FALSE, Order, TRUE};
use crate::literal::Literal;
use crate::moment;
use crate::scope::Used;

/// A side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// The values of a column.
    Column(Used),
    /// How long the values of a column are: characters of utf8, bytes of bytes.
    Length(Used),
    /// A value.
    Literal(Literal),
}

/// What is compared on the left side, or on both.
enum Side {
    Ints(Ints),
    Moments(usize),
    Floats(usize),
    Booleans(usize),
    Texts(usize),
}

/// The comparison of two operands.
///
/// # Errors
/// They cannot be compared, or not so; why, in a sentence.
pub fn compare(left: Operand, order: Order, right: Operand) -> Result<Condition, String> {
    match (left, right) {
        (Operand::Literal(_), Operand::Literal(_)) => {
            Err("two constants are compared; one side must be a column".to_owned())
        }
        (Operand::Literal(left), right) => compare(right, order.flipped(), Operand::Literal(left)),
        (left, Operand::Literal(right)) => {
            let node = with_literal(&left, order, right)?;
            Ok(Condition::of(node, columns([left])))
        }
        (left, right) => {
            let node = with_column(&left, order, &right)?;
            let mut columns: Vec<Used> = columns([left, right]).collect();
            columns.dedup();
            Ok(Condition::of(node, columns))
        }
    }
}

/// True of a row whose value in that column is one of these.
///
/// # Errors
/// One of them cannot be compared with the column's values; why, in a sentence.
pub fn one_of(column: &Used, values: Vec<Literal>) -> Result<Condition, String> {
    if column.kind == Kind::Utf8 && values.iter().all(|value| matches!(value, Literal::Text(_))) {
        return Ok(Condition::of(Node::Among(column.number, sorted(values)), [column.clone()]));
    }
    let equal = |value| compare(Operand::Column(column.clone()), Order::Equal, Operand::Literal(value));
    Ok(Condition::any(values.into_iter().map(equal).collect::<Result<_, _>>()?))
}

fn columns(operands: impl IntoIterator<Item = Operand>) -> impl Iterator<Item = Used> {
    operands.into_iter().filter_map(|operand| match operand {
        Operand::Column(column) | Operand::Length(column) => Some(column),
        Operand::Literal(_) => None,
    })
}

fn side(operand: &Operand) -> Result<Side, String> {
    match operand {
        Operand::Column(column) => match column.kind {
            Kind::Int64 => Ok(Side::Ints(Ints::Column(column.number))),
            Kind::Timestamp => Ok(Side::Moments(column.number)),
            Kind::Float64 => Ok(Side::Floats(column.number)),
            Kind::Boolean => Ok(Side::Booleans(column.number)),
            Kind::Utf8 => Ok(Side::Texts(column.number)),
            Kind::Bytes | Kind::Json => {
                let (name, kind) = (&column.name, column.kind.name());
                Err(format!("`{name}` is {kind}, which is not compared; ask whether it `is null`"))
            }
        },
        Operand::Length(column) => match column.kind {
            Kind::Utf8 => Ok(Side::Ints(Ints::Characters(column.number))),
            Kind::Bytes => Ok(Side::Ints(Ints::Bytes(column.number))),
            kind => Err(format!("`{}` is {}; only utf8 and bytes have a length", column.name, kind.name())),
        },
        Operand::Literal(_) => Err("one side must be a column".to_owned()),
    }
}

/// What an operand is called, and of what kind its values are.
fn described(operand: &Operand) -> String {
    match operand {
        Operand::Column(column) => format!("`{}` is {}", column.name, column.kind.name()),
        Operand::Length(column) => format!("`length({})` is int64", column.name),
        Operand::Literal(literal) => format!("{literal} is {}", literal.kind()),
    }
}

fn with_literal(left: &Operand, order: Order, right: Literal) -> Result<Node, String> {
    match (side(left)?, right) {
        (Side::Ints(ints), Literal::Int(right)) => Ok(Node::Ints(ints, order, Against::Literal(right))),
        (Side::Ints(ints), Literal::Float(right)) => Ok(int_with_float(ints, order, right)),
        (Side::Floats(column), Literal::Float(right)) => Ok(Node::Floats(column, order, Against::Literal(right))),
        (Side::Floats(column), Literal::Int(right)) => Ok(float_with_int(column, order, right)),
        (Side::Moments(column), Literal::Text(text)) => {
            let moment = moment::parse(&text);
            let moment = moment.ok_or_else(|| format!("'{text}' is no moment; write one as '2026-01-31T12:00:00Z'"))?;
            Ok(Node::Ints(Ints::Column(column), order, Against::Literal(moment)))
        }
        (Side::Texts(column), Literal::Text(right)) => Ok(Node::Texts(column, order, Against::Literal(right))),
        (Side::Booleans(column), Literal::Boolean(right)) => {
            for_booleans(left, order)?;
            Ok(Node::Booleans(column, order, Against::Literal(right)))
        }
        (_, right) => Err(format!("{}, {right} is {}; they cannot be compared", described(left), right.kind())),
    }
}

fn with_column(left: &Operand, order: Order, right: &Operand) -> Result<Node, String> {
    match (side(left)?, side(right)?) {
        (Side::Ints(ints), Side::Ints(others)) => Ok(Node::Ints(ints, order, Against::Column(others))),
        (Side::Moments(column), Side::Moments(other)) => {
            Ok(Node::Ints(Ints::Column(column), order, Against::Column(Ints::Column(other))))
        }
        (Side::Floats(column), Side::Floats(other)) => Ok(Node::Floats(column, order, Against::Column(other))),
        (Side::Ints(ints), Side::Floats(column)) => Ok(Node::Mixed(ints, order, column)),
        (Side::Floats(column), Side::Ints(ints)) => Ok(Node::Mixed(ints, order.flipped(), column)),
        (Side::Texts(column), Side::Texts(other)) => Ok(Node::Texts(column, order, Against::Column(other))),
        (Side::Booleans(column), Side::Booleans(other)) => {
            for_booleans(left, order)?;
            Ok(Node::Booleans(column, order, Against::Column(other)))
        }
        _ => Err(format!("{}, {}; they cannot be compared", described(left), described(right))),
    }
}

fn for_booleans(left: &Operand, order: Order) -> Result<(), String> {
    match order {
        Order::Equal | Order::NotEqual => Ok(()),
        _ => Err(format!("{}: only == and != compare booleans", described(left))),
    }
}

/// The number of the column that `ints` are of.
const fn of(ints: Ints) -> usize {
    match ints {
        Ints::Column(column) | Ints::Characters(column) | Ints::Bytes(column) => column,
    }
}

/// Whole numbers with any number: as a comparison of whole numbers.
fn int_with_float(ints: Ints, order: Order, right: f64) -> Node {
    const PAST: f64 = 9_223_372_036_854_775_808.0;
    let known = |truth: bool| Node::Known(of(ints), if truth { TRUE } else { FALSE });
    if right >= PAST {
        return known(matches!(order, Order::Below | Order::AtMost | Order::NotEqual));
    }
    if right < -PAST {
        return known(matches!(order, Order::Above | Order::AtLeast | Order::NotEqual));
    }
    // The casts take whole numbers within the range and nothing else.
    let against = |right: f64| Against::Literal(right as i64);
    match order {
        _ if right.fract() == 0.0 => Node::Ints(ints, order, against(right)),
        Order::Equal => known(false),
        Order::NotEqual => known(true),
        Order::Below | Order::AtMost => Node::Ints(ints, Order::AtMost, against(right.floor())),
        Order::Above | Order::AtLeast => Node::Ints(ints, Order::AtLeast, against(right.ceil())),
    }
}

/// Floats with a whole number: as a comparison of floats.
fn float_with_int(column: usize, order: Order, right: i64) -> Node {
    let near = right as f64;
    let floats = |order, right| Node::Floats(column, order, Against::Literal(right));
    match (near as i128).cmp(&i128::from(right)) {
        std::cmp::Ordering::Equal => floats(order, near),
        side => {
            let (below, above) = if side.is_gt() { (near.next_down(), near) } else { (near, near.next_up()) };
            match order {
                Order::Equal => Node::Known(column, FALSE),
                Order::NotEqual => Node::Known(column, TRUE),
                Order::Below | Order::AtMost => floats(Order::AtMost, below),
                Order::Above | Order::AtLeast => floats(Order::AtLeast, above),
            }
        }
    }
}
