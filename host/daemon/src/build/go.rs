//! Go to a core module, by the standard compiler.
//!
//! Go's runtime asks for WASI; the adapter of the SDKs answers it inside the component. The environment may name the
//! tool: `WASMILL_GO`. Neighbours: [`super::build`] calls, [`by_name`] makes the loop over rows fast.

mod by_name;

use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, io};

use super::{BuildError, Core, Options, file};

/// The file by which a Go module is known.
pub(super) const MANIFEST: &str = "go.mod";

/// The first version that exports functions from a module that is no program.
const NEEDED: (u32, u32) = (1, 24);

const INSTALL: &str = "install Go 1.24 or newer from https://go.dev/dl, or name one in WASMILL_GO";

/// The name by which Go's runtime imports its system, and what answers.
const ADAPTER: (&str, &str) =
    ("wasi_snapshot_preview1", include_str!("../../../../sdk/adapter/wasi_snapshot_preview1.wat"));

const IMPORT_CAUSE: &str = "it comes from a `//go:wasmimport` in the operator or in a package that it uses; take time \
                            and seed from the call's context, and bring what is fetched as another stream";

/// Compiles the package in `folder`.
pub(super) fn compile(folder: &Path, options: &Options) -> Result<Core, BuildError> {
    let tool = env::var("WASMILL_GO").unwrap_or_else(|_| "go".to_owned());
    check_version(&tool)?;
    let name = name(folder);
    let path = folder.join("target/go").join(&name).with_extension("wasm");
    let overlay = by_name::overlay(folder).map_err(|(path, reason)| file("read or write", &path)(reason))?;
    let go = |overlay: Option<&Path>| {
        let mut go = Command::new(&tool);
        go.current_dir(folder).args(["build", "-trimpath", "-buildmode=c-shared", "-o"]).arg(&path);
        if let Some(overlay) = overlay {
            go.arg("-overlay").arg(overlay);
        }
        go.arg(".").envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("CGO_ENABLED", "0"), ("GOWASM", "satconv,signext")]);
        go.envs(options.offline.then_some(("GOPROXY", "off"))).stdin(Stdio::null()).stdout(Stdio::null());
        go
    };
    // What is added for speed must not be why something does not compile, nor stand in what the compiler says.
    let tried =
        overlay.map(|overlay| go(Some(&overlay)).output()).transpose().map_err(|reason| missing(&tool, reason))?;
    match tried.filter(|tried| tried.status.success()) {
        Some(built) => eprint!("{}", String::from_utf8_lossy(&built.stderr)),
        None if go(None).status().map_err(|reason| missing(&tool, reason))?.success() => {}
        None => return Err(BuildError::Failed(folder.to_owned())),
    }
    Ok(Core { name, path, adapter: Some(ADAPTER), import_cause: IMPORT_CAUSE })
}

/// Whether a file of this name is part of what is built, and not of tests alone.
pub(super) fn is_source(name: &str) -> bool {
    name.ends_with(".go") && !name.ends_with("_test.go")
}

fn missing(tool: &str, reason: io::Error) -> BuildError {
    BuildError::NoTool { tool: tool.to_owned(), reason, hint: INSTALL }
}

/// Asks the tool that is here: not one that it would fetch for the module.
fn check_version(tool: &str) -> Result<(), BuildError> {
    let asked = Command::new(tool).args(["env", "GOVERSION"]).env("GOTOOLCHAIN", "local").output();
    let answer = asked.map_err(|reason| missing(tool, reason))?;
    let found = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    match version(&found) {
        Some(version) if version < NEEDED => Err(BuildError::TooOld {
            tool: tool.to_owned(),
            found,
            needed: format!("{}.{}", NEEDED.0, NEEDED.1),
            hint: INSTALL,
        }),
        // A version that cannot be read is one of somebody who builds Go.
        _ => Ok(()),
    }
}

