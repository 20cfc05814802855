//! An operator outside of a component: what a test driver needs of it.
//!
//! The attributes give the operator of a function `score` a type of the same name; `wasmill-test` runs it. Neighbours:
//! [`crate::operator`] has the two kinds, which are one here.

use crate::effects::Step;
use crate::operator::{Call, Keys};
use crate::plan::{Field, Plan, Refusal};

/// An operator of either kind.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an operator",
    note = "an operator is named like its function: `#[transform] fn clean(..)` is `clean`"
)]
pub trait Operator: Sized {
    /// Whether it has state.
    const KEYED: bool;

    /// As [`crate::operator::Transform::open`].
    ///
    /// # Errors
    /// The configuration or the input does not suit it.
    fn open(config: &str, input: &[Field]) -> Result<(Self, Plan), Refusal>;

    /// Works on a batch. `keys` are there for a keyed operator, and only then.
    fn process<'a>(&self, call: Call<'a>, keys: Option<Keys<'a>>) -> Step<'a>;
}

/// Implements [`Operator`] through one of the two kinds.
#[doc(hidden)]
#[macro_export]
macro_rules! __native {
    (Transform $operator:ty) => {
        impl $crate::native::Operator for $operator {
            const KEYED: bool = false;
            $crate::__native!(open Transform $operator);
            fn process<'a>(
                &self,
                call: $crate::operator::Call<'a>,
                _: ::core::option::Option<$crate::operator::Keys<'a>>,
            ) -> $crate::effects::Step<'a> {
                let effects = <Self as $crate::operator::Transform>::process(self, call);
                $crate::effects::Step { effects, ..::core::default::Default::default() }
            }
        }
    };
    (Keyed $operator:ty) => {
        impl $crate::native::Operator for $operator {
            const KEYED: bool = true;
            $crate::__native!(open Keyed $operator);
            fn process<'a>(
                &self,
                call: $crate::operator::Call<'a>,
                keys: ::core::option::Option<$crate::operator::Keys<'a>>,
            ) -> $crate::effects::Step<'a> {
                let keys = keys.expect("a keyed operator is called with keys");
                <Self as $crate::operator::Keyed>::process(self, call, keys)
            }
        }
    };
    (open $kind:ident $operator:ty) => {
        fn open(
            config: &str,
            input: &[$crate::plan::Field],
        ) -> ::core::result::Result<(Self, $crate::plan::Plan), $crate::plan::Refusal> {
            <Self as $crate::operator::$kind>::open(config, input)
        }
    };
}
