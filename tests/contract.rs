//! The guard of the contract: a version of `wit/`, once kept, never changes its meaning.
//!
//! `tests/contract/<version>.wit` is the normal form of that version: the parsed package printed again. Comments belong
//! to it: what a buffer holds and what a byte in it means stand nowhere else, and guests carry a digest of the whole
//! text. To change the contract, raise the version in every file of `wit/` and in `sdk/`, and keep the new form: run
//! this test with `WASMILL_KEEP_CONTRACT=1`, which writes a file that is not there yet and never one that is.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use wit_component::{OutputToString, WitPrinter};
use wit_parser::{PackageId, Resolve, TypeDefKind, WorldItem};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_path_buf()
}

fn contract() -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).expect("the contract parses");
    (resolve, package)
}

fn version(resolve: &Resolve, package: PackageId) -> String {
    resolve.packages[package].name.version.as_ref().expect("the package has a version").to_string()
}

fn normal_form(resolve: &Resolve, package: PackageId) -> String {
    let mut printer = WitPrinter::new(OutputToString::default());
    printer.emit_docs(true).print(resolve, package, &[]).expect("what was parsed can be printed");
    printer.output.to_string()
}

#[test]
fn a_kept_version_of_the_contract_never_changes() {
    let (resolve, package) = contract();
    let (version, now) = (version(&resolve, package), normal_form(&resolve, package));
    let file = root().join("tests/contract").join(format!("{version}.wit"));
    if !file.exists() && std::env::var_os("WASMILL_KEEP_CONTRACT").is_some() {
        fs::write(&file, &now).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_else(|_| {
        panic!(
            "contract {version} is not kept yet: run `WASMILL_KEEP_CONTRACT=1 cargo test --test contract` and commit"
        )
    });
    if let Some((old, new)) = kept.lines().zip(now.lines()).find(|(old, new)| old != new) {
        panic!(
            "wit/ says `{}` where contract {version} said `{}`: guests built for {version} would misread their rows. \
             Raise the version in wit/*.wit and sdk/, then run with WASMILL_KEEP_CONTRACT=1 to keep the new one.",
            new.trim(),
            old.trim()
        );
    }
    assert_eq!(kept.lines().count(), now.lines().count(), "wit/ has lines that contract {version} had not, or has not");
}

#[test]
fn every_kept_version_still_parses() {
    for entry in fs::read_dir(root().join("tests/contract")).unwrap() {
        let file = entry.unwrap().path();
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(&file).unwrap_or_else(|error| panic!("{}: {error:#}", file.display()));
        assert_eq!(file.file_stem().unwrap().to_str().unwrap(), version(&resolve, package));
    }
}

#[test]
fn the_guard_sees_a_changed_type_and_a_changed_meaning() {
    let parse = |text: &str| {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("data.wit", text).unwrap();
        normal_form(&resolve, package)
    };
    let before = "package a:b@0.1.0;\n/// One.\ninterface data { record row { a: u32, b: u32 } }";
    assert_eq!(parse(before), parse(&before.replace(", b", ",\n  b")), "not how it is laid out");
    for after in
        [("One", "Two"), ("a: u32", "a: u64"), ("a: u32, b: u32", "b: u32, a: u32"), ("row", "line"), (", b: u32", "")]
    {
        assert_ne!(parse(before), parse(&before.replace(after.0, after.1)), "{after:?}");
    }
}

#[test]
fn every_item_of_the_contract_is_documented() {
    let (resolve, package) = contract();
    let mut bare = Vec::new();
    let mut check = |path: String, docs: &wit_parser::Docs| {
        if docs.contents.as_deref().is_none_or(|text| text.trim().is_empty()) {
            bare.push(path);
        }
    };
    for (name, id) in &resolve.packages[package].interfaces {
        let interface = &resolve.interfaces[*id];
        check(name.clone(), &interface.docs);
        for (function, item) in &interface.functions {
            check(format!("{name}.{function}"), &item.docs);
        }
        for (type_name, id) in &interface.types {
            let item = &resolve.types[*id];
            let path = format!("{name}.{type_name}");
            match &item.kind {
                // A name brought in by `use` is documented where it comes from.
                TypeDefKind::Type(_) => continue,
                TypeDefKind::Record(record) => {
                    record.fields.iter().for_each(|field| check(format!("{path}.{}", field.name), &field.docs));
                }
                TypeDefKind::Variant(variant) => {
                    variant.cases.iter().for_each(|case| check(format!("{path}.{}", case.name), &case.docs));
                }
                TypeDefKind::Enum(names) => {
                    names.cases.iter().for_each(|case| check(format!("{path}.{}", case.name), &case.docs));
                }
                other => panic!("{path}: the contract has no {} so far: say here how it is documented", other.as_str()),
            }
            check(path, &item.docs);
        }
    }
    for (name, id) in &resolve.packages[package].worlds {
        check(name.clone(), &resolve.worlds[*id].docs);
    }
    assert!(bare.is_empty(), "items of the contract without a comment: {bare:#?}");
}

#[test]
fn no_world_grants_an_import_with_functions_but_the_log() {
    let (resolve, package) = contract();
    for (world, id) in &resolve.packages[package].worlds {
        let granted = resolve.worlds[*id].imports.iter().filter(|(_, item)| match item {
            WorldItem::Interface { id, .. } => !resolve.interfaces[*id].functions.is_empty(),
            WorldItem::Function(_) => true,
            WorldItem::Type { .. } => false,
        });
        let granted: Vec<String> = granted.map(|(key, _)| resolve.name_world_key(key)).collect();
        assert_eq!(granted, [format!("wasmill:operator/log@{}", version(&resolve, package))], "{world}");
    }
}

#[test]
fn every_sdk_carries_the_digest_of_the_text_that_it_was_written_for() {
    for file in ["sdk/rust/src/abi.rs", "sdk/go/internal/abi/call.go", "sdk/c/wasmill.c"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let digest = wasmill_wasm::contract_digest();
        assert!(text.contains(&digest), "{file} does not carry {digest}: is it still right? Then let it say so");
    }
}

#[test]
fn every_hand_written_sdk_names_the_version_that_it_speaks() {
    let (resolve, package) = contract();
    let version = version(&resolve, package);
    let mut named = 0;
    for folder in ["sdk/go", "sdk/c", "sdk/adapter"] {
        for file in files_below(&root().join(folder)) {
            let Ok(text) = fs::read_to_string(&file) else { continue };
            for (at, _) in text.match_indices("wasmill:operator/") {
                let name: String = text[at..].chars().take_while(|c| !c.is_whitespace() && *c != '"').collect();
                let Some((_, tail)) = name.split_once('@') else { continue };
                let spoken = tail.split('#').next().expect("a split has a first part");
                assert_eq!(spoken, version, "{}: `{name}`", file.display());
                named += 1;
            }
        }
    }
    assert!(named >= 10, "the SDKs name {named} functions of the contract: has something moved?");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}
