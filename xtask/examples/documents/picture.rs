//! The moving picture of the live table in the README: a recording, drawn frame by frame into one SVG that needs no script.
//!
//! Must not know what a frame shows: `probe::table` draws it.

use std::{cell::RefCell, fs, fs::File, io};

use probe::{
    analysis,
    engine::Engine,
    model::{Identity, Input, Session},
    pipeline::{Details, Pipeline, Subscriber},
    recording::Reader,
    source::playback::Playback,
    table::{Colours, Playback as Position, Reading, Table, draw},
};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Color, Modifier, Style},
};

type Outcome<T = ()> = Result<T, String>;

const RECORDING: &str = "docs/night.rec";
const PICTURE: &str = "docs/table.svg";
const SIZE: (u16, u16) = (100, 28);
/// Of a character, in pixels; and how long a frame stays.
const CELL: (f64, f64) = (8.4, 18.0);
const SECONDS: f64 = 1.0;
/// The last frame stays longer.
const LAST_STAYS: usize = 4;

/// Draws it anew; with `check` only compares.
pub fn picture(check: bool) -> Outcome {
    let now = svg(&frames()?);
    if fs::read_to_string(PICTURE).is_ok_and(|before| before == now) {
        return Ok(());
    }
    if check {
        return Err(format!("{PICTURE} is not what reapwatch draws: run `cargo xtask docs`"));
    }
    fs::write(PICTURE, now).map_err(|error| format!("cannot write {PICTURE}: {error}"))
}

/// Draws a frame at each reading.
struct Frames {
    table: RefCell<Table>,
    session: Session,
    began_ns: u64,
    length_ns: u64,
    drawn: Vec<Buffer>,
}

impl Subscriber for Frames {
    fn reading(&mut self, engine: &Engine) -> io::Result<()> {
        let mut table = self.table.borrow_mut();
        let report = analysis::report_so_far(engine, &self.session);
        table.take(Reading { report, cost: None });
        if let Some(id) = table.wants_detail() {
            let identity = Identity { tgid: id.pid, start_boottime_ns: id.start_boottime_ns };
            if let Some(detail) = analysis::detail(&engine.view(), &self.session, identity, &|_| None) {
                table.set_detail(id, detail);
            }
        }
        let mut position = Position::new(self.length_ns);
        position.at_ns = engine.ended_ns().saturating_sub(self.began_ns);
        table.set_playback(position);
        let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 });
        draw::draw(&table, &mut buffer);
        self.drawn.push(buffer);
        Ok(())
    }
}

fn frames() -> Outcome<Vec<Buffer>> {
    let open = || {
        let file = File::open(RECORDING).map_err(|error| format!("{RECORDING}: {error}"))?;
        Reader::open(file).map_err(|error| format!("{RECORDING}: {error}"))
    };
    let reader = open()?;
    let session = reader.session().clone();
    let times: Vec<u64> = reader.filter_map(|input: Input| input.time_ns()).collect();
    let (began_ns, last_ns) = (times.first().copied().unwrap_or(0), times.iter().copied().max().unwrap_or(0));
    let mut table = Table::new(Colours::Dark);
    table.resize(SIZE.0, SIZE.1);
    let length_ns = last_ns.saturating_sub(began_ns);
    let mut frames = Frames {
        table: RefCell::new(table),
        session: session.clone(),
        began_ns,
        length_ns,
        drawn: Vec::new(),
    };
    let mut source = Playback::new(open()?, began_ns, None);
    let mut pipeline = Pipeline::new(&session, None, Details::None);
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    runtime
        .block_on(pipeline.run_to_end(&mut source, &mut [&mut frames]))
        .map_err(|error| format!("{RECORDING}: {error:?}"))?;
    Ok(frames.drawn)
}

fn svg(frames: &[Buffer]) -> String {
    let (width, height) = (f64::from(SIZE.0) * CELL.0 + 20.0, f64::from(SIZE.1) * CELL.1 + 20.0);
    let steps = frames.len() + LAST_STAYS - 1;
    let length = steps as f64 * SECONDS;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"monospace\" \
         font-size=\"14\">\n<title>The live table of reapwatch, drawn of docs/night.rec by cargo xtask docs</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#16181d\"/>\n"
    );
    for (number, frame) in frames.iter().enumerate() {
        let from = number as f64 / steps as f64;
        let to = if number + 1 == frames.len() { 1.0 } else { (number + 1) as f64 / steps as f64 };
        // Where nothing moves, the last frame is what is seen.
        let at_rest = if number + 1 == frames.len() { "visible" } else { "hidden" };
        out.push_str(&format!(
            "<g visibility=\"{at_rest}\">\n<animate attributeName=\"visibility\" calcMode=\"discrete\" dur=\"{length}s\" \
             repeatCount=\"indefinite\" keyTimes=\"0;{from:.4};{to:.4}\" values=\"hidden;visible;{}\"/>\n",
            if number + 1 == frames.len() { "visible" } else { "hidden" }
        ));
        for y in 0..frame.area.height {
            out.push_str(&line(frame, y));
        }
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

/// The runs of one style in a row.
fn line(frame: &Buffer, y: u16) -> String {
    let mut runs: Vec<(u16, Style, String)> = Vec::new();
    for x in 0..frame.area.width {
        let cell = &frame[(x, y)];
        match runs.last_mut() {
            Some((_, style, text)) if *style == cell.style() => text.push_str(cell.symbol()),
            _ => runs.push((x, cell.style(), cell.symbol().to_owned())),
        }
    }
    let mut out = String::new();
    for (x, style, text) in runs {
        let is_selected = style.add_modifier.contains(Modifier::REVERSED);
        let (left, top) = (10.0 + f64::from(x) * CELL.0, 10.0 + f64::from(y) * CELL.1);
        let length = text.chars().count() as f64 * CELL.0;
        if is_selected {
            out.push_str(&format!(
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{}\" fill=\"#3b4252\"/>\n",
                CELL.1
            ));
        }
        if text.trim().is_empty() {
            continue;
        }
        let weight = if style.add_modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
        out.push_str(&format!(
            "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{length:.1}\" xml:space=\"preserve\" fill=\"{}\"{weight}>{}</text>\n",
            top + 14.0,
            colour(style.fg),
            escaped(&text)
        ));
    }
    out
}

fn colour(colour: Option<Color>) -> &'static str {
    match colour {
        Some(Color::LightRed) => "#ff6b6b",
        Some(Color::LightYellow) => "#ffd866",
        Some(Color::LightGreen) => "#a9dc76",
        Some(Color::LightCyan) => "#78dce8",
        Some(Color::Gray) => "#9aa0ac",
        _ => "#e6e6e6",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
