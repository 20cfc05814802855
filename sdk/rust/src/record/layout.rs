//! The records as the compiler lays them out are those that the canonical ABI describes.
//!
//! Checked on the machine that runs the tests, against the layout of 64-bit components: the structs are `repr(C)` and
//! have no width of their own but that of pointers, so what holds there holds on wasm32.

use sha2::{Digest, Sha256};
use std::mem::offset_of;
use wit_parser::{Resolve, SizeAlign, Type, TypeDefKind};

use super::*;
use crate::abi::CONTRACT;
use crate::column::{StateColumn, TableRows};

const FILES: [&str; 4] = [
    include_str!("../../../../wit/data.wit"),
    include_str!("../../../../wit/keyed.wit"),
    include_str!("../../../../wit/log.wit"),
    include_str!("../../../../wit/transform.wit"),
];

macro_rules! records {
    ($($name:literal = $record:ident { $($field:ident),* })*) => {
        vec![$(($name, size_of::<$record<'_>>(), vec![$(offset_of!($record<'_>, $field)),*])),*]
    };
}

/// Name, size and offsets of each record as this crate has it.
fn ours() -> Vec<(&'static str, usize, Vec<usize>)> {
    records! {
        "field" = RawField { name, kind, nullable }
        "column" = Column { data, offsets, present }
        "column" = StateColumn { data, offsets, present }
        "read" = RawRead { name, kind, nullable, fallback }
        "carried" = RawCarried { input, output }
        "port" = RawPort { name, carries, makes }
        "table" = RawTable { name, version, columns, ttl_ms }
        "metric" = RawMetric { name, kind, help }
        "plan" = RawPlan { reads, ports, tables, metrics }
        "refusal" = RawRefusal { message, config_path, field }
        "emit" = RawEmit { port, origin, columns }
        "reject" = RawReject { row, action, reason }
        "effects" = RawEffects { emits, rejects, metrics }
        "fault" = RawFault { message, row }
        "table-rows" = TableRows { fresh, columns }
        "table-changes" = RawTableChanges { forget, columns }
        "step" = RawStep { effects, tables, timers }
    }
}

fn contract() -> Resolve {
    let mut resolve = Resolve::default();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    resolve.push_dir(folder).expect("the contract parses");
    resolve
}

#[test]
fn every_record_lies_as_the_contract_says() {
    let resolve = contract();
    let mut sizes = SizeAlign::default();
    sizes.fill(&resolve).expect("the contract has a layout");
    for (name, size, offsets) in ours() {
        let (id, record) = resolve
            .types
            .iter()
            .find_map(|(id, def)| match &def.kind {
                TypeDefKind::Record(record) if def.name.as_deref() == Some(name) => Some((id, record)),
                _ => None,
            })
            .unwrap_or_else(|| panic!("the contract has no record `{name}`"));
        let fields = record.fields.iter().map(|field| &field.ty);
        let theirs: Vec<usize> = sizes.field_offsets(fields).iter().map(|(offset, _)| offset.size_wasm64()).collect();
        assert_eq!((size, offsets), (sizes.size(&Type::Id(id)).size_wasm64(), theirs), "record `{name}`");
    }
}

#[test]
fn a_case_of_an_option_or_a_result_lies_as_the_contract_says() {
    assert_eq!((size_of::<Maybe<u64>>(), size_of::<Maybe<u32>>()), (16, 8));
    assert_eq!(size_of::<RawAction>(), 8);
    assert_eq!(
        size_of::<Answer<RawPlan<'_>, RawRefusal<'_>>>(),
        size_of::<RawPlan<'_>>().max(size_of::<RawRefusal<'_>>()) + 8
    );
    assert_eq!(crate::log::number(crate::log::Level::Error), 4);
}

#[test]
fn the_digest_is_that_of_the_contracts_text() {
    let digest = Sha256::digest(FILES.concat());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(std::str::from_utf8(&CONTRACT), Ok(&hex[..]), "set `abi::CONTRACT` once `record` says what `wit/` says");
}
