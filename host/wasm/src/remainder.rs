//! A remainder that is only compared with zero, as a product.
//!
//! `x % 123 == 0` is how a filter picks and a sampler thins out. Compilers to WebAssembly leave a division by a
//! constant to whoever makes machine code of it, and Cranelift computes the whole remainder: two products, shifts and a
//! subtraction. Native compilers multiply once: the inverse of an odd divisor modulo 2^64 maps its multiples, and
//! nothing else, to the smallest numbers. (H. S. Warren, Hacker's Delight, 2nd edition, 10-17, "Test for zero remainder
//! after division by a constant".) So this is done to a core module before it becomes a component.
//!
//! Always true: the module answers as before; what is not such a comparison stays as it is, to the byte. Neighbour:
//! [`crate::encode`] calls.

use std::borrow::Cow;

use wasm_encoder::{CodeSection, Encode as _, Instruction, Section as _};
use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload};

/// Sections that say something of places within functions, which would be others.
const TELLS_PLACES: [&str; 2] = [".debug_", "metadata.code."];

/// The functions of a module, and where in it the section is that has them.
struct Code<'m> {
    start: usize,
    end: usize,
    functions: Vec<FunctionBody<'m>>,
}

/// The core module without such remainders.
///
/// # Errors
/// It cannot be read.
pub(crate) fn multiplied(core: &[u8]) -> Result<Cow<'_, [u8]>, BinaryReaderError> {
    let Some(Code { start, end, functions }) = code(core)? else { return Ok(core.into()) };
    let bodies = functions.iter().map(body).collect::<Result<Vec<_>, _>>()?;
    if !bodies.iter().any(|body| matches!(body, Cow::Owned(_))) {
        return Ok(core.into());
    }
    let mut section = CodeSection::new();
    for body in bodies {
        section.raw(&body);
    }
    let mut module = Vec::with_capacity(core.len());
    module.extend_from_slice(&core[..start]);
    section.append_to(&mut module);
    module.extend_from_slice(&core[end..]);
    Ok(module.into())
}

/// The functions, if there are any and nothing tells places within them.
fn code(core: &[u8]) -> Result<Option<Code<'_>>, BinaryReaderError> {
    let mut found: Option<Code<'_>> = None;
    let mut before = 0;
    for payload in Parser::new(0).parse_all(core) {
        let payload = payload?;
        match &payload {
            Payload::Version { range, .. } => before = byte(range.end),
            Payload::CodeSectionStart { unchecked_range, .. } => {
                found = Some(Code { start: before, end: byte(unchecked_range.end), functions: Vec::new() });
            }
            Payload::CodeSectionEntry(function) => {
                found.iter_mut().for_each(|code| code.functions.push(function.clone()))
            }
            Payload::CustomSection(section) if TELLS_PLACES.iter().any(|name| section.name().starts_with(name)) => {
                return Ok(None);
            }
            _ => {}
        }
        if let Some((_, range)) = payload.as_section() {
            before = byte(range.end);
        }
    }
    Ok(found)
}

/// A function's locals and instructions.
fn body<'m>(function: &FunctionBody<'m>) -> Result<Cow<'m, [u8]>, BinaryReaderError> {
    let (bytes, start) = (function.as_bytes(), function.range().start);
    if !may_test(bytes) {
        return Ok(bytes.into());
    }
    let (mut operators, mut places) = (Vec::new(), Vec::new());
    for operator in function.get_operators_reader()?.into_iter_with_offsets() {
        let (operator, place) = operator?;
        operators.push(operator);
        places.push(byte(place - start));
    }
    let mut changed = Vec::new();
    let mut copied = 0;
    for first in 0..operators.len() {
        let Some(test) = Test::found(&operators[first..]) else { continue };
        changed.extend_from_slice(&bytes[copied..places[first]]);
        test.write(&mut changed);
        copied = places[first + test.operators];
    }
    if copied == 0 {
        return Ok(bytes.into());
    }
    changed.extend_from_slice(&bytes[copied..]);
    Ok(changed.into())
}

