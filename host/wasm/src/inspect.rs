//! What a component is, before anything of it is compiled or run, and whether it is one that this host takes.
//!
//! A component taken has no import but `log` (and the types in `data`) and exports exactly one operator of this
//! version of the contract; what else it exports is ignored, because some languages' tools add things. Neighbours:
//! [`crate::engine`] compiles what passes here.

use wasmill_engine::operator::OperatorKind;
use wasmparser::{Encoding, Parser, Payload};

use crate::error::ComponentError;
use crate::limits::Limits;
use crate::wit;

/// What a component is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The kind of operator in it.
    pub kind: OperatorKind,
    /// SHA-256 of its bytes, in hex.
    pub digest: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// What it imports, by the names that it uses.
    pub imports: Vec<String>,
    /// What it exports, by the names that it uses.
    pub exports: Vec<String>,
    /// Core modules inside.
    pub core_modules: u64,
    /// Core instances that instantiating it makes, each nested component counted once.
    pub core_instances: u64,
}

/// What walking over a component's sections finds.
#[derive(Default)]
struct Sections {
    imports: Vec<String>,
    exports: Vec<String>,
    core_modules: u64,
    core_instances: u64,
}

/// Looks at a component without compiling it.
///
/// # Errors
/// It is not a component, breaks a limit, imports what is not granted, speaks another version of the contract, or does
/// not have exactly one operator.
pub fn inspect(bytes: &[u8], limits: &Limits) -> Result<Info, ComponentError> {
    let size_bytes = bytes.len() as u64;
    if bytes.is_empty() {
        return Err(ComponentError::Empty);
    }
    at_most("component_bytes_max", limits.component_bytes_max, size_bytes)?;
    if !bytes.starts_with(b"\0asm") {
        return Err(ComponentError::NotWasm { begins: format!("\"{}\"", bytes[..bytes.len().min(8)].escape_ascii()) });
    }
    if bytes.get(4..8) == Some(&[1, 0, 0, 0]) {
        return Err(ComponentError::CoreModule);
    }
    let sections = walk(bytes)?;
    at_most("core_modules_max", limits.core_modules_max, sections.core_modules)?;
    at_most("core_instances_max", limits.core_instances_max, sections.core_instances)?;
    let kind = kind(&sections.exports)?;
    for import in &sections.imports {
        granted(import)?;
    }
    Ok(Info {
        kind,
        digest: wit::digest(bytes),
        size_bytes,
        imports: sections.imports,
        exports: sections.exports,
        core_modules: sections.core_modules,
        core_instances: sections.core_instances,
    })
}

fn at_most(limit: &'static str, allowed: u64, requested: u64) -> Result<(), ComponentError> {
    if requested > allowed { Err(ComponentError::TooMany { limit, allowed, requested }) } else { Ok(()) }
}

fn walk(bytes: &[u8]) -> Result<Sections, ComponentError> {
    let malformed = |error: wasmparser::BinaryReaderError| ComponentError::Malformed {
        offset: error.offset(),
        reason: error.message().to_string(),
    };
    let mut found = Sections::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(malformed)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(ComponentError::CoreModule);
            }
            Payload::ModuleSection { .. } => {
                depth += 1;
                found.core_modules += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            // What an SDK of another text made would link and then misread its input.
            Payload::CustomSection(section) if section.name() == wit::CONTRACT_SECTION => {
                let (built, ours) = (String::from_utf8_lossy(section.data()).into_owned(), wit::contract_digest());
                if built != ours {
                    return Err(ComponentError::OtherContractText { built, ours });
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::InstanceSection(instances) => found.core_instances += u64::from(instances.count()),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    found.imports.push(import.map_err(malformed)?.name.name.to_string());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    found.exports.push(export.map_err(malformed)?.name.name.to_string());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The one operator among the exports.
fn kind(exports: &[String]) -> Result<OperatorKind, ComponentError> {
    let has = |kind| exports.iter().any(|export| export == wit::interface(kind));
    match (has(OperatorKind::Transform), has(OperatorKind::Keyed)) {
        (true, false) => Ok(OperatorKind::Transform),
        (false, true) => Ok(OperatorKind::Keyed),
        (true, true) => Err(ComponentError::TwoOperators(OperatorKind::Transform, OperatorKind::Keyed)),
        (false, false) => Err(match exports.iter().find(|export| of_our_package(export)) {
            Some(theirs) => ComponentError::OtherVersion { theirs: theirs.clone() },
            None => ComponentError::NoOperator { found: listed(exports) },
        }),
    }
}

fn of_our_package(name: &str) -> bool {
    name.strip_prefix(wit::PACKAGE).is_some_and(|rest| rest.starts_with('/'))
}

fn listed(exports: &[String]) -> String {
    if exports.is_empty() {
        return "nothing".into();
    }
    exports.iter().map(|export| format!("`{export}`")).collect::<Vec<_>>().join(", ")
}

/// Whether operators are given that import.
fn granted(import: &str) -> Result<(), ComponentError> {
    if import == wit::LOG || import == wit::DATA {
        return Ok(());
    }
    let interface = import.split('@').next().unwrap_or(import);
    let other_version = [wit::LOG, wit::DATA].iter().any(|ours| ours.split('@').next() == Some(interface));
    if other_version {
        return Err(ComponentError::OtherVersion { theirs: import.to_string() });
    }
    let cause = if import.starts_with("wasi:") {
        "WASI usually comes from a language's runtime (files, clocks, random numbers, printing, panics); build with \
         `wasmill build`, which answers it inside the component, and take time and seed from the call's context"
    } else if of_our_package(import) {
        "this version of the contract has no such interface; build again with the SDK that belongs to this host"
    } else {
        "operators are pure functions of rows and state; remove the import, or bring what it fetches as another stream"
    };
    Err(ComponentError::Import { import: import.to_string(), cause: cause.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> ComponentError {
        inspect(bytes, &Limits::default()).unwrap_err()
    }

    #[test]
    fn what_is_not_a_component_is_named_for_what_it_is() {
        assert_eq!(refusal(b""), ComponentError::Empty);
        assert_eq!(refusal(b"#!/bin/sh\n").to_string().split(':').next(), Some("not WebAssembly"));
        assert_eq!(refusal(b"\0asm\x01\0\0\0"), ComponentError::CoreModule);
        assert!(matches!(refusal(b"\0asm\x0d\0\x01\0\x0b"), ComponentError::Malformed { .. }));
        assert!(matches!(refusal(b"\0as"), ComponentError::NotWasm { .. }));
    }

    #[test]
    fn an_empty_component_has_no_operator() {
        assert_eq!(refusal(b"\0asm\x0d\0\x01\0"), ComponentError::NoOperator { found: "nothing".into() });
    }

    #[test]
    fn imports_are_granted_by_their_full_name() {
        assert!(granted("wasmill:operator/log@0.1.0").is_ok());
        assert!(granted("wasmill:operator/data@0.1.0").is_ok());
        assert!(matches!(granted("wasmill:operator/log@0.2.0"), Err(ComponentError::OtherVersion { .. })));
        assert!(matches!(granted("wasmill:operator/state@0.1.0"), Err(ComponentError::Import { .. })));
        let wasi = granted("wasi:clocks/wall-clock@0.2.0").unwrap_err().to_string();
        assert!(wasi.contains("wasi:clocks/wall-clock@0.2.0") && wasi.contains("WASI"), "{wasi}");
    }
}
