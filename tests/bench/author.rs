//! What the author's tools cost beside the compiler that they call, in CPU time of whole processes.
//!
//! Cost model of `wasmill build`: what cargo takes, plus reading the module, making it a component (milliseconds) and
//! writing it. Cold: nothing but the registry's sources is there, so all crates are compiled; warm: one file of the
//! operator was saved. Beside it: the same cargo call with the same flags, in the same project with a target folder of
//! its own. The two take turns. The same for Go and `go build`, with a cache of its own for each: cold compiles the
//! standard library too; for warm a comment of the operator changes, because Go goes by what a file says.
//!
//! Cost model of `wasmill test`: start, reading the cases, loading the compiled component from the cache, and a call a
//! case; the cases are those of the template, repeated to ten, on the component as it was built. Beside it: the binary
//! doing nothing.

#[expect(dead_code, reason = "this benchmark runs no pipeline")]
mod process;

use std::path::Path;
use std::process::{Command, ExitCode};

use process::{run, wasmill};

/// `wasmill build`, in CPU time of the bare compiler's call.
const BUILD_RATIO_MAX: f64 = 1.3;

/// The first build of a project.
const FIRST_BUILD_S_MAX: f64 = 20.0;

/// Ten cases beyond the compiler's work.
const TEN_CASES_MS_MAX: f64 = 100.0;

const WARM_ROUNDS: usize = 6;
const TEST_ROUNDS: usize = 10;

/// What a build costs, in seconds of CPU time: first the compiler's own call, then ours.
struct Builds {
    cold: (f64, f64),
    warm: (f64, f64),
}

impl Builds {
    /// Prints the lines of the table; whether both are within the target.
    fn show(&self, language: &str) -> bool {
        let mut met = true;
        for (name, (bare, ours)) in [("first build, s", self.cold), ("build after a save, s", self.warm)] {
            let ratio = ours / bare;
            met &= ratio <= BUILD_RATIO_MAX;
            let name = format!("{language}: {name}");
            println!("  {name:<44}{bare:>9.2} {ours:>9.2} {ratio:>7.2}{}", missed(ratio <= BUILD_RATIO_MAX));
        }
        met
    }
}

/// Builds with nothing there, then with a file saved before each; the two take turns.
fn builds(
    mut bare: impl FnMut() -> Command,
    mut ours: impl FnMut() -> anyhow::Result<Command>,
    save: impl Fn(usize) -> anyhow::Result<()>,
) -> anyhow::Result<Builds> {
    let cold = (cost(&mut bare())?, cost(&mut ours()?)?);
    let mut warm = (f64::MAX, f64::MAX);
    for round in 0..WARM_ROUNDS {
        save(2 * round)?;
        warm.0 = warm.0.min(cost(&mut bare())?);
        save(2 * round + 1)?;
        warm.1 = warm.1.min(cost(&mut ours()?)?);
    }
    Ok(Builds { cold, warm })
}

fn cost(command: &mut Command) -> anyhow::Result<f64> {
    Ok(run(command, |_, _| Ok(()))?.cpu_s)
}