/// Whether a remainder and what may test it stand beside each other. Most functions have none, and need not be decoded.
fn may_test(bytes: &[u8]) -> bool {
    bytes
        .windows(2)
        .any(|pair| matches!(pair, [0x81 | 0x82, 0x50 | 0x42] | [0x6f | 0x70, 0x45 | 0x41 | 0x04 | 0x0d | 0x1b]))
}

fn byte(place: u64) -> usize {
    usize::try_from(place).expect("the module is in memory")
}

/// The instructions for numbers of one width.
struct Width {
    bits: u32,
    constant: fn(u64) -> Instruction<'static>,
    add: Instruction<'static>,
    multiply: Instruction<'static>,
    rotate_right: Instruction<'static>,
    at_most: Instruction<'static>,
    above: Instruction<'static>,
}

static I32: Width = Width {
    bits: 32,
    constant: |number| Instruction::I32Const((number as u32).cast_signed()),
    add: Instruction::I32Add,
    multiply: Instruction::I32Mul,
    rotate_right: Instruction::I32Rotr,
    at_most: Instruction::I32LeU,
    above: Instruction::I32GtU,
};

static I64: Width = Width {
    bits: 64,
    constant: |number| Instruction::I64Const(number.cast_signed()),
    add: Instruction::I64Add,
    multiply: Instruction::I64Mul,
    rotate_right: Instruction::I64Rotr,
    at_most: Instruction::I64LeU,
    above: Instruction::I64GtU,
};

/// A comparison of a remainder with zero.
struct Test {
    width: &'static Width,
    multiples: Multiples,
    /// Whether zero is what is looked for, not anything else.
    zero: bool,
    /// How many operators it takes the place of.
    operators: usize,
}

impl Test {
    /// The one that these operators begin with: the divisor, the remainder, the comparison.
    fn found(operators: &[Operator<'_>]) -> Option<Self> {
        use Operator as O;
        let (width, signed, divisor) = match operators {
            [O::I64Const { value }, O::I64RemS, ..] => (&I64, true, value.unsigned_abs()),
            [O::I64Const { value }, O::I64RemU, ..] => (&I64, false, value.cast_unsigned()),
            [O::I32Const { value }, O::I32RemS, ..] => (&I32, true, value.unsigned_abs().into()),
            [O::I32Const { value }, O::I32RemU, ..] => (&I32, false, value.cast_unsigned().into()),
            _ => return None,
        };
        let (zero, operators) = match &operators[2..] {
            [O::I64Eqz | O::I32Eqz, ..] => (true, 3),
            [O::I64Const { value: 0 }, O::I64Eq, ..] | [O::I32Const { value: 0 }, O::I32Eq, ..] => (true, 4),
            [O::I64Const { value: 0 }, O::I64Ne, ..] | [O::I32Const { value: 0 }, O::I32Ne, ..] => (false, 4),
            // Anything but zero is true.
            [O::If { .. } | O::BrIf { .. } | O::Select, ..] => (false, 2),
            _ => return None,
        };
        Some(Self { width, multiples: Multiples::of(divisor, signed, width.bits)?, zero, operators })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Self { width, multiples: Multiples { inverse, add, rotate, most }, zero, .. } = self;
        let mut with = |number: u64, instruction: &Instruction<'_>| {
            (width.constant)(number).encode(out);
            instruction.encode(out);
        };
        with(*inverse, &width.multiply);
        if *add != 0 {
            with(*add, &width.add);
        }
        if *rotate != 0 {
            with((*rotate).into(), &width.rotate_right);
        }
        with(*most, if *zero { &width.at_most } else { &width.above });
    }
}

/// Which numbers are multiples of a divisor: those for which `(number * inverse + add)`, rotated to the right, is at
/// most `most`, all unsigned and modulo 2^bits.
#[derive(Debug)]
struct Multiples {
    inverse: u64,
    add: u64,
    rotate: u32,
    most: u64,
}

