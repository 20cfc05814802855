//! `wasmill build`: from an operator's source folder to its component.
//!
//! The language follows from the files in the folder; its compiler must be installed, nothing else. What the compiler
//! has to say goes to the standard error stream as it says it. Neighbours: a file in the folder beside this one for
//! each language makes the core module; [`wasmill_wasm::encode`] makes it a component.

mod go;
mod rust;
mod sources;

use std::path::{Path, PathBuf};
use std::{fs, io};

use sha2::{Digest, Sha256};
use sources::Sources;
pub(crate) use sources::changed_since;
use wasmill_wasm::ComponentError;

/// What may differ from build to build.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Where the component is written; none = `target/wasmill/<name>.wasm` in the source folder.
    pub(crate) output: Option<PathBuf>,
    /// Whether the compiler may use what is on this machine only: no network.
    pub(crate) offline: bool,
}

/// A component that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Built {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Its size.
    pub(crate) bytes: usize,
    /// SHA-256 of it, in hex.
    pub(crate) digest: String,
    /// Size of the compiler's output, in bytes.
    pub(crate) core_bytes: usize,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// The folder is in no language that we know.
    #[error("nothing to build in {}: no Cargo.toml (Rust) and no go.mod (Go) there", .0.display())]
    NoLanguage(PathBuf),
    /// The compiler's driver cannot be started.
    #[error("cannot start `{tool}`: {reason}; {hint}")]
    NoTool {
        /// What was started.
        tool: String,
        /// What the system says.
        reason: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// The compiler is of a version that cannot make an operator.
    #[error("`{tool}` is version {found}, and operators need {needed}; {hint}")]
    TooOld {
        /// What was asked.
        tool: String,
        /// Its version.
        found: String,
        /// The least version.
        needed: String,
        /// What to do.
        hint: &'static str,
    },
    /// The compiler cannot make WebAssembly.
    #[error("`{compiler}` has no standard library for {target}; {hint}")]
    NoTarget {
        /// Which compiler.
        compiler: String,
        /// The target that it lacks.
        target: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// The compiler found something wrong and has said what.
    #[error("{} does not compile, see above", .0.display())]
    Failed(PathBuf),
    /// The package makes no module.
    #[error("{} makes no module: it needs `[lib]` with `crate-type = [\"cdylib\"]`", .0.display())]
    NotAModule(PathBuf),
    /// The module asks for something that no operator is given.
    #[error("{} compiles, but imports `{import}`, which no operator is given: {cause}", folder.display())]
    Import {
        /// The source folder.
        folder: PathBuf,
        /// What it asks for.
        import: String,
        /// Where it probably comes from, and what to do.
        cause: &'static str,
    },
    /// The module does not make a component.
    #[error("{} compiles, but makes no operator: {reason}", folder.display())]
    NoComponent {
        /// The source folder.
        folder: PathBuf,
        /// What is wrong with the module.
        reason: ComponentError,
    },
    /// A file cannot be read or written.
    #[error("cannot {what} {}: {reason}", path.display())]
    File {
        /// Read or write.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
}

/// A core module as a language's compiler made it.
struct Core {
    /// Name of the operator's package.
    name: String,
    /// The module.
    path: PathBuf,
    /// What answers the language's runtime inside the component: the name it imports that by, and a core module's text.
    adapter: Option<(&'static str, &'static str)>,
    /// Where an import comes from that the contract does not have.
    import_cause: &'static str,
}

/// Whether the compiler of the operator in a folder shows its progress by itself.
pub(crate) fn is_told(folder: &Path) -> bool {
    folder.join(rust::MANIFEST).is_file()
}

/// Builds the operator whose source is in `folder`.
///
/// # Errors
/// The folder has no operator's source, a tool is missing, the source does not compile, or a file cannot be written.
pub(crate) fn build(folder: &Path, options: &Options) -> Result<Built, BuildError> {
    let folder = fs::canonicalize(folder).map_err(file("read", folder))?;
    crate::sdk::refresh(&folder).map_err(|(path, reason)| BuildError::File {
        what: "write the SDK to",
        path,
        reason,
    })?;
    // As they are before the compiler reads them: what is saved while it works is not in the component for sure.
    let sources = Sources::of(&folder).map_err(|(path, reason)| file("read", &path)(reason))?;
    let core = if folder.join(rust::MANIFEST).is_file() {
        rust::compile(&folder, options)?
    } else if folder.join(go::MANIFEST).is_file() {
        go::compile(&folder, options)?
    } else {
        return Err(BuildError::NoLanguage(folder));
    };
    let module = fs::read(&core.path).map_err(file("read", &core.path))?;
    let component = component(&core, &module, &folder)?;
    let path = options.output.clone().unwrap_or_else(|| folder.join("target/wasmill").join(core.name + ".wasm"));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(file("create", parent))?;
    }
    fs::write(&path, &component).map_err(file("write", &path))?;
    if options.output.is_none() {
        sources.keep(&path).map_err(file("write the list of sources beside", &path))?;
        remove_others(&path).map_err(file("remove an earlier component beside", &path))?;
    }
    let digest = Sha256::digest(&component).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Built { path, bytes: component.len(), digest, core_bytes: module.len() })
}

