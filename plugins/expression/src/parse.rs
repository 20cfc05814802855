//! The text of a condition to a [`Condition`].
//!
//! ```text
//! condition := all ("or" all)*
//! all       := one ("and" one)*
//! one       := "not" one | "(" condition ")" | operand test?
//! test      := ("==" | "=" | "!=" | "<" | "<=" | ">" | ">=") operand | "is" "not"? "null"
//!            | "not"? "in" "(" literal ("," literal)* ")" | "not"? ("contains" | "starts_with" | "ends_with") text
//! operand   := column | "length" "(" column ")" | literal
//! ```
//!
//! Neighbours: `token` takes the text apart, `scope` knows the columns, `compare` what a comparison means.

use crate::compare::{Operand, compare, one_of};
use crate::condition::Condition;
use crate::evaluate::{Order, TextTest};
use crate::literal::Literal;
use crate::scope::{Scope, Used};
use crate::token::{Kind, Token, tokens};
use crate::wrong::Wrong;

/// How deep conditions may be within one another.
const DEPTH_MAX: usize = 64;

/// Words that are no columns, unless in back quotes.
const WORDS: [&str; 12] =
    ["and", "or", "not", "is", "null", "in", "contains", "starts_with", "ends_with", "length", "true", "false"];

/// Reads a condition. The columns that it names are read from then on.
///
/// # Errors
/// What is wrong with it, and where.
pub fn parse(text: &str, scope: &mut Scope<'_>) -> Result<Condition, Wrong> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0, scope };
    let condition = parser.any()?;
    match parser.look() {
        Token { kind: Kind::End, .. } => Ok(condition),
        token => Err(Wrong::new(
            token.at,
            format!("after the condition comes {}; join two with `and` or `or`", shown(token)),
        )),
    }
}

struct Parser<'s, 'i> {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    scope: &'s mut Scope<'i>,
}

impl Parser<'_, '_> {
    fn look(&self) -> &Token {
        &self.tokens[self.next]
    }

    /// The next token; the end stays where it is.
    fn take(&mut self) -> Token {
        let token = self.tokens[self.next].clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    /// Takes that word, if it is next.
    fn word(&mut self, word: &str) -> bool {
        let found = matches!(&self.look().kind, Kind::Word(next) if next.eq_ignore_ascii_case(word));
        if found {
            self.take();
        }
        found
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.look().kind, Kind::Sign(next) if next == sign);
        if found {
            self.take();
        }
        found
    }

    fn need(&mut self, sign: &str, after: &str) -> Result<(), Wrong> {
        if self.sign(sign) { Ok(()) } else { Err(self.expected(&format!("`{sign}` {after}"))) }
    }

    fn expected(&self, what: &str) -> Wrong {
        let token = self.look();
        Wrong::new(token.at, format!("here must be {what}, not {}", shown(token)))
    }

    fn any(&mut self) -> Result<Condition, Wrong> {
        let mut conditions = vec![self.all()?];
        while self.word("or") {
            conditions.push(self.all()?);
        }
        Ok(Condition::any(conditions))
    }

    fn all(&mut self) -> Result<Condition, Wrong> {
        let mut conditions = vec![self.one()?];
        while self.word("and") {
            conditions.push(self.one()?);
        }
        Ok(Condition::all(conditions))
    }

