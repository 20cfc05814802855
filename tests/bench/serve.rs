//! A server: what a swap costs the rows, what a pipeline that waits costs, and what the server costs beside `run`.
//!
//! Cost model: a swap compiles, opens and tries the new code beside the lanes, which go on; a lane then exchanges a
//! pointer between two batches, and its state stays where it is, so that the number of keys does not matter. What rows
//! wait is read from the server's answers. A pipeline that waits is in no queue and on no thread: it costs its memory,
//! most of it the guest's.
//!
//! Not measured: state that changes its shape (all keys are copied), sources that look for news by themselves (files
//! that are followed do so five times a second), the time until a swap is answered, which is mostly the compiler's.
//!
//! Exits with 1 where a row is lost or doubled, where the p99 of what rows wait is over 20 times a batch of the stage,
//! where 1,000 pipelines that wait use more than 1 % of a core, or where the server does less than 0.95 of what `run`
//! does. `cargo bench --bench serve -- --swaps 20` for less.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde_json::Value;
use wasmill_tests::house::built;
use wasmill_tests::process::Folder;
use wasmill_tests::server::{Server, relabelled};

const SWAPS: usize = 100;
const RATE: u64 = 200_000;
/// Keys that the state has before the first swap.
const KEYS: u64 = 1_000_000;
const WAITED_BATCHES: f64 = 20.0;
const WAITING: usize = 1_000;
const IDLE_CORE: f64 = 0.01;
/// A pipeline's memory as we would like it; said, not enforced: most of it is the guest's.
const WAITING_KB: f64 = 200.0;
const EVENTS: u64 = 3_000_000;
const BESIDE_RUN: f64 = 0.95;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let given = arguments.iter().position(|argument| argument == "--swaps").and_then(|at| arguments.get(at + 1));
    let swaps = given.map_or(SWAPS, |number| number.parse().unwrap());
    let met = [swapped(swaps), waiting(), beside_run()];
    if met.into_iter().all(|met| met) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn said(met: bool) -> &'static str {
    if met { "" } else { ": MISSED" }
}

fn stage(pipeline: &Value) -> &Value {
    pipeline["nodes"].as_array().unwrap().iter().find(|node| node["part"] == "stage").unwrap()
}

/// Swaps a keyed stage under load.
fn swapped(swaps: usize) -> bool {
    let guest = built("tests/guests/rust/keyed");
    // Nearly every event has a key of its own: state grows as fast as rows come.
    let folder = Folder::with(&format!(
        "name: swapped\nlanes: 2\nsources:\n  bids: {{ generator: {{ kind: nexmark, only: bids, rate: {RATE} }} }}\n\
         stages:\n  total: {{ from: bids, plugin: {}, key: [bidder, date_time] }}\n\
         sinks:\n  out: {{ from: total, file: {{ path: out/ }} }}\n",
        guest.display()
    ));
    let server = Server::start(&folder);
    server.apply(&folder, "swapped", "pipeline.yaml").with(200);
    server.until("there are a million keys", "swapped", |it| stage(it)["rows_in"].as_u64() > Some(KEYS));
    let component = std::fs::read(guest).unwrap();
    let mut keys = 0;
    let mut waited: Vec<f64> = (0..swaps)
        .map(|label| {
            let digest = server.upload(&relabelled(&component, u8::try_from(label).unwrap()));
            let answer = server.swap("swapped", "total", &digest, "").with(200).body;
            keys = answer["keys"].as_u64().unwrap();
            assert!(keys > KEYS / 2, "{answer:#}");
            answer["waited_us"].as_f64().unwrap()
        })
        .collect();
    waited.sort_by(f64::total_cmp);
    let batch = stage(&server.pipeline("swapped"))["batch_us"].as_f64().unwrap();
    server.send("POST", "/api/v1/pipelines/swapped/drain", "", b"").with(200);
    let whole = server.pipeline("swapped");
    let (read, written) = (whole["records_in"].as_u64().unwrap(), whole["rows_out"].as_u64().unwrap());
    let at = |share: f64| waited[((waited.len() - 1) as f64 * share) as usize];
    let p99 = at(0.99);
    let met = read == written && p99 <= batch * WAITED_BATCHES;
    println!("serve: {swaps} swaps of a keyed stage, 2 lanes, {RATE} rows/s, {keys} keys at the last");
    println!("  rows read {read}, written {written}");
    println!("  rows waited {:.0} us p50, {:.0} p90, {p99:.0} p99, {:.0} at most", at(0.5), at(0.9), at(1.0));
    println!("  a batch takes {batch:.0} us; target p99 at most {WAITED_BATCHES:.0} of them{}", said(met));
    server.stop().with_code(0);
    met
}

