//! A server: what a swap costs the rows, what a pipeline that waits costs, and what the server costs beside `run`.
//!
//! Cost model: a swap compiles, opens and tries the new code beside the lanes, which go on; a lane then exchanges a
//! pointer between two batches, and its state stays where it is, so that the number of keys does not matter. What rows
//! wait is measured in the lane, from when it begins to switch to the begin of the first batch of the new code, or to
//! when there is nothing to do; it is read from the server's answers. What a lane waits between any two batches, while
//! others have the threads, is no part of it. That rows are neither lost nor doubled, and that each key's count goes
//! on, is counted in what was written. A request costs the server CPU time that its pipelines do not get. A pipeline
//! that waits is in no queue and on no thread: it costs its memory, half of it the guest's.
//!
//! Beside clients, what counts is rows a CPU-second of the server's process, in windows with and without clients that
//! take turns: on a machine of two cores the clients themselves take time that a pipeline would have had, which a
//! server cannot help; what they cost it, it can. Each client asks once a second, as the page does; clients that ask
//! without a rest would take all the time that there is, so what a request costs is said beside.
//!
//! Not measured: state that changes its shape (all keys are copied), sources that look for news by themselves (files
//! that are followed do so five times a second), the time until a swap is answered, which is mostly the compiler's.
//!
//! Exits with 1 where a row is lost or doubled or a count is out of step, where broken code stays, where fewer rows
//! came than should, where the p99 of what rows wait is over 20 times a batch of the stage, where a request fails or
//! 200 clients leave a pipeline less than 0.9, where 1,000 pipelines that wait use more than 1 % of a core or 200 KB
//! each, or where the server does less than 0.95 of what `run` does. `cargo bench --bench serve -- --swaps 20` for
//! less.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
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
/// Of that rate so much must come while code is swapped.
const RATE_SHARE: f64 = 0.98;
/// Keys that the state has before the first swap.
const KEYS: u64 = 1_000_000;
/// Swaps among them to broken code.
const BROKEN: usize = 10;
const WAITED_BATCHES: f64 = 20.0;
const CLIENTS: usize = 200;
const REQUESTS: usize = 10_000;
const ROUNDS: usize = 10;
/// How long each client rests after an answer: as long as the page does.
const REST: Duration = Duration::from_secs(1);
const BESIDE_CLIENTS: f64 = 0.9;
const WAITING: usize = 1_000;
const IDLE_CORE: f64 = 0.01;
/// A pipeline's memory, half of it the guest's.
const WAITING_KB: f64 = 200.0;
const EVENTS: u64 = 3_000_000;
const BESIDE_RUN: f64 = 0.95;
const BESIDE_ROUNDS: usize = 8;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let given = arguments.iter().position(|argument| argument == "--swaps").and_then(|at| arguments.get(at + 1));
    let swaps = given.map_or(SWAPS, |number| number.parse().unwrap());
    assert!(swaps >= 2 * BROKEN, "{BROKEN} of the swaps are to broken code: at least {} are needed", 2 * BROKEN);
    let met = [swapped(swaps), asked(), waiting(), beside_run()];
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
    // Sensors come in turn, so that each of a million keys is there once in five seconds.
    let folder = Folder::with(&format!(
        "name: swapped\nlanes: 2\n\
         sources:\n  readings: {{ generator: {{ kind: sensors, sensors: {KEYS}, rate: {RATE} }} }}\n\
         stages:\n  total: {{ from: readings, plugin: {}, key: sensor }}\n\
         sinks:\n  out: {{ from: total, file: {{ path: out/ }} }}\n",
        built("tests/guests/rust/counted").display()
    ));
    let server = Server::start(&folder);
    server.apply(&folder, "swapped", "pipeline.yaml").with(200);
    server.until("each key was there", "swapped", |it| stage(it)["rows_in"].as_u64() > Some(KEYS));
    let rows = || stage(&server.pipeline("swapped"))["rows_in"].as_u64().unwrap();
    let (first, began) = (rows(), Instant::now());
    let (mut waited, taken_back, refused) = swap_often(&server, swaps);
    let (seconds, came) = (began.elapsed().as_secs_f64(), rows() - first);
    let rate = came as f64 / seconds;
    waited.sort_by(f64::total_cmp);
    let batch = stage(&server.pipeline("swapped"))["batch_us"].as_f64().unwrap();
    server.send("POST", "/api/v1/pipelines/swapped/drain", "", b"").with(200);
    let read = server.pipeline("swapped")["records_in"].as_u64().unwrap();
    server.stop().with_code(0);
    let (written, wrong) = checked(&folder, read);
    let at = |share: f64| waited[((waited.len() - 1) as f64 * share) as usize];
    let p99 = at(0.99);
    let met = (written, wrong) == (read, 0)
        && (taken_back > 0 && refused > 0 && waited.len() + taken_back + refused == swaps)
        && rate >= RATE as f64 * RATE_SHARE
        && p99 <= batch * WAITED_BATCHES;
    println!("serve: {swaps} swaps of a keyed stage, {KEYS} keys, 2 lanes, {RATE} rows/s wanted");
    println!("  while it was swapped {came} rows came in {seconds:.1} s: {rate:.0}/s, target {RATE_SHARE} of {RATE}");
    println!("  broken code: {taken_back} times taken back within its first batches, {refused} times refused");
    println!("  rows read {read}, written exactly once {written}, counts out of step {wrong}; target: all, none");
    println!("  rows waited {:.0} us p50, {:.0} p90, {p99:.0} p99, {:.0} at most", at(0.5), at(0.9), at(1.0));
    println!("  a batch takes {batch:.0} us; target p99 at most {WAITED_BATCHES:.0} of them{}", said(met));
    met
}

