//! Frames of a host made by hand, as text and with their colours.

use ratatui::{Terminal, backend::TestBackend, style::Modifier};

use super::{Colours, Press, Table, draw, sample};
use crate::render::terminal::width as columns_of;

fn frame(table: &Table) -> ratatui::buffer::Buffer {
    let mut terminal =
        Terminal::new(TestBackend::new(table.width, table.height)).expect("it writes to memory");
    terminal.draw(|frame| draw::draw(table, frame.buffer_mut())).expect("it writes to memory");
    terminal.backend().buffer().clone()
}

fn text(table: &Table) -> String {
    draw::text(&frame(table))
}

/// The frame with a mark wherever the style changes.
fn painted(table: &Table) -> String {
    let buffer = frame(table);
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut style = String::new();
        let mut line = String::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            let mut now = match cell.fg {
                ratatui::style::Color::Reset => String::new(),
                colour => format!("{colour}"),
            };
            for (modifier, letter) in [(Modifier::BOLD, '+'), (Modifier::REVERSED, '!')] {
                if cell.modifier.contains(modifier) {
                    now.push(letter);
                }
            }
            if now != style {
                line.push_str(&format!("{{{now}}}"));
                style = now;
            }
            line.push_str(cell.symbol());
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[test]
fn frames_at_each_size() {
    for (width, height) in [(80, 24), (132, 43), (40, 10)] {
        let table = sample::table(Colours::None, width, height);
        insta::assert_snapshot!(format!("{width}x{height}"), text(&table));
    }
}

#[test]
fn what_to_do_now_names_its_key_and_a_replay_has_none() {
    let mut table = sample::table(Colours::None, 110, 36);
    assert!(
        text(&table).contains("now:  key r (`reapwatch reap 4242`) has the process reap"),
        "{}",
        text(&table)
    );
    table.set_playback(super::Playback::new(60_000_000_000));
    assert!(text(&table).contains("now:  `reapwatch reap 4242` has the process reap"), "{}", text(&table));
}

#[test]
fn colours_for_a_dark_terminal_for_a_light_one_and_none() {
    for (name, colours) in [("dark", Colours::Dark), ("light", Colours::Light), ("none", Colours::None)] {
        let table = sample::table(colours, 80, 24);
        insta::assert_snapshot!(format!("painted_{name}"), painted(&table));
    }
    let table = sample::table(Colours::None, 80, 24);
    assert!(!painted(&table).contains("Light"), "without colours there is none");
}

#[test]
fn what_is_opened_has_the_room() {
    let mut table = sample::table(Colours::None, 80, 24);
    table.press(Press::Enter);
    insta::assert_snapshot!("detail", text(&table));
    table.press(Press::Escape);
    table.press(Press::Char('t'));
    insta::assert_snapshot!("workloads", text(&table));
    table.press(Press::Char('?'));
    insta::assert_snapshot!("help", text(&table));
    let small = sample::table(Colours::None, 40, 10);
    let mut small = small;
    small.press(Press::Enter);
    insta::assert_snapshot!("detail_40x10", text(&small));
}

#[test]
fn no_frame_is_wider_than_its_terminal_or_has_anything_that_a_terminal_obeys() {
    for (width, height) in [(1, 1), (3, 2), (10, 3), (39, 9), (40, 10), (79, 15), (80, 24), (300, 100)] {
        for keys in ["", "\r", "?", "t", "/x", "tjj\r", "jjjj", "/漢"] {
            let mut table = sample::table(Colours::Dark, width, height);
            for key in super::Decoder::default().take(keys.as_bytes()) {
                table.press(key);
            }
            let text = text(&table);
            assert_eq!(text.lines().count(), usize::from(height), "{width}×{height} {keys}");
            for line in text.lines() {
                assert!(columns_of(line) <= usize::from(width), "{width}×{height} {keys}: {line}");
                let is_obeyed = |one: char| one.is_control() || one == '\u{202e}';
                assert!(!line.chars().any(is_obeyed), "{width}×{height} {keys}: {line:?}");
            }
        }
    }
}

#[test]
fn a_table_without_a_reading_can_be_drawn() {
    let mut table = Table::new(Colours::None);
    assert!(text(&table).starts_with("reapwatch"));
    for key in ["\r", "t", "s", "e", "w", "j", "?", "\x1b[<0;3;5M"] {
        for press in super::Decoder::default().take(key.as_bytes()) {
            table.press(press);
            text(&table);
        }
    }
}
