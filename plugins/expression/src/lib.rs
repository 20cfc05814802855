//! Conditions on columns, as configurations write them: `value > 30 and site.name starts_with 'h'`.
//!
//! A condition is read and typed once, when an operator is opened; what is wrong with it is told with its place and the
//! column that was probably meant. It is evaluated over whole columns, a byte a row: [`FALSE`], [`UNKNOWN`] or
//! [`TRUE`]. What compares with null is unknown; `and`, `or` and `not` of unknown are what they are in SQL. Numbers are
//! compared by value: a 64-bit integer never takes the way over a float that would round it.
//!
//! ```
//! use expression::{Scope, TRUE, parse};
//! use wasmill::column::Column;
//! use wasmill::plan::{Field, name};
//!
//! let input = [Field { name: name("value"), kind: name("int64"), nullable: false }];
//! let mut scope = Scope::new(&input);
//! let condition = parse("value > 30", &mut scope).expect("it is a condition");
//! assert_eq!(scope.into_reads().len(), 1);
//! let values = [29, 30, 31_i64];
//! assert_eq!(condition.truths(3, &[Column::fixed(&values)])[2], TRUE);
//! ```
//!
//! **Modules.** [`parse`] takes a text apart into tokens, finds the columns in a [`Scope`], and puts a [`Condition`]
//! together, for which [`compare`] decides how two operands are compared; the condition is evaluated by the loops in
//! `evaluate`.
#![forbid(unsafe_code)]

mod wrong;
mod literal;
mod token;
mod moment;
mod scope;
mod evaluate;
mod condition;
mod compare;
mod parse;

#[cfg(test)]
mod tests;

pub use compare::{Operand, compare, one_of};
pub use condition::Condition;
pub use evaluate::{FALSE, Order, TRUE, TextTest, UNKNOWN, passing};
pub use literal::Literal;
pub use parse::parse;
pub use scope::{Scope, Used};
pub use wrong::Wrong;
