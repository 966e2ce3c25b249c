//! Keys and mouse, from the bytes that a terminal sends.
//!
//! Must not know what a key does.

/// Longest sequence of a terminal that is understood; more than that is dropped.
const SEQUENCE_MAX: usize = 32;
const ESCAPE: u8 = 0x1b;

/// Something a person did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// A letter, a digit, a sign or a space.
    Char(char),
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Backspace,
    /// ^C
    Interrupt,
    /// ^Z
    Suspend,
    /// ^L
    Redraw,
    /// The first button, in this column and row, from 0.
    Click {
        column: u16,
        row: u16,
    },
    /// The wheel.
    Wheel {
        row: u16,
        is_up: bool,
    },
}

/// Bytes so far that are no whole key yet.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Takes what was read; gives what it was.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Press> {
        let mut found = Vec::new();
        for byte in bytes {
            self.pending.push(*byte);
            match decode(&self.pending) {
                Decoded::More if self.pending.len() < SEQUENCE_MAX => {}
                Decoded::More | Decoded::Nothing => self.pending.clear(),
                Decoded::Press(press) => {
                    found.push(press);
                    self.pending.clear();
                }
                // The escape key, and then another key.
                Decoded::Escape => {
                    found.push(Press::Escape);
                    let rest = self.pending.split_off(1);
                    self.pending.clear();
                    found.extend(self.take(&rest));
                }
            }
        }
        found
    }

    /// Whether the last byte may be the escape key or the begin of a sequence: if nothing follows soon, it was the key.
    pub fn waits(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Nothing followed.
    pub fn nothing_follows(&mut self) -> Option<Press> {
        let was_escape = self.pending == [ESCAPE];
        self.pending.clear();
        was_escape.then_some(Press::Escape)
    }
}

enum Decoded {
    /// The sequence goes on.
    More,
    /// It means nothing to us.
    Nothing,
    Press(Press),
    /// An escape key came before the rest.
    Escape,
}

fn decode(bytes: &[u8]) -> Decoded {
    let press = |press| Decoded::Press(press);
    match bytes {
        [ESCAPE] => Decoded::More,
        [ESCAPE, b'[', rest @ ..] => control_sequence(rest),
        [ESCAPE, b'O'] => Decoded::More,
        [ESCAPE, b'O', last] => named(*last).map_or(Decoded::Nothing, Decoded::Press),
        [ESCAPE, ..] => Decoded::Escape,
        [b'\r' | b'\n'] => press(Press::Enter),
        [0x7f | 0x08] => press(Press::Backspace),
        [0x03] => press(Press::Interrupt),
        [0x1a] => press(Press::Suspend),
        [0x0c] => press(Press::Redraw),
        [0x00..0x20] => Decoded::Nothing,
        text => match std::str::from_utf8(text) {
            Ok(text) => text.chars().next().map_or(Decoded::Nothing, |one| press(Press::Char(one))),
            Err(error) if error.error_len().is_none() => Decoded::More,
            Err(_) => Decoded::Nothing,
        },
    }
}

/// What follows `ESC [`.
fn control_sequence(rest: &[u8]) -> Decoded {
    let Some((last, parameters)) = rest.split_last() else { return Decoded::More };
    match last {
        b'0'..=b'9' | b';' | b'<' => Decoded::More,
        b'M' | b'm' if parameters.first() == Some(&b'<') => mouse(&parameters[1..], *last == b'M'),
        b'~' => match parameters.split(|byte| *byte == b';').next() {
            Some(b"1" | b"7") => Decoded::Press(Press::Home),
            Some(b"4" | b"8") => Decoded::Press(Press::End),
            Some(b"5") => Decoded::Press(Press::PageUp),
            Some(b"6") => Decoded::Press(Press::PageDown),
            _ => Decoded::Nothing,
        },
        last => named(*last).map_or(Decoded::Nothing, Decoded::Press),
    }
}

fn named(last: u8) -> Option<Press> {
    Some(match last {
        b'A' => Press::Up,
        b'B' => Press::Down,
        b'C' => Press::Right,
        b'D' => Press::Left,
        b'H' => Press::Home,
        b'F' => Press::End,
        b'M' => Press::Enter,
        _ => return None,
    })
}

/// `button;column;row`, columns and rows from 1.
fn mouse(parameters: &[u8], is_down: bool) -> Decoded {
    let numbers: Option<Vec<u16>> = parameters
        .split(|byte| *byte == b';')
        .map(|number| std::str::from_utf8(number).ok()?.parse().ok())
        .collect();
    match numbers.as_deref() {
        Some([button, column @ 1..=u16::MAX, row @ 1..=u16::MAX]) if is_down => match button {
            0 => Decoded::Press(Press::Click { column: column - 1, row: row - 1 }),
            64 | 65 => Decoded::Press(Press::Wheel { row: row - 1, is_up: *button == 64 }),
            _ => Decoded::Nothing,
        },
        _ => Decoded::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Press> {
        Decoder::default().take(bytes)
    }

    #[test]
    fn keys_and_mouse_are_told_apart_however_they_are_cut() {
        let bytes =
            b"j\x1b[A\x1bOB\x1b[5~\r\x7f\x03\xc3\xa9\x1b[<0;7;3M\x1b[<0;7;3m\x1b[<65;1;9M\x1b[1;5C\x1b[H";
        let expected = [
            Press::Char('j'),
            Press::Up,
            Press::Down,
            Press::PageUp,
            Press::Enter,
            Press::Backspace,
            Press::Interrupt,
            Press::Char('é'),
            Press::Click { column: 6, row: 2 },
            Press::Wheel { row: 8, is_up: false },
            Press::Right,
            Press::Home,
        ];
        assert_eq!(all(bytes), expected);
        let mut decoder = Decoder::default();
        let bytewise: Vec<Press> = bytes.iter().flat_map(|byte| decoder.take(&[*byte])).collect();
        assert_eq!(bytewise, expected);
    }

    #[test]
    fn an_escape_alone_is_the_key() {
        let mut decoder = Decoder::default();
        assert!(decoder.take(b"\x1b").is_empty() && decoder.waits());
        assert_eq!(decoder.nothing_follows(), Some(Press::Escape));
        assert!(!decoder.waits());
        assert_eq!(all(b"\x1bq"), [Press::Escape, Press::Char('q')]);
        assert_eq!(all(b"\x1b\x1b[Aq"), [Press::Escape, Press::Up, Press::Char('q')]);
    }

    #[test]
    fn what_no_key_sends_does_no_harm() {
        let mut hostile = b"\x1b[".to_vec();
        hostile.extend([b'9'; 500]);
        hostile.extend(b"\xff\xfe\x1b[<99999;0;0M\x1b[<M\x1b[?1;2c\x00\x1bOZ");
        assert!(all(&hostile).iter().all(|press| matches!(press, Press::Char(_))));
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                assert!(all(&[ESCAPE, b'[', first, second, b'q']).len() <= 5);
            }
        }
    }
}
