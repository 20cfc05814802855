//! From a core module, as compilers make it, to a component.
//!
//! What comes out exports exactly one operator and has the contract's types inside. What goes in must have been built
//! for the very text of the contract that this host has: a guest built for another text of the same version would
//! link and then misread its input; what comes out says which text that was. Neighbours: [`crate::wit`] has the text;
//! [`crate::remainder`] makes a module faster on the way; loading what comes out begins in [`crate::inspect`].

use memchr::memmem;
use wasm_encoder::{ComponentSection as _, CustomSection};
use wasmill_engine::operator::OperatorKind;
use wasmparser::{Encoding, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding};

use crate::error::ComponentError;
use crate::remainder;
use crate::wit;

/// What a look at a core module finds.
#[derive(Default)]
struct Core {
    transform: bool,
    keyed: bool,
    typed: bool,
    imports: Vec<(String, String)>,
    contract: Option<String>,
}

/// Makes a component of a core module.
///
/// The kind of operator follows from what the module exports. `adapter` is a core module that answers what a language's
/// runtime imports, with the name it is imported by (`wasi_snapshot_preview1`): it becomes part of the component.
///
/// # Errors
/// The bytes are no core module, it has no operator, was built for another text of the contract, or does not fit it.
pub fn encode(core: &[u8], adapter: Option<(&str, &[u8])>) -> Result<Vec<u8>, ComponentError> {
    let found = look(core)?;
    let ours = wit::contract_digest();
    let told = found.contract.is_some();
    if let Some(built) = found.contract.filter(|built| *built != ours) {
        return Err(ComponentError::OtherContractText { built, ours });
    }
    let kind = match (found.transform, found.keyed) {
        (true, true) => return Err(ComponentError::TwoOperators(OperatorKind::Transform, OperatorKind::Keyed)),
        (true, false) => OperatorKind::Transform,
        (false, true) => OperatorKind::Keyed,
        (false, false) => return Err(ComponentError::NoOperatorInCore),
    };
    if !found.typed {
        check_imports(&found.imports, adapter.map(|(name, _)| name))?;
    }
    let core = remainder::multiplied(core).map_err(|reason| ComponentError::NotACoreModule(reason.to_string()))?;
    let mut typed = core.into_owned();
    if !found.typed {
        embed(&mut typed, kind)?;
    }
    // Not validated as a whole: a module of Go has 3 MB of code, and loading looks at all of it anyway.
    let mut encoder = ComponentEncoder::default();
    encoder.module(&typed).map_err(unfit)?;
    if let Some((name, bytes)) = adapter {
        let mut typed = bytes.to_vec();
        embed_log(&mut typed)?;
        encoder.adapter(name, &typed).map_err(unfit)?;
    }
    let mut component = encoder.encode().map_err(unfit)?;
    if told {
        // Loading looks at sections only, and not every language can put one into its module.
        section(&ours).append_to_component(&mut component);
    }
    Ok(component)
}

/// The section that says for which text of the contract a guest was built.
fn section(digest: &str) -> CustomSection<'_> {
    CustomSection { name: wit::CONTRACT_SECTION.into(), data: digest.as_bytes().into() }
}

/// A module without types of its own may import the log, and what its adapter answers.
fn check_imports(imports: &[(String, String)], adapter: Option<&str>) -> Result<(), ComponentError> {
    let given = |module: &str| module == wit::LOG || Some(module) == adapter;
    let Some((module, name)) = imports.iter().find(|(module, _)| !given(module)) else { return Ok(()) };
    let cause = "operators are pure functions of rows and state; remove what asks for it";
    Err(ComponentError::Import { import: format!("{module}.{name}"), cause: cause.into() })
}

/// The encoder's reason with all its causes, in one line.
fn unfit(reason: impl std::fmt::Display) -> ComponentError {
    ComponentError::Encode(format!("{reason:#}"))
}

/// Adds the contract's types to a core module that does not carry them.
fn embed(core: &mut Vec<u8>, kind: OperatorKind) -> Result<(), ComponentError> {
    let (resolve, package) = wit::resolve();
    let world = resolve.packages[package].worlds[wit::world(kind)];
    wit_component::embed_component_metadata(core, &resolve, world, StringEncoding::UTF8, false).map_err(unfit)
}

