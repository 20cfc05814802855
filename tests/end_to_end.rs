//! The whole of wasmill from the outside: stories told through the binary, its files and its streams.
//!
//! Neighbours: `end_to_end/process.rs` runs the binary, `end_to_end/house.rs` builds guests in Rust,
//! `end_to_end/guests.rs` assembles guests that no compiler would make; each other file there is one kind of story.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![forbid(unsafe_code)]

#[path = "end_to_end/guests.rs"]
mod guests;
#[path = "end_to_end/serve.rs"]
mod serve;
#[path = "end_to_end/plans.rs"]
mod plans;
#[path = "end_to_end/replaced.rs"]
mod replaced;
#[path = "end_to_end/ends.rs"]
mod ends;
#[path = "end_to_end/seen.rs"]
mod seen;
#[path = "end_to_end/faults.rs"]
mod faults;
#[path = "end_to_end/browser.rs"]
mod browser;
#[path = "end_to_end/codes.rs"]
mod codes;
#[path = "end_to_end/clients.rs"]
mod clients;
#[path = "end_to_end/page.rs"]
mod page;
#[path = "end_to_end/bad_lines.rs"]
mod bad_lines;
#[path = "end_to_end/bad_tables.rs"]
mod bad_tables;
#[path = "end_to_end/files.rs"]
mod files;
#[path = "end_to_end/streams.rs"]
mod streams;
#[path = "end_to_end/plugins.rs"]
mod plugins;
#[path = "end_to_end/go.rs"]
mod go;
#[path = "end_to_end/lanes.rs"]
mod lanes;
#[path = "end_to_end/formats.rs"]
mod formats;
#[path = "end_to_end/author.rs"]
mod author;
#[path = "end_to_end/work.rs"]
mod work;
#[path = "end_to_end/cases.rs"]
mod cases;
#[path = "end_to_end/verbs.rs"]
mod verbs;
#[path = "end_to_end/scripts.rs"]
mod scripts;