/// Swaps, some of them to code that fails on keys that were there before or on every row: what rows waited where the
/// code was good, and how often broken code was taken back, and refused.
fn swap_often(server: &Server, swaps: usize) -> (Vec<f64>, usize, usize) {
    let read = |name: &str| std::fs::read(built(&format!("tests/guests/rust/{name}"))).unwrap();
    let [good, later, never] = ["counted", "counted_broken", "counted_never"].map(read);
    let (mut waited, mut taken_back, mut refused) = (Vec::new(), 0, 0);
    let every = (swaps / BROKEN).max(1);
    for number in 0..swaps {
        let broken = number % every == 0;
        let component = match (broken, number / every % 2) {
            (false, _) => &good,
            (true, 0) => &later,
            (true, _) => &never,
        };
        let digest = server.upload(&relabelled(component, u8::try_from(number).unwrap()));
        let answer = server.swap("swapped", "total", &digest, "");
        match (broken, answer.status, answer.body["type"].as_str()) {
            (false, 200, _) => {
                assert_eq!((&answer.body["keys"], &answer.body["lost"]), (&KEYS.into(), &0.into()), "{answer:#?}");
                waited.push(answer.body["waited_us"].as_f64().unwrap());
            }
            (true, 409, Some("went-back")) => taken_back += 1,
            (true, 422, Some("failed-trial")) => refused += 1,
            _ => panic!("{answer:#?}"),
        }
    }
    (waited, taken_back, refused)
}

/// How many of so many readings were written exactly once, and how many rows have another count than how often their
/// key was there: of sensors in turn, reading `id` is its key's number `id / KEYS`, so its count is one more; and in
/// the order of what was written, the counts of a key go up by one.
fn checked(folder: &Folder, read: u64) -> (u64, u64) {
    let mut times = vec![0u8; usize::try_from(read).unwrap()];
    let mut last = vec![0u64; usize::try_from(KEYS).unwrap()];
    let mut wrong = 0;
    for name in folder.names("out") {
        let text = std::fs::read_to_string(folder.path().join("out").join(&name)).unwrap();
        for line in text.lines() {
            let number = |field: &str| -> u64 {
                let rest = line.split_once(field).unwrap_or_else(|| panic!("no {field} in {line}")).1;
                rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap()].parse().unwrap()
            };
            let (id, count) = (number("\"id\":"), number("\"count\":"));
            let last = &mut last[usize::try_from(id % KEYS).unwrap()];
            wrong += u64::from(count != *last + 1 || count != id / KEYS + 1);
            *last = count;
            let times = &mut times[usize::try_from(id).unwrap()];
            *times = times.saturating_add(1);
        }
    }
    (times.iter().filter(|times| **times == 1).count() as u64, wrong)
}