fn main() -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    run(wasmill(folder)?.args(["new", "plugin", "bench", "--kind", "keyed"]), |_, _| Ok(()))?;
    let project = folder.join("bench");
    // Sources that are not there yet are fetched before anything is measured.
    let fetched = Command::new("cargo").args(["fetch", "--quiet"]).current_dir(&project).status()?;
    anyhow::ensure!(fetched.success(), "the sources of the SDK's dependencies can be had");

    let ours = || {
        let mut build = build(folder, "bench")?;
        build.env("CARGO_TARGET_DIR", folder.join("ours"));
        Ok(build)
    };
    let rust = builds(|| cargo(&project, &folder.join("bare")), ours, |_| save(&project))?;
    let in_go = builds_in_go(folder)?;
    let crates = crates(&project)?;

    ten_cases(&project)?;
    let component = project.join("target/wasmill/bench.wasm");
    let (mut nothing, mut ten) = (f64::MAX, f64::MAX);
    for _ in 0..TEST_ROUNDS {
        nothing = nothing.min(cost(wasmill(folder)?.arg("--version"))?);
        ten = ten.min(cost(wasmill(folder)?.arg("test").arg("bench/ten.yaml").arg("--plugin").arg(&component))?);
    }

    println!("author: the template of a keyed operator in Rust, {crates} crates (CPU time)");
    println!("  {:<44}{:>9} {:>9} {:>7}", "", "compiler", "wasmill", "ratio");
    let met = rust.show("Rust") & in_go.show("Go");
    let (first, ten_ms) = (rust.cold.1 <= FIRST_BUILD_S_MAX, ten * 1e3);
    println!("  {:<44}{:>9} {ten_ms:>9.1}", "test of ten cases, ms", "");
    println!("  {:<44}{:>9} {:>9.1}", "wasmill --version, ms", "", nothing * 1e3);
    println!("  target: a build at most {BUILD_RATIO_MAX} of the compiler's own");
    println!("  target: the first build in Rust at most {FIRST_BUILD_S_MAX:.0} s{}", missed(first));
    println!("  target: ten cases at most {TEN_CASES_MS_MAX:.0} ms{}", missed(ten_ms <= TEN_CASES_MS_MAX));
    Ok(if met && first && ten_ms <= TEN_CASES_MS_MAX { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn missed(met: bool) -> &'static str {
    if met { "" } else { ": MISSED" }
}

fn build(folder: &Path, project: &str) -> anyhow::Result<Command> {
    let mut command = wasmill(folder)?;
    command.args(["build", project]);
    Ok(command)
}

/// The same of the template in Go.
fn builds_in_go(folder: &Path) -> anyhow::Result<Builds> {
    let new = ["new", "plugin", "bench-go", "--kind", "keyed", "--lang", "go"];
    run(wasmill(folder)?.args(new), |_, _| Ok(()))?;
    let project = folder.join("bench-go");
    // The SDK is written and what it needs is fetched before anything is measured.
    run(&mut build(folder, "bench-go")?, |_, _| Ok(()))?;
    let bare = || {
        let mut go = Command::new("go");
        go.current_dir(&project).args(["build", "-trimpath", "-buildmode=c-shared", "-o", "bare.wasm", "."]);
        go.envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("CGO_ENABLED", "0"), ("GOWASM", "satconv,signext")]);
        go.env("GOCACHE", folder.join("bare-go"));
        go
    };
    let ours = || {
        let mut build = build(folder, "bench-go")?;
        build.env("GOCACHE", folder.join("ours-go"));
        Ok(build)
    };
    let source = project.join("main.go");
    let text = std::fs::read_to_string(&source)?;
    builds(bare, ours, |round| Ok(std::fs::write(&source, format!("{text}\n// {round}\n"))?))
}

/// The call of the compiler that `wasmill build` makes.
fn cargo(project: &Path, target: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(project).args(["build", "--release", "--lib", "--target", "wasm32-unknown-unknown"]);
    cargo.env("CARGO_TARGET_DIR", target).env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+simd128");
    let profile =
        [("OPT_LEVEL", "3"), ("LTO", "fat"), ("CODEGEN_UNITS", "1"), ("PANIC", "abort"), ("STRIP", "debuginfo")];
    cargo.envs(profile.map(|(key, value)| (format!("CARGO_PROFILE_RELEASE_{key}"), value)));
    if let Some(compiler) = std::env::var_os("WASMILL_GUEST_RUSTC") {
        cargo.env("RUSTC", compiler);
    }
    cargo
}

/// As an editor saves a file whose text has not changed.
fn save(project: &Path) -> anyhow::Result<()> {
    let source = project.join("src/lib.rs");
    Ok(std::fs::write(&source, std::fs::read(&source)?)?)
}

/// The crates that the project compiles, its own included.
fn crates(project: &Path) -> anyhow::Result<usize> {
    let mut tree = Command::new("cargo");
    tree.current_dir(project).args(["tree", "--prefix", "none", "--no-dedupe", "--edges", "normal,build"]);
    let output = tree.args(["--target", "wasm32-unknown-unknown"]).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    lines.sort_unstable();
    lines.dedup();
    Ok(lines.len())
}

/// Writes the template's cases to `ten.yaml`, over and over until there are ten.
fn ten_cases(project: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(project.join("cases.yaml"))?;
    let (head, cases) = text.split_once("cases:\n").unwrap_or_default();
    let cases: Vec<&str> = cases.split("  - name: ").skip(1).collect();
    anyhow::ensure!(!cases.is_empty(), "the template has cases");
    let ten: String = (0..10).map(|i| format!("  - name: {i}, {}", cases[i % cases.len()])).collect();
    Ok(std::fs::write(project.join("ten.yaml"), format!("{head}cases:\n{ten}"))?)
}
