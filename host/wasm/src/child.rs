//! Compiling in a process of its own: a component can be made so that its compilation takes hours, or all memory.
//!
//! The child is this host's own program again. It limits itself before it reads a byte of the component, answers one
//! text, and ends. What it answers is machine code that this process will run, as a cache entry is: it comes from our
//! own program over a pipe that nobody else has, and its digest shows that it came whole. So the limits hold off what a
//! component can make the compiler *use*; they are no wall against a component that takes the compiler over.
//!
//! An answer is a line and what follows it: `code DIGEST` and the code, or `refused` or `panicked` and the reason.
//! Neighbours: [`crate::compile`] is what the child does, [`crate::engine`] asks.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use nix::libc::{SIGABRT, SIGXCPU};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::compile::{Artefact, compile, engine};
use crate::error::ComponentError;
use crate::limits::{COMPILE_PATIENCE, COMPILE_THREADS_MAX, Limits};
use crate::wit;

/// Where components are compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// In this process, without limits: for components of one's own.
    InProcess,
    /// In a child, under [`Limits::compile_ms_max`] and [`Limits::compile_memory_bytes_max`].
    Child {
        /// The program to start: one whose `main` begins with [`compile_if_asked`].
        program: PathBuf,
    },
}

impl Compiler {
    /// In a child that is this very program, though its file may have been replaced since it started.
    #[must_use]
    pub fn this_program() -> Self {
        Self::Child { program: "/proc/self/exe".into() }
    }
}

/// The first argument of a program that shall compile.
const VERB: &str = "compile-for-parent";

/// Bytes that are read of what a child has to say beside its answer.
const TOLD_BYTES_MAX: u64 = 16 << 10;

/// What the Rust runtime says when memory runs out, before and behind the number of bytes that were asked for.
const NO_MEMORY: [&str; 2] = ["memory allocation of ", " bytes failed"];

/// Compiles what comes in on the standard input, if this process was started to do so; the exit code then. `main` calls
/// this before anything else.
#[must_use]
pub fn compile_if_asked() -> Option<ExitCode> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let (verb, settings) = arguments.split_first()?;
    if verb != VERB {
        return None;
    }
    let number = |argument: &OsString| argument.to_str()?.parse().ok();
    let Some(&[stack, memory, seconds]) = settings.iter().map(number).collect::<Option<Vec<u64>>>().as_deref() else {
        eprintln!("error: `{VERB}` is how wasmill starts itself; it is no command");
        return Some(ExitCode::from(2));
    };
    let answered = confine(memory, seconds).and_then(|()| answer(stack));
    Some(answered.map_or_else(
        |reason| {
            eprintln!("{reason}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    ))
}

/// Limits this process: what it maps, what it computes, and that it writes no file, be it by dying.
fn confine(memory: u64, seconds: u64) -> io::Result<()> {
    let limits = [
        (Resource::RLIMIT_AS, memory),
        (Resource::RLIMIT_CPU, seconds),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_FSIZE, 0),
    ];
    limits.into_iter().try_for_each(|(resource, limit)| setrlimit(resource, limit, limit).map_err(io::Error::from))
}

fn answer(stack_bytes_max: u64) -> io::Result<()> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    let compiled = engine(stack_bytes_max).and_then(|engine| compile(&engine, &bytes));
    let mut out = io::stdout().lock();
    match compiled {
        Ok(artefact) => {
            writeln!(out, "code {}", wit::digest(artefact.code()))?;
            out.write_all(artefact.code())?;
        }
        Err(ComponentError::Compile(reason)) => write!(out, "refused\n{reason}")?,
        Err(ComponentError::CompilerPanic(reason)) => write!(out, "panicked\n{reason}")?,
        Err(other) => return Err(io::Error::other(other.to_string())),
    }
    out.flush()
}

/// Lets `compiler`, a program whose `main` begins with [`compile_if_asked`], compile a component.
pub(crate) fn ask(mut compiler: Command, bytes: &[u8], limits: &Limits) -> Result<Artefact, ComponentError> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(COMPILE_THREADS_MAX);
    let seconds = at_most(Resource::RLIMIT_CPU, limits.compile_ms_max.div_ceil(1_000));
    let deadline = Duration::from_millis(limits.compile_ms_max.saturating_mul(COMPILE_PATIENCE));
    let memory = at_most(Resource::RLIMIT_AS, limits.compile_memory_bytes_max);
    compiler.arg(VERB).args([limits.stack_bytes_max, memory, seconds].map(|number| number.to_string()));
    compiler.env_clear().env("RAYON_NUM_THREADS", threads.to_string());
    // In a group of its own: an interrupt at the terminal is for the parent, which decides what comes of it.
    compiler.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = compiler.get_program().to_string_lossy().into_owned();
    let host = |reason| ComponentError::Host(format!("no process to compile in, with {program}: {reason}"));
    let mut child = compiler.spawn().map_err(host)?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    let stdout = child.stdout.take().expect("it was asked for");
    let group = Pid::from_raw(i32::try_from(child.id()).expect("a process's number is an i32"));
    let (answered, answer) = sync_channel(1);
    let exchange = move || {
        // One that reads no more has died, or says why.
        drop(stdin.write_all(bytes));
        drop(stdin);
        let mut all = Vec::new();
        // What broke off does not have the digest that it begins with.
        drop(stdout.take(memory).read_to_end(&mut all));
        drop(answered.send(all));
    };
    let (answer, ended) = thread::scope(|scope| {
        let started = thread::Builder::new().name("compiling".into()).spawn_scoped(scope, exchange);
        let answer = started.map(|_| answer.recv_timeout(deadline).ok());
        // Whoever has answered is ending, and is not waited for if it is not. Nor is anybody that it has started.
        killpg(group, Signal::SIGKILL).ok();
        (answer, child.wait())
    });
    let (answer, ended) = (answer.map_err(host)?, ended.map_err(host)?);
    let Some(answer) = answer else { return Err(ComponentError::CompileTime { allowed_ms: limits.compile_ms_max }) };
    read(answer).unwrap_or_else(|| {
        let mut told = Vec::new();
        let stderr = child.stderr.take().expect("it was asked for");
        drop(stderr.take(TOLD_BYTES_MAX).read_to_end(&mut told));
        Err(died(ended, &String::from_utf8_lossy(&told), limits.compile_ms_max, memory))
    })
}