/// Clients that ask all there is to ask of a pipeline at full speed, beside the same without them: windows in turn.
fn asked() -> bool {
    // It keeps one row in a hundred: what is written is no matter here.
    let plugin = built("tests/guests/rust/filter");
    let folder = Folder::with(&format!(
        "name: asked\nsources:\n  bids: {{ generator: {{ kind: nexmark, only: bids }} }}\n\
         stages:\n  some: {{ from: bids, plugin: {} }}\n\
         sinks:\n  out: {{ from: some, file: {{ path: out/ }} }}\n",
        plugin.display()
    ));
    let server = Server::start(&folder);
    let pid = std::fs::read_to_string(folder.path().join("data/lock")).unwrap().trim().to_owned();
    server.apply(&folder, "asked", "pipeline.yaml").with(200);
    server.until("rows flow", "asked", |it| stage(it)["rows_in"].as_u64() > Some(1_000_000));
    let now = || (stage(&server.pipeline("asked"))["rows_in"].as_u64().unwrap() as f64, cpu_s(&pid));
    // Rows a CPU-second of the server's process, while that is done.
    let measured = |act: &dyn Fn()| {
        let before = now();
        act();
        let after = now();
        (after.0 - before.0, after.1 - before.1)
    };
    let add = |sum: &mut (f64, f64), more: (f64, f64)| *sum = (sum.0 + more.0, sum.1 + more.1);
    let (mut alone, mut beside, mut ratios, mut failed) = ((0.0, 0.0), (0.0, 0.0), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let errors = AtomicU64::new(0);
        let crowded = measured(&|| errors.store(crowd(&server, REQUESTS / ROUNDS), Ordering::SeqCst));
        add(&mut beside, crowded);
        failed += errors.into_inner();
        let took = began.elapsed();
        let quiet = measured(&|| sleep(took));
        add(&mut alone, quiet);
        ratios.push(crowded.0 / crowded.1 / (quiet.0 / quiet.1));
    }
    let (rate_alone, rate_beside) = (alone.0 / alone.1, beside.0 / beside.1);
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[(ROUNDS - 1) / 2];
    let request_us = (beside.1 - beside.0 / rate_alone) / REQUESTS as f64 * 1e6;
    let met = failed == 0 && ratio >= BESIDE_CLIENTS;
    println!("serve: {REQUESTS} requests of {CLIENTS} clients at once while a pipeline runs at full speed");
    println!("  {failed} without a good answer, target none");
    let (alone, beside) = (rate_alone / 1e6, rate_beside / 1e6);
    println!("  {alone:.2} M rows a CPU-second of the server without them, {beside:.2} M with");
    println!("  a request costs the server {request_us:.0} us of CPU time");
    println!(
        "  the pipeline keeps {ratio:.2}, the median of {ROUNDS} windows beside the next; target {BESIDE_CLIENTS}{}",
        said(met)
    );
    server.send("DELETE", "/api/v1/pipelines/asked?abandon=true", "", b"").with(204);
    server.stop().with_code(0);
    met
}

/// So many requests by clients that each keep a connection, and look at an answer before they ask again; how many had
/// no good answer.
fn crowd(server: &Server, requests: usize) -> u64 {
    const PATHS: [&str; 5] =
        ["/api/v1/pipelines", "/api/v1/pipelines/asked", "/metrics", "/api/v1/events", "/api/v1/plugins"];
    std::thread::scope(|scope| {
        let client = |number: usize| {
            move || {
                let mut stream = BufReader::new(TcpStream::connect(server.address()).unwrap());
                let good = |at: usize| {
                    let good = good(&mut stream, server.address(), PATHS[(number + at) % PATHS.len()]);
                    sleep(REST);
                    good
                };
                // Not all in the same moment.
                sleep(REST * u32::try_from(number).unwrap() / u32::try_from(CLIENTS).unwrap());
                let each = requests / CLIENTS;
                (each - (0..each).map(good).filter(|good| *good).count()) as u64
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(client(number))).collect();
        clients.into_iter().map(|client| client.join().unwrap_or(requests as u64)).sum()
    })
}

/// Asks over a connection that is kept; whether all of a good answer came.
fn good(stream: &mut BufReader<TcpStream>, host: &str, path: &str) -> bool {
    let sent = stream.get_mut().write_all(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes());
    let (mut status, mut length, mut line) = (String::new(), 0, String::new());
    let mut read = sent.and_then(|()| stream.read_line(&mut status));
    while read.as_ref().is_ok_and(|bytes| *bytes > 0) && line != "\r\n" {
        line.clear();
        read = stream.read_line(&mut line);
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    status.starts_with("HTTP/1.1 200") && length > 0 && read.is_ok() && stream.read_exact(&mut body).is_ok()
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
    let (rests, small) = (idle < IDLE_CORE, each < WAITING_KB);
    println!("serve: {WAITING} pipelines that wait");
    println!("  {each:.0} KB each, target less than {WAITING_KB:.0}{}", said(small));
    println!("  {:.2} % of a core, target less than {:.0} %{}", idle * 100.0, IDLE_CORE * 100.0, said(rests));
    server.stop().with_code(0);
    rests && small
}

/// The same pipeline by the server and by `run`, in turn: the least CPU time of the rounds of each.
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
    // A virtual machine may have given the memory of a file back to its host: whoever writes next would pay for it.
    let removed = || drop(std::fs::remove_dir_all(folder.path().join("out")));
    for _ in 0..BESIDE_ROUNDS {
        removed();
        // The kernel adds up what all children that ended took.
        let before = children_s();
        folder.run().report();
        run = run.min(children_s() - before);
        removed();
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
    println!("serve: {EVENTS} generated events through q1, 1 lane (CPU time, least of {BESIDE_ROUNDS})");
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