impl Multiples {
    /// None for 0, which traps, and for powers of two, which compilers mask by themselves.
    fn of(divisor: u64, signed: bool, bits: u32) -> Option<Self> {
        if divisor == 0 || divisor.is_power_of_two() {
            return None;
        }
        let all = u64::MAX >> (u64::BITS - bits);
        let rotate = divisor.trailing_zeros();
        let odd = divisor >> rotate;
        // Newton's method: an odd number is its own inverse in the last three bits, and each step doubles them.
        let better = |inverse: u64, _| inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        let inverse = (0..5).fold(odd, better) & all;
        if !signed {
            return Some(Self { inverse, add: 0, rotate, most: all / divisor });
        }
        // The multiples from the least one on, of which there are as many below zero as above.
        let add = (((all >> 1) / odd) >> rotate) << rotate;
        Some(Self { inverse, add, rotate, most: (add << 1) >> rotate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::{Engine, Instance, Module, Store};

    /// What the operators of [`Test::write`] answer.
    fn is_multiple(of: &Multiples, number: u64, bits: u32) -> bool {
        let all = u64::MAX >> (u64::BITS - bits);
        let product = number.wrapping_mul(of.inverse).wrapping_add(of.add) & all;
        let rotated = (product >> of.rotate | product << (bits - of.rotate)) & all;
        rotated <= of.most
    }

    #[test]
    fn the_multiples_of_every_divisor_of_eight_bits_are_told_from_all_other_numbers() {
        let mut divisors = 0;
        for divisor in 1..=255_u8 {
            let of = Multiples::of(divisor.into(), false, 8);
            for number in of.iter().flat_map(|_| 0..=255_u8) {
                let found = is_multiple(of.as_ref().unwrap(), number.into(), 8);
                assert_eq!(found, number % divisor == 0, "{number} % {divisor}");
            }
            divisors += usize::from(of.is_some());
        }
        for divisor in 1..=127_i8 {
            let Some(of) = Multiples::of(divisor.unsigned_abs().into(), true, 8) else { continue };
            for number in i8::MIN..=i8::MAX {
                let found = is_multiple(&of, number.cast_unsigned().into(), 8);
                assert_eq!(found, number % divisor == 0, "{number} % {divisor}");
            }
            divisors += 1;
        }
        assert_eq!(divisors, 255 - 8 + 127 - 7, "all but the powers of two");
    }

    /// How compilers ask whether a remainder, `?`, is zero.
    const WAYS_I64: [&str; 3] = ["? i64.eqz", "? i64.const 0 i64.eq", "? i64.const 0 i64.ne i32.eqz"];
    const WAYS_I32: [&str; 6] = [
        "? i32.eqz",
        "? i32.const 0 i32.eq",
        "? i32.const 0 i32.ne i32.eqz",
        "? if (result i32) i32.const 0 else i32.const 1 end",
        "block ? br_if 0 i32.const 1 return end i32.const 0",
        "i32.const 0 i32.const 1 ? select",
    ];

    fn module(kind: &str, sign: char, divisor: i64, way: &str) -> Vec<u8> {
        let rest = format!("local.get 0 {kind}.const {divisor} {kind}.rem_{sign}");
        let body = way.replace('?', &rest);
        wat::parse_str(format!("(module (func (export \"f\") (param {kind}) (result i32) {body}))")).unwrap()
    }

    /// How many remainders a module has.
    fn remainders(module: &[u8]) -> usize {
        let functions = code(module).unwrap().unwrap().functions;
        let operators = functions.iter().flat_map(|function| function.get_operators_reader().unwrap());
        operators.filter(|operator| format!("{operator:?}").contains("Rem")).count()
    }

    /// What the function of a module answers to each number.
    fn answers<T: wasmtime::WasmParams + Copy>(module: &[u8], numbers: &[T]) -> Vec<bool> {
        let engine = Engine::default();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &Module::new(&engine, module).unwrap(), &[]).unwrap();
        let function = instance.get_typed_func::<T, i32>(&mut store, "f").unwrap();
        numbers.iter().map(|number| function.call(&mut store, *number).unwrap() == 1).collect()
    }

    /// Numbers around the multiples of a divisor, small ones and the largest, and some others.
    fn numbers(divisor: i64) -> Vec<i64> {
        let multiples = [0, 1, 2, 1_000_003, i64::MAX / divisor.saturating_abs()].map(|times| times * divisor);
        let ends = [0, i32::MAX.into(), i32::MIN.into(), u32::MAX.into(), i64::MAX, i64::MIN];
        let others = (1..100_i64).map(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15_u64.cast_signed()));
        let near = |number: i64| [-2, -1, 0, 1, 2].map(|by| number.wrapping_add(by));
        let both = |number: i64| [number, number.wrapping_neg()];
        multiples.into_iter().chain(ends).flat_map(near).chain(others).flat_map(both).collect()
    }

    const DIVISORS: [i64; 9] = [3, -3, 10, 100, 123, -1_000, 6_000, 0x7fff_ffff, 0x6000_0000];

    #[test]
    fn a_module_answers_as_before_and_has_no_remainder() {
        for divisor in DIVISORS {
            for (sign, way) in WAYS_I64.iter().flat_map(|way| [('s', way), ('u', way)]) {
                let (before, numbers) = (module("i64", sign, divisor, way), numbers(divisor));
                let after = multiplied(&before).unwrap();
                assert_eq!((remainders(&before), remainders(&after)), (1, 0), "{way}");
                assert_eq!(answers(&before, &numbers), answers(&after, &numbers), "rem_{sign} {divisor}: {way}");
            }
            for (sign, way) in WAYS_I32.iter().flat_map(|way| [('s', way), ('u', way)]) {
                let numbers: Vec<i32> = numbers(divisor).into_iter().map(|number| number as i32).collect();
                let before = module("i32", sign, divisor, way);
                let after = multiplied(&before).unwrap();
                assert_eq!((remainders(&before), remainders(&after)), (1, 0), "{way}");
                assert_eq!(answers(&before, &numbers), answers(&after, &numbers), "rem_{sign} {divisor}: {way}");
            }
        }
        let large = module("i64", 'u', -5, WAYS_I64[0]);
        let numbers = [-5, -4, -6, 0, 5, i64::MIN, i64::MAX];
        assert_eq!(answers(&multiplied(&large).unwrap(), &numbers), answers(&large, &numbers));
    }

    #[test]
    fn all_else_stays_as_it_is() {
        let used = "? i64.const 1 i64.eq";
        let untouched = [
            module("i64", 's', 123, used),
            module("i64", 's', 8, WAYS_I64[0]),
            module("i64", 's', 0, WAYS_I64[0]),
            module("i64", 's', i64::MIN, WAYS_I64[0]),
            module("i32", 'u', 1, WAYS_I32[3]),
            b"\0asm\x01\0\0\0".to_vec(),
        ];
        for module in untouched {
            assert!(matches!(multiplied(&module).unwrap(), Cow::Borrowed(_)));
        }
        assert!(multiplied(b"hello there").is_err());
    }

    #[test]
    fn what_stands_around_the_functions_stays_and_places_told_of_them_stay_true() {
        let around = "(module (memory 1) (func (export \"other\") (result i32) i32.const 7)
            (func (export \"f\") (param i64) (result i32) local.get 0 i64.const 123 i64.rem_s i64.eqz)
            (data (i32.const 8) \"abc\"))";
        let before = wat::parse_str(around).unwrap();
        let after = multiplied(&before).unwrap();
        assert_eq!(answers(&after, &[246_i64, 247]), [true, false]);
        assert!(after.ends_with(&before[before.len() - 10..]) && after.starts_with(&before[..20]));

        let told = [&*before, b"\0\x0d\x0b.debug_line\0"].concat();
        assert!(matches!(multiplied(&told).unwrap(), Cow::Borrowed(_)));
    }
}