/// `go1.26.8` as (1, 26).
fn version(text: &str) -> Option<(u32, u32)> {
    let (_, numbers) = text.split_once("go")?;
    let mut numbers = numbers.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The operator's name: that of the module, without what stands before the last `/`, or the folder's.
fn name(folder: &Path) -> String {
    let manifest = std::fs::read_to_string(folder.join(MANIFEST)).unwrap_or_default();
    let module = manifest.lines().find_map(|line| line.trim().strip_prefix("module ")).unwrap_or_default();
    let module = module.split("//").next().unwrap_or_default().trim().trim_matches('"');
    let last = module.rsplit('/').next().unwrap_or_default();
    match last {
        "" => folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        last => last.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::build::build;

    #[test]
    fn a_version_is_read_from_what_go_says() {
        assert_eq!(version("go1.26.8"), Some((1, 26)));
        assert_eq!(version("go1.24rc1"), Some((1, 24)));
        assert_eq!(version("devel go1.27-4f3b2a"), Some((1, 27)));
        assert_eq!(version("devel +4f3b2a"), None);
    }

    fn module(source: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let sdk = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../sdk/go");
        let manifest = format!(
            "module example.org/my-operator // here\n\ngo 1.24\n\nrequire wasmill v0.0.0\n\nreplace wasmill => {}\n",
            sdk.display()
        );
        fs::write(folder.path().join("go.mod"), manifest).unwrap();
        fs::write(folder.path().join("main.go"), source).unwrap();
        folder
    }

    fn has_go() -> bool {
        let found = Command::new("go").arg("version").output().is_ok();
        assert!(found || env::var("CI").as_deref() != Ok("true"), "there is no `go` on the path");
        found
    }

    const OPERATOR: &str = r#"package main

import (
	"wasmill"
	"wasmill/transform"
)

type Bid struct{ Price int64 }

func init() { transform.Export(wasmill.Filter(func(bid Bid) bool { return bid.Price > 0 })) }

func main() {}
"#;

    #[test]
    fn an_operator_in_go_becomes_a_component_named_after_its_module() {
        if !has_go() {
            return;
        }
        let folder = module(OPERATOR);
        let built = build(folder.path(), &Options { offline: true, ..Options::default() }).unwrap();
        assert_eq!(built.path, folder.path().canonicalize().unwrap().join("target/wasmill/my-operator.wasm"));
        let bytes = fs::read(&built.path).unwrap();
        assert_eq!(&bytes[..8], b"\0asm\x0d\0\x01\0");
    }

    #[test]
    fn a_function_with_a_name_is_called_by_it_and_another_is_built_all_the_same() {
        if !has_go() {
            return;
        }
        let is_by_name = |source: &str| {
            let folder = module(source);
            let core = compile(folder.path(), &Options { offline: true, ..Options::default() }).unwrap().path;
            let core = fs::read(core).unwrap();
            let is_there = |name: &str| core.windows(name.len()).any(|bytes| bytes == name.as_bytes());
            assert!(is_there("my-operator/main.go"), "Go keeps the names of the files that functions are from");
            is_there("my-operator/target/go/wasmill_by_name.txt")
        };
        let literal = "func(bid Bid) bool { return bid.Price > 0 }";
        assert!(!is_by_name(OPERATOR));
        let named = OPERATOR.replace(literal, "keep") + "\nfunc keep(bid Bid) bool { return bid.Price > 0 }\n";
        assert!(is_by_name(&named));
        // The name is that of another function where it is called.
        let hidden = named.replace("transform.Export", &format!("keep := {literal}; transform.Export"));
        assert!(!is_by_name(&hidden.replace("func keep(bid Bid) bool { return bid.Price > 0 }", "func keep() {}")));
    }

    fn refused(source: &str) -> String {
        build(module(source).path(), &Options { offline: true, ..Options::default() }).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_operator_in_go_is_refused() {
        if !has_go() {
            return;
        }
        assert!(refused("package main\n\nfunc main() {}\n").contains("compiles, but makes no operator"));
        assert!(refused("package main\n\nfunc main() { nothing }\n").contains("does not compile, see above"));
        assert!(refused("package operator\n").contains("does not compile, see above"));
        let imports =
            OPERATOR.replace("func main() {}", "//go:wasmimport env fetch\nfunc fetch()\n\nfunc main() { fetch() }");
        let told = refused(&imports);
        assert!(told.contains("imports `env.fetch`, which no operator is given"), "{told}");
        assert!(told.contains("//go:wasmimport"), "{told}");
    }
}
