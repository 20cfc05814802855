//! The guests of `tests/guests`, built by the plain compilers of their languages and finished by the host's encoder.
//!
//! Always true: what is built lies under `target/guests`, each language in its folder, and is built again only as far
//! as its compiler finds it out of date. A language whose compiler is not here is skipped aloud, unless `CI=true`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use wasmill_tests::house::aloud;

/// A language that has an SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    /// `sdk/rust`: a component for each job.
    Rust,
    /// `sdk/go`: the same.
    Go,
    /// `sdk/c`: one component for the jobs without state, one for the keyed job.
    C,
}

/// The name by which Go's runtime imports its system, and the adapter that answers it.
const WASI: (&str, &str) = ("wasi_snapshot_preview1", include_str!("../../sdk/adapter/wasi_snapshot_preview1.wat"));

/// The component of a guest, or nothing where the language's compiler is missing and that is no failure. `guest` is the
/// name of its folder or file in `tests/guests/<language>`.
pub(crate) fn component(language: Language, guest: &str) -> Option<Vec<u8>> {
    if let Some(missing) = missing(language) {
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "{language:?} guests cannot be built: {missing}");
        aloud(&format!("skipped the {language:?} guest `{guest}`: {missing}"));
        return None;
    }
    let core = match language {
        Language::Rust => rust(guest),
        Language::Go => go(guest),
        Language::C => c(guest),
    };
    let core = fs::read(&core).unwrap_or_else(|error| panic!("{}: {error}", core.display()));
    let wasi = wat::parse_str(WASI.1).expect("the adapter's text is WebAssembly");
    let adapter = (language == Language::Go).then_some((WASI.0, &*wasi));
    Some(wasmill_wasm::encode(&core, adapter).unwrap_or_else(|error| panic!("{language:?} `{guest}`: {error}")))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_path_buf()
}

fn sources(language: &str) -> PathBuf {
    root().join("tests/guests").join(language)
}

fn built(language: &str) -> PathBuf {
    let folder = root().join("target/guests").join(language);
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    folder
}

/// What is missing to build guests in that language.
fn missing(language: Language) -> Option<String> {
    let tools: &[(&str, &str)] = match language {
        Language::Rust => &[],
        Language::Go => &[("go", "version")],
        Language::C => &[("clang", "--version"), ("wasm-ld", "--version")],
    };
    let absent = |(tool, argument): &&(&str, &str)| Command::new(tool).arg(argument).output().is_err();
    tools.iter().find(absent).map(|(tool, _)| format!("there is no `{tool}` on the path"))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{text}");
}

fn rust(guest: &str) -> PathBuf {
    let folder = built("rust");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--release", "--target", "wasm32-unknown-unknown", "--package"])
        .arg(format!("guest-{guest}"))
        .arg("--manifest-path")
        .arg(sources("rust").join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", "-C target-feature=+simd128")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    if let Ok(compiler) = env::var("WASMILL_GUEST_RUSTC") {
        cargo.env("RUSTC", compiler);
    }
    run(&mut cargo);
    folder.join("wasm32-unknown-unknown/release").join(format!("guest_{guest}.wasm"))
}

fn go(guest: &str) -> PathBuf {
    let core = built("go").join(format!("{guest}.wasm"));
    run(Command::new("go")
        .args(["build", "-trimpath", "-buildmode=c-shared", "-o"])
        .arg(&core)
        .arg(format!("./{guest}"))
        .current_dir(sources("go"))
        .envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOFLAGS", "-mod=readonly"), ("GOWASM", "satconv,signext")]));
    core
}

fn c(guest: &str) -> PathBuf {
    let (folder, sdk) = (built("c"), root().join("sdk/c"));
    let object = |part: &str| folder.join(format!("{guest}-{part}.o"));
    for (source, part) in [(sources("c").join(format!("{guest}.c")), "own"), (sdk.join("wasmill.c"), "sdk")] {
        let mut clang = Command::new("clang");
        clang
            .args(["--target=wasm32", "-std=c17", "-O3", "-ffreestanding", "-Wall", "-Wextra", "-Werror"])
            .args(["-mbulk-memory", "-msign-ext", "-mnontrapping-fptoint", "-c"])
            .arg(source)
            .arg("-I")
            .arg(&sdk)
            .arg("-o")
            .arg(object(part));
        if guest == "keyed" {
            clang.arg("-DWASMILL_KEYED");
        }
        run(&mut clang);
    }
    let core = folder.join(format!("{guest}.wasm"));
    run(Command::new("wasm-ld")
        .args(["--no-entry", "--gc-sections", "-s", "-z", "stack-size=65536", "-o"])
        .arg(&core)
        .args([object("own"), object("sdk")]));
    core
}
