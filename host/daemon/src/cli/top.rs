//! `wasmill top`: a dashboard of a server in the terminal.

use std::io::{self, IsTerminal as _, Stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;
use serde_json::{Value, json};

use super::remote::{Server, print};
use super::{Failed, Output, Setting};
use crate::client::{Client, ClientError, escaped};
use crate::dashboard::{Seen, draw, text};

/// Time between two looks at the server.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a key or the end is looked for.
const LISTEN_EVERY: Duration = Duration::from_millis(100);

/// Columns of a frame that is printed where there is no terminal.
const COLUMNS: u16 = 120;

const EXAMPLES: &str = "\
Examples:
  wasmill top
  wasmill top sensor-alerts
  wasmill top --once                one frame as text, as where the output is no terminal
  wasmill top --output json         the same for scripts";

/// Watch the pipelines of a server: rates, lag and errors of all, and of one the time its batches take, the age of its
/// rows, and what waits where.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The pipeline whose parts are shown first; without it the first in the list
    pipeline: Option<String>,
    /// Print one frame and end
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(args: &Args, setting: &Setting) -> Result<(), Failed> {
    let client = args.server.client();
    let mut chosen = args.pipeline.clone();
    let seen = look(&client, &mut chosen)?;
    if let Some(name) = args.pipeline.as_ref().filter(|name| seen.position(name).is_none()) {
        return Err(Failed::Input(format!("error: there is no pipeline `{name}`; `wasmill status` lists them")));
    }
    if setting.output == Output::Json {
        return print(&json!({"pipelines": seen.pipelines, "pipeline": seen.whole}));
    }
    if args.once || !io::stdout().is_terminal() {
        let columns =
            if io::stdout().is_terminal() { terminal::size().map_or(COLUMNS, |size| size.0) } else { COLUMNS };
        // Without the help line: nobody can press a key.
        let area = Rect::new(0, 0, columns, seen.lines() + 1);
        let mut cells = Buffer::empty(area);
        draw(&seen, false, area, &mut cells);
        cells.resize(Rect { height: seen.lines(), ..area });
        print!("{}", text(&cells));
        return Ok(());
    }
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    ctrlc::set_handler(move || told.store(true, Ordering::SeqCst)).context("cannot listen for signals")?;
    let mut screen = Screen::open().context("cannot draw on this terminal; use --once")?;
    watch(&mut screen.0, seen, chosen, &client, &stop)
}

/// The whole terminal, given back when this is dropped, in a panic too.
struct Screen(Terminal<CrosstermBackend<Stdout>>);

impl Screen {
    fn open() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let opened = execute!(io::stdout(), EnterAlternateScreen);
        let screen = opened.and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())).map(Self));
        if screen.is_err() {
            Self::close();
        }
        screen
    }

    fn close() {
        // Where that is not possible the terminal is gone.
        drop(execute!(io::stdout(), LeaveAlternateScreen, cursor::Show));
        drop(terminal::disable_raw_mode());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        Self::close();
    }
}

/// Draws until the user or a signal ends it.
fn watch(
    terminal: &mut Terminal<CrosstermBackend<Stdout>>,
    mut seen: Seen,
    mut chosen: Option<String>,
    client: &Client,
    stop: &AtomicBool,
) -> Result<(), Failed> {
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut last = Instant::now();
    while !stop.load(Ordering::SeqCst) {
        terminal.draw(|frame| draw(&seen, colour, frame.area(), frame.buffer_mut()))?;
        let mut again = last.elapsed() >= LOOK_EVERY;
        if event::poll(LISTEN_EVERY.min(LOOK_EVERY.saturating_sub(last.elapsed())))?
            && let Event::Key(key) = event::read()?
            && key.kind != KeyEventKind::Release
        {
            let at = chosen.as_deref().and_then(|name| seen.position(name));
            match pressed(key, at, seen.pipelines.len()) {
                Pressed::End => return Ok(()),
                Pressed::Nothing => {}
                Pressed::Choose(number) => {
                    chosen = seen.pipelines[number]["name"].as_str().map(str::to_owned);
                    again = true;
                }
            }
        }
        if again {
            last = Instant::now();
            match look(client, &mut chosen) {
                Ok(now) => seen = now,
                // It may come back: what was seen last stays.
                Err(error) => seen.note = Some(error.to_string()),
            }
        }
    }
    Ok(())
}

/// What a key does.
#[derive(Debug, PartialEq, Eq)]
enum Pressed {
    Nothing,
    End,
    /// Chooses the pipeline of that number.
    Choose(usize),
}

fn pressed(key: KeyEvent, chosen: Option<usize>, pipelines: usize) -> Pressed {
    let last = pipelines.checked_sub(1);
    let to = match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return Pressed::End,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Pressed::End,
        KeyCode::Up | KeyCode::Char('k') => chosen.map_or(0, |chosen| chosen.saturating_sub(1)),
        KeyCode::Down | KeyCode::Char('j') => chosen.map_or(0, |chosen| chosen + 1),
        KeyCode::Home => 0,
        KeyCode::End => usize::MAX,
        _ => return Pressed::Nothing,
    };
    last.map_or(Pressed::Nothing, |last| Pressed::Choose(to.min(last)))
}

/// Asks the server. Where the chosen pipeline is not there any more, the first is chosen.
fn look(client: &Client, chosen: &mut Option<String>) -> Result<Seen, ClientError> {
    let pipelines = client.get("/api/v1/pipelines")?.body;
    let address = client.address().to_owned();
    let mut seen = Seen { address, pipelines: pipelines.as_array().cloned().unwrap_or_default(), ..Seen::default() };
    if chosen.as_deref().is_none_or(|name| seen.position(name).is_none()) {
        *chosen = seen.pipelines.first().and_then(|first| first["name"].as_str()).map(str::to_owned);
    }
    if let Some(name) = chosen {
        seen.whole = match client.get(&format!("/api/v1/pipelines/{}", escaped(name))) {
            Ok(answer) => answer.body,
            // Deleted between the two questions.
            Err(ClientError::Refused { status: 404, .. }) => Value::Null,
            Err(error) => return Err(error),
        };
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_choose_within_the_list_and_end() {
        let press = |code, chosen, pipelines| pressed(KeyEvent::from(code), chosen, pipelines);
        assert_eq!(press(KeyCode::Down, Some(1), 3), Pressed::Choose(2));
        assert_eq!(press(KeyCode::Down, Some(2), 3), Pressed::Choose(2), "the last is the last");
        assert_eq!(press(KeyCode::Up, Some(0), 3), Pressed::Choose(0));
        assert_eq!(press(KeyCode::Down, None, 3), Pressed::Choose(0));
        assert_eq!(
            (press(KeyCode::End, None, 3), press(KeyCode::Home, Some(2), 3)),
            (Pressed::Choose(2), Pressed::Choose(0))
        );
        assert_eq!(press(KeyCode::Down, None, 0), Pressed::Nothing, "there is none to choose");
        assert_eq!(press(KeyCode::Char('x'), None, 3), Pressed::Nothing);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(pressed(interrupt, None, 3), Pressed::End);
        assert_eq!((press(KeyCode::Char('q'), None, 0), press(KeyCode::Esc, None, 0)), (Pressed::End, Pressed::End));
    }
}
