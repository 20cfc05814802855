//! `wasmill generate`: made-up events as text, to try pipelines on.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde_json::json;
use wasmill_connectors::generator;

use super::{Failed, Setting, progress};

const EXAMPLES: &str = "\
Examples:
  wasmill generate bids --events 1000000 > bids.ndjson
  wasmill generate sensors --events 10000 --errors 0.01 > readings.ndjson";

/// Write made-up events as NDJSON to stdout. The same arguments always give the same bytes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What kind of events
    #[arg(value_enum)]
    what: What,
    /// How many
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Another seed gives other events
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Share of lines that are malformed, 0 to 1
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    errors: f64,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is a number from 0 to 1".to_owned())
}

/// Kinds of events.
#[derive(Clone, Copy, ValueEnum)]
enum What {
    /// Persons, auctions and bids of an auction site, 1 : 3 : 46 (Nexmark)
    Nexmark,
    /// Only its bids
    Bids,
    /// Readings of temperature, humidity and pressure
    Sensors,
}

/// Events that are made before they are written.
const EVENTS_A_WRITE: u64 = 10_000;

pub(super) fn run(args: &Args, setting: &Setting) -> Result<(), Failed> {
    let config = match args.what {
        What::Nexmark => json!({"kind": "nexmark", "seed": args.seed}),
        What::Bids => json!({"kind": "nexmark", "only": "bids", "seed": args.seed}),
        What::Sensors => json!({"kind": "sensors", "seed": args.seed}),
    };
    let config: generator::Config = serde_json::from_value(config)?;
    let mut out = std::io::stdout().lock();
    // Where the events go to the terminal themselves, they are progress enough.
    let hidden = Setting { terminal: setting.terminal && !out.is_terminal(), ..setting.clone() };
    let bar = progress::share(&hidden, args.events);
    let mut bytes = Vec::new();
    let mut next = 0;
    while next < args.events {
        let end = (next + EVENTS_A_WRITE).min(args.events);
        generator::write_ndjson(&config, next..end, args.errors, &mut bytes);
        match out.write_all(&bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            result => result?,
        }
        bytes.clear();
        next = end;
        bar.set_position(next);
    }
    bar.finish_and_clear();
    Ok(())
}