/// Removes the components that the operator had under other names, and what was kept of them: a folder has one, by
/// which pipelines find it.
fn remove_others(component: &Path) -> io::Result<()> {
    let folder = component.parent().expect("a component lies in a folder");
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_ours = path.extension().is_some_and(|extension| extension == "wasm" || extension == sources::EXTENSION);
        if is_ours && path.file_stem() != component.file_stem() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The core module as a component.
fn component(core: &Core, module: &[u8], folder: &Path) -> Result<Vec<u8>, BuildError> {
    let refused = |reason| match reason {
        ComponentError::Import { import, .. } => {
            BuildError::Import { folder: folder.to_owned(), import, cause: core.import_cause }
        }
        reason => BuildError::NoComponent { folder: folder.to_owned(), reason },
    };
    let Some((name, text)) = core.adapter else {
        return wasmill_wasm::encode(module, None).map_err(refused);
    };
    let adapter = wat::parse_str(text).expect("the adapter's text is WebAssembly, as each build of an operator shows");
    wasmill_wasm::encode(module, Some((name, &adapter))).map_err(refused)
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_owned();
    move |reason| BuildError::File { what, path, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(manifest: &str, source: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(folder.path().join("Cargo.toml"), format!("{manifest}\n[workspace]\n")).unwrap();
        fs::write(folder.path().join("src/lib.rs"), source).unwrap();
        folder
    }

    fn refused(folder: &Path) -> String {
        build(folder, &Options { offline: true, ..Options::default() }).unwrap_err().to_string()
    }

    const PACKAGE: &str = "[package]\nname = \"tried\"\nedition = \"2024\"\n";

    #[test]
    fn a_folder_without_source_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(refused(folder.path()).contains("no Cargo.toml (Rust) and no go.mod (Go) there"));
        assert!(refused(&folder.path().join("absent")).starts_with("cannot read "));
    }

    #[test]
    fn a_package_that_makes_no_module_is_told_what_it_needs() {
        assert!(refused(package(PACKAGE, "").path()).contains("crate-type = [\"cdylib\"]"));
    }

    #[test]
    fn a_module_without_an_operator_is_refused() {
        let module = format!("{PACKAGE}[lib]\ncrate-type = [\"cdylib\"]");
        assert!(refused(package(&module, "").path()).contains("compiles, but makes no operator"));
        assert!(refused(package(&module, "fn broken(").path()).contains("does not compile, see above"));
    }

    /// The operators of WebAssembly that the core modules of a component use.
    fn operators(component: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for payload in wasmparser::Parser::new(0).parse_all(component) {
            let wasmparser::Payload::CodeSectionEntry(body) = payload.unwrap() else { continue };
            let reader = body.get_operators_reader().unwrap();
            found.extend(reader.into_iter().map(|operator| format!("{:?}", operator.unwrap())));
        }
        found
    }

    #[test]
    fn an_operator_is_built_for_speed_and_with_simd_whatever_its_manifest_says() {
        let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/currency/plugin");
        let folder = tempfile::tempdir().unwrap();
        let output = Some(folder.path().join("currency.wasm"));
        let component = fs::read(build(&guest, &Options { output, offline: true }).unwrap().path).unwrap();
        let vectors = operators(&component).iter().filter(|operator| operator.starts_with("V128")).count();
        assert!(vectors > 0, "no vector instruction");

        let source = "#[unsafe(no_mangle)] extern \"C\" fn f(a: u32) -> u32 { debug_assert!(a != 7, \"slow\"); a }";
        let slow = "[lib]\ncrate-type = [\"cdylib\"]\n[profile.release]\nopt-level = 0\n";
        // A name of its own: where targets of all packages share a folder, those of one name replace each other's.
        let slow = package(&format!("{}{slow}", PACKAGE.replace("tried", "slow")), source);
        let core = rust::compile(slow.path(), &Options { offline: true, ..Options::default() }).unwrap();
        let operators = operators(&fs::read(core.path).unwrap());
        // Returns its parameter, without a trip over the stack.
        assert!(operators.len() < 5, "{operators:?}");
    }

    #[test]
    fn a_filter_by_a_remainder_is_built_without_one() {
        let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests/rust/filter");
        let folder = tempfile::tempdir().unwrap();
        let options = Options { output: Some(folder.path().join("filter.wasm")), offline: true };
        let operators = operators(&fs::read(build(&guest, &options).unwrap().path).unwrap());
        assert!(!operators.iter().any(|operator| operator == "I64RemS"), "{operators:?}");
    }

    #[test]
    fn a_module_that_was_made_for_another_text_of_the_contract_is_told_what_to_do() {
        // Another name than the module beside it has, which is built at the same time into the same folder of targets.
        let module = format!("{}[lib]\ncrate-type = [\"cdylib\"]", PACKAGE.replace("tried", "elsewhere"));
        let source = "#[used]\n#[unsafe(link_section = \"wasmill:contract\")]\nstatic TEXT: [u8; 4] = *b\"0123\";";
        let told = refused(package(&module, source).path());
        assert!(told.contains("was built for the contract with digest 0123"), "{told}");
        assert!(told.ends_with("build it again with the SDK that belongs to this host"), "{told}");
    }

    #[test]
    fn an_operator_becomes_a_component() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/currency/plugin");
        let folder = tempfile::tempdir().unwrap();
        let output = Some(folder.path().join("currency.wasm"));
        let built = build(&source, &Options { output: output.clone(), offline: false }).unwrap();
        assert_eq!(Some(&built.path), output.as_ref());
        let bytes = fs::read(&built.path).unwrap();
        assert_eq!((bytes.len(), &bytes[..8]), (built.bytes, &b"\0asm\x0d\0\x01\0"[..]));
    }
}