/// A thousand pipelines that wait.
fn waiting() -> bool {
    let plugin = built("examples/currency/plugin");
    let folder = Folder::new();
    let server = Server::start(&folder);
    let apply = |name: &str| {
        let text = format!(
            "name: {name}\nsources:\n  bids: {{ generator: {{ kind: nexmark, only: bids, rate: 0.001 }} }}\n\
             stages:\n  convert: {{ from: bids, plugin: {} }}\n\
             sinks:\n  out: {{ from: convert, file: {{ path: out-{name}/ }} }}\n",
            plugin.display()
        );
        let path = format!("/api/v1/pipelines/{name}?base={}", folder.path().display());
        server.send("PUT", &path, "", text.as_bytes()).with(200);
    };
    apply("first");
    let pid = std::fs::read_to_string(folder.path().join("data/lock")).unwrap().trim().to_owned();
    let before = resident_kb(&pid);
    (0..WAITING).for_each(|number| apply(&format!("p{number}")));
    // The first events are committed, then nothing comes.
    sleep(Duration::from_secs(3));
    let each = (resident_kb(&pid) - before) / WAITING as f64;
    let (cpu, began) = (cpu_s(&pid), Instant::now());
    sleep(Duration::from_secs(4));
    let idle = (cpu_s(&pid) - cpu) / began.elapsed().as_secs_f64();
    let met = idle < IDLE_CORE;
    println!("serve: {WAITING} pipelines that wait");
    println!("  {each:.0} KB each; we aim at {WAITING_KB:.0}");
    println!("  {:.2} % of a core, target less than {:.0} %{}", idle * 100.0, IDLE_CORE * 100.0, said(met));
    server.stop().with_code(0);
    met
}

/// The same pipeline by the server and by `run`, in turn: the least CPU time of three rounds each.
fn beside_run() -> bool {
    let plugin = built("examples/currency/plugin");
    let folder = Folder::with(&format!(
        "name: beside\nsources:\n  bids: {{ generator: {{ kind: nexmark, only: bids, events: {EVENTS} }} }}\n\
         stages:\n  convert: {{ from: bids, plugin: {} }}\n\
         sinks:\n  out: {{ from: convert, file: {{ path: out/, overwrite: true }} }}\n",
        plugin.display()
    ));
    let server = Server::start(&folder);
    let pid = std::fs::read_to_string(folder.path().join("data/lock")).unwrap().trim().to_owned();
    let (mut run, mut served) = (f64::MAX, f64::MAX);
    for _ in 0..3 {
        // The kernel adds up what all children that ended took.
        let before = children_s();
        folder.run().report();
        run = run.min(children_s() - before);
        let before = cpu_s(&pid);
        server.apply(&folder, "beside", "pipeline.yaml").with(200);
        // Asking costs too: seldom, so that it is not what is measured.
        while server.pipeline("beside")["state"] != "done" {
            sleep(Duration::from_millis(50));
        }
        served = served.min(cpu_s(&pid) - before);
    }
    let ratio = run / served;
    let met = ratio >= BESIDE_RUN;
    println!("serve: {EVENTS} generated events through q1, 1 lane (CPU time, least of three)");
    println!("  run {run:.2} s, server {served:.2} s");
    println!("  the server does {ratio:.2} of what run does, target {BESIDE_RUN}{}", said(met));
    server.stop().with_code(0);
    met
}

fn children_s() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    (usage.user_time() + usage.system_time()).num_microseconds() as f64 / 1e6
}

fn resident_kb(pid: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// CPU time of a process so far, all threads.
fn cpu_s(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let behind: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = behind[11].parse::<f64>().unwrap() + behind[12].parse::<f64>().unwrap();
    // The kernel tells user space a hundred ticks a second, whatever it counts itself.
    ticks / 100.0
}