/// Adds to an adapter the type of the only import that it may have: it is written by hand and carries none.
fn embed_log(adapter: &mut Vec<u8>) -> Result<(), ComponentError> {
    let (mut resolve, _) = wit::resolve();
    let text = format!("package wasmill:adapter; world adapter {{ import {}; }}", wit::LOG);
    let package = resolve.push_source("adapter.wit", &text).map_err(unfit)?;
    let world = resolve.packages[package].worlds["adapter"];
    wit_component::embed_component_metadata(adapter, &resolve, world, StringEncoding::UTF8, false).map_err(unfit)
}

fn look(core: &[u8]) -> Result<Core, ComponentError> {
    let mut found = Core::default();
    for payload in Parser::new(0).parse_all(core) {
        match payload.map_err(|reason| ComponentError::NotACoreModule(reason.to_string()))? {
            Payload::Version { encoding: Encoding::Component, .. } => {
                return Err(ComponentError::NotACoreModule("it is a component already".into()));
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export.map_err(|reason| ComponentError::NotACoreModule(reason.to_string()))?;
                    let of = |kind| export.name.strip_prefix(wit::interface(kind)) == Some("#process");
                    found.transform |= of(OperatorKind::Transform);
                    found.keyed |= of(OperatorKind::Keyed);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(|reason| ComponentError::NotACoreModule(reason.to_string()))?;
                    found.imports.push((import.module.to_owned(), import.name.to_owned()));
                }
            }
            Payload::CustomSection(section) if section.name().starts_with("component-type") => found.typed = true,
            Payload::CustomSection(section) if section.name() == wit::CONTRACT_SECTION => {
                found.contract = Some(String::from_utf8_lossy(section.data()).into_owned());
            }
            // A language whose linker makes no sections says it in a text.
            Payload::DataSection(segments) => {
                for segment in segments {
                    let segment = segment.map_err(|reason| ComponentError::NotACoreModule(reason.to_string()))?;
                    found.contract = said(segment.data).or(found.contract);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The digest behind the name of the section, `wasmill:contract=0123..`, in the data of a module.
fn said(data: &[u8]) -> Option<String> {
    const DIGITS: usize = 64;
    let name = wit::CONTRACT_SECTION.as_bytes();
    let behind = memmem::find(data, name)? + name.len();
    let digest = data[behind..].strip_prefix(b"=")?.get(..DIGITS)?;
    digest.iter().all(u8::is_ascii_hexdigit).then(|| String::from_utf8_lossy(digest).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::Section as _;

    #[test]
    fn what_is_no_core_module_is_refused() {
        assert!(matches!(encode(b"hello there", None), Err(ComponentError::NotACoreModule(_))));
        assert!(matches!(encode(b"", None), Err(ComponentError::NotACoreModule(_))));
        assert!(matches!(encode(b"\0asm\x0d\0\x01\0", None), Err(ComponentError::NotACoreModule(_))));
    }

    #[test]
    fn a_module_without_an_operator_is_refused() {
        assert_eq!(encode(b"\0asm\x01\0\0\0", None), Err(ComponentError::NoOperatorInCore));
    }

    #[test]
    fn a_module_built_for_another_text_of_the_contract_is_refused() {
        let mut core = b"\0asm\x01\0\0\0".to_vec();
        section("0123").append_to(&mut core);
        let refused = encode(&core, None).unwrap_err();
        assert_eq!(refused, ComponentError::OtherContractText { built: "0123".into(), ours: wit::contract_digest() });

        let other = "0".repeat(64);
        let text = format!("{}={other}", wit::CONTRACT_SECTION);
        // A memory of a page, and the text at its address 8.
        let mut core = b"\0asm\x01\0\0\0\x05\x03\x01\0\x01\x0b".to_vec();
        let length = u8::try_from(text.len()).unwrap();
        core.extend([length + 6, 1, 0, 0x41, 8, 0x0b, length]);
        core.extend(text.as_bytes());
        let refused = encode(&core, None).unwrap_err();
        assert_eq!(refused, ComponentError::OtherContractText { built: other, ours: wit::contract_digest() });
    }
}