    fn one(&mut self) -> Result<Condition, Wrong> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Wrong::new(
                self.look().at,
                format!("conditions are more than {DEPTH_MAX} deep in one another"),
            ));
        }
        let condition = if self.word("not") {
            !self.one()?
        } else if self.sign("(") {
            let condition = self.any()?;
            self.need(")", "to close the condition")?;
            condition
        } else {
            self.test()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn test(&mut self) -> Result<Condition, Wrong> {
        let at = self.look().at;
        let left = self.operand()?;
        let wrong = |message| Wrong::new(at, message);
        if let Kind::Sign(sign) = self.look().kind
            && let Some(order) = order(sign)
        {
            self.take();
            let right = self.operand()?;
            return compare(left, order, right).map_err(wrong);
        }
        if self.word("is") {
            let is_not = self.word("not");
            if !self.word("null") {
                return Err(self.expected("`null`"));
            }
            let present = Condition::present(self.column_of(left, at, "is null")?);
            return Ok(if is_not { present } else { !present });
        }
        let is_not = self.word("not");
        let condition = if self.word("in") {
            let column = self.column_of(left, at, "in")?;
            let values = self.values()?;
            one_of(&column, values).map_err(wrong)?
        } else if let Some(test) = self.text_test() {
            let column = self.column_of(left, at, "a test of text")?;
            Condition::search(column, test, self.text()?).map_err(wrong)?
        } else if is_not {
            return Err(self.expected("`in`, `contains`, `starts_with` or `ends_with`"));
        } else {
            return self.alone(left, at);
        };
        Ok(if is_not { !condition } else { condition })
    }

    /// A boolean column without a comparison.
    fn alone(&self, operand: Operand, at: usize) -> Result<Condition, Wrong> {
        match operand {
            Operand::Column(column) if column.kind == wasmill::column::Kind::Boolean => {
                let (column, value) = (Operand::Column(column), Operand::Literal(Literal::Boolean(true)));
                compare(column, Order::Equal, value).map_err(|message| Wrong::new(at, message))
            }
            _ => Err(self.expected("a comparison, as in `value > 3` or `value is null`")),
        }
    }

    fn column_of(&self, operand: Operand, at: usize, before: &str) -> Result<Used, Wrong> {
        match operand {
            Operand::Column(column) => Ok(column),
            _ => Err(Wrong::new(at, format!("before {before} stands a column"))),
        }
    }

    fn text_test(&mut self) -> Option<TextTest> {
        let tests = [
            ("contains", TextTest::Contains),
            ("starts_with", TextTest::StartsWith),
            ("ends_with", TextTest::EndsWith),
        ];
        tests.into_iter().find_map(|(word, test)| self.word(word).then_some(test))
    }

    fn text(&mut self) -> Result<String, Wrong> {
        match self.look().kind.clone() {
            Kind::Literal(Literal::Text(text)) => {
                self.take();
                Ok(text)
            }
            _ => Err(self.expected("a text in quotes")),
        }
    }

    fn values(&mut self) -> Result<Vec<Literal>, Wrong> {
        self.need("(", "and the values, as in `in ('a', 'b')`")?;
        let mut values = Vec::new();
        loop {
            match self.operand()? {
                Operand::Literal(literal) => values.push(literal),
                _ => return Err(Wrong::new(self.look().at, "only values stand in the list after `in`")),
            }
            if !self.sign(",") {
                self.need(")", "or `,` after a value")?;
                return Ok(values);
            }
        }
    }

    fn operand(&mut self) -> Result<Operand, Wrong> {
        let Token { at, kind } = self.look().clone();
        let operand = match kind {
            Kind::Literal(literal) => Operand::Literal(literal),
            Kind::Quoted(name) => Operand::Column(self.column(&name, at)?),
            Kind::Word(word) => match word.to_ascii_lowercase().as_str() {
                "true" => Operand::Literal(Literal::Boolean(true)),
                "false" => Operand::Literal(Literal::Boolean(false)),
                "null" => return Err(Wrong::new(at, "nothing compares with null; write `is null` or `is not null`")),
                "length" if self.tokens[self.next + 1].kind == Kind::Sign("(") => return self.length(),
                reserved if WORDS.contains(&reserved) => return Err(self.expected("a column or a value")),
                _ => Operand::Column(self.column(&word, at)?),
            },
            Kind::Sign(_) | Kind::End => return Err(self.expected("a column or a value")),
        };
        self.take();
        Ok(operand)
    }

    fn length(&mut self) -> Result<Operand, Wrong> {
        self.take();
        self.take();
        let at = self.look().at;
        let Operand::Column(column) = self.operand()? else {
            return Err(Wrong::new(at, "`length` is of a column"));
        };
        self.need(")", "after the column")?;
        Ok(Operand::Length(column))
    }

    fn column(&mut self, name: &str, at: usize) -> Result<Used, Wrong> {
        self.scope.column(name).map_err(|message| Wrong::new(at, message))
    }
}

fn order(sign: &str) -> Option<Order> {
    match sign {
        "==" | "=" => Some(Order::Equal),
        "!=" => Some(Order::NotEqual),
        "<" => Some(Order::Below),
        "<=" => Some(Order::AtMost),
        ">" => Some(Order::Above),
        ">=" => Some(Order::AtLeast),
        _ => None,
    }
}

fn shown(token: &Token) -> String {
    match &token.kind {
        Kind::Word(word) => format!("`{word}`"),
        Kind::Quoted(name) => format!("the column `{name}`"),
        Kind::Literal(literal) => literal.to_string(),
        Kind::Sign(sign) => format!("`{sign}`"),
        Kind::End => "the end".to_owned(),
    }
}