/// What an answer says, if it is one and whole.
fn read(mut answer: Vec<u8>) -> Option<Result<Artefact, ComponentError>> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    let body = answer.split_off(end + 1);
    let text = |body: Vec<u8>| String::from_utf8_lossy(&body).into_owned();
    match std::str::from_utf8(&answer[..end]).ok()? {
        "refused" => Some(Err(ComponentError::Compile(text(body)))),
        "panicked" => Some(Err(ComponentError::CompilerPanic(text(body)))),
        head => (head.strip_prefix("code ")? == wit::digest(&body)).then(|| Ok(Artefact::of_child(body))),
    }
}

/// A limit, or what this process may have itself where that is less: a child cannot have more.
fn at_most(resource: Resource, limit: u64) -> u64 {
    getrlimit(resource).map_or(limit, |(_, hard)| limit.min(hard))
}

/// Why a child has not answered.
fn died(ended: ExitStatus, told: &str, allowed_ms: u64, memory: u64) -> ComponentError {
    let [before, behind] = NO_MEMORY;
    let requested = told.split_once(before).and_then(|(_, rest)| rest.split_once(behind)?.0.parse().ok());
    match (ended.signal(), requested) {
        (Some(SIGXCPU), _) => ComponentError::CompileTime { allowed_ms },
        (Some(SIGABRT), Some(requested)) => ComponentError::CompileMemory { allowed: memory, requested },
        _ => {
            let last = told.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            ComponentError::CompilerDied(format!("{ended}: {}", last.trim()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a compiler that is this shell script.
    fn told(script: &str, limits: &Limits) -> ComponentError {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]);
        ask(shell, &vec![b'x'; 1 << 20], limits).err().expect("it was no compiler")
    }

    #[test]
    fn a_child_that_dies_before_it_has_answered_is_told_from_one_that_refuses() {
        let limits = Limits::default();
        let died = |script: &str| match told(script, &limits) {
            ComponentError::CompilerDied(how) => how,
            other => panic!("{script}: {other}"),
        };
        assert!(died("kill -SEGV $$").contains("signal: 11"));
        assert!(died("cat > /dev/null; echo stack overflow >&2; kill -ABRT $$").ends_with("stack overflow"));
        assert!(died("cat > /dev/null").contains("exit status: 0"), "it said nothing");
        assert!(
            died("cat > /dev/null; echo code 0000; echo half").contains("exit status: 0"),
            "what broke off is no code"
        );
        assert_eq!(told("cat > /dev/null; printf 'refused\\nwhy'", &limits), ComponentError::Compile("why".into()));
        assert_eq!(
            told("cat > /dev/null; printf 'panicked\\nwhy'", &limits),
            ComponentError::CompilerPanic("why".into())
        );
    }

    #[test]
    fn a_child_that_has_no_memory_left_says_what_it_asked_for() {
        let script = "echo memory allocation of 4096 bytes failed >&2; kill -ABRT $$";
        let limits = Limits { compile_memory_bytes_max: 100_000, ..Limits::default() };
        assert_eq!(told(script, &limits), ComponentError::CompileMemory { allowed: 100_000, requested: 4_096 });
    }

    #[test]
    fn a_child_that_goes_on_is_killed_at_the_deadline_whatever_it_has_said() {
        let limits = Limits { compile_ms_max: 25, compile_memory_bytes_max: 1 << 20, ..Limits::default() };
        let late = ComponentError::CompileTime { allowed_ms: 25 };
        assert_eq!(told("while :; do :; done", &limits), late);
        assert_eq!(told("cat > /dev/null; echo code; while :; do :; done", &limits), late);
        assert_eq!(told("kill -XCPU $$", &limits), late, "it has used up its own limit");
        let closed = told("cat > /dev/null; exec >&-; while :; do :; done", &limits);
        assert!(matches!(closed, ComponentError::CompilerDied(_)), "it is not waited for: {closed}");
        let endless = told("cat > /dev/null; while :; do echo code; done", &limits);
        assert!(matches!(endless, ComponentError::CompilerDied(_) | ComponentError::CompileTime { .. }), "{endless}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let told = ask(Command::new("/no/such/program"), b"", &Limits::default()).err().unwrap();
        assert!(matches!(&told, ComponentError::Host(reason) if reason.contains("/no/such/program")), "{told}");
    }
}
