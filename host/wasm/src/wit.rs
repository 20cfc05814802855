//! The text of the contract, its names, and the digest that says which text a guest was built for.
//!
//! The files in `wit/` are the contract itself; nothing here repeats what they say but the names by which a component
//! is recognised. Neighbours: [`crate::contract`] has the same records as Rust types, [`crate::encode`] embeds this
//! text.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use wasmill_engine::operator::OperatorKind;
use wit_parser::{PackageId, Resolve, SourceMap};

/// The package, without version.
pub const PACKAGE: &str = "wasmill:operator";

/// The version that this host speaks.
pub const VERSION: &str = "0.1.0";

/// The custom section in which a guest may say for which text it was built: [`contract_digest`] as ASCII.
pub const CONTRACT_SECTION: &str = "wasmill:contract";

/// The only import with functions that a component may have.
pub(crate) const LOG: &str = "wasmill:operator/log@0.1.0";

/// The import without functions that a component has for its types.
pub(crate) const DATA: &str = "wasmill:operator/data@0.1.0";

/// The files of the package, in the order in which they are digested.
const FILES: [(&str, &str); 4] = [
    ("data.wit", include_str!("../../../wit/data.wit")),
    ("keyed.wit", include_str!("../../../wit/keyed.wit")),
    ("log.wit", include_str!("../../../wit/log.wit")),
    ("transform.wit", include_str!("../../../wit/transform.wit")),
];

/// SHA-256 in hex of the contract's files `data.wit`, `keyed.wit`, `log.wit`, `transform.wit`, one after the other.
///
/// Two texts of one version can differ, and a guest built for one then reads nonsense in the other: signatures alone
/// do not tell. So guests carry the digest, and building and loading compare it.
#[must_use]
pub fn contract_digest() -> String {
    let mut all = Sha256::new();
    for (_, text) in FILES {
        all.update(text);
    }
    hex(&all.finalize())
}

/// SHA-256 in hex of some bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The interface that a component of that kind exports.
pub(crate) fn interface(kind: OperatorKind) -> &'static str {
    match kind {
        OperatorKind::Transform => "wasmill:operator/transform@0.1.0",
        OperatorKind::Keyed => "wasmill:operator/keyed@0.1.0",
    }
}

/// The world of a component of that kind.
pub(crate) fn world(kind: OperatorKind) -> &'static str {
    match kind {
        OperatorKind::Transform => "transform-operator",
        OperatorKind::Keyed => "keyed-operator",
    }
}

/// The contract, parsed.
pub(crate) fn resolve() -> (Resolve, PackageId) {
    let mut sources = SourceMap::default();
    for (name, text) in FILES {
        sources.push_str(name, text);
    }
    let mut resolve = Resolve::default();
    let group = sources.parse().map_err(|(_, error)| error).expect("the contract's own text parses");
    let package = resolve.push_group(group).expect("the contract's own text resolves");
    (resolve, package)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_in_this_file_are_those_of_the_contract() {
        let (resolve, package) = resolve();
        let package = &resolve.packages[package];
        assert_eq!(package.name.to_string(), format!("{PACKAGE}@{VERSION}"));
        for kind in [OperatorKind::Transform, OperatorKind::Keyed] {
            assert!(package.worlds.contains_key(world(kind)), "{kind}");
        }
        let names: Vec<String> = package.interfaces.keys().map(|name| format!("{PACKAGE}/{name}@{VERSION}")).collect();
        for name in [LOG, DATA, interface(OperatorKind::Transform), interface(OperatorKind::Keyed)] {
            assert!(names.iter().any(|known| known == name), "{name} is not one of {names:?}");
        }
    }

    #[test]
    fn the_digest_is_of_the_text_and_nothing_else() {
        let text: String = FILES.iter().map(|(_, text)| *text).collect();
        assert_eq!(contract_digest(), digest(text.as_bytes()));
        assert_eq!(contract_digest().len(), 64);
    }
}
