//! CPython's tables of lines: from an instruction of a code object to its line. Three forms, by version.
//!
//! A table may be cut or nonsense: then the line is that of the function. Must not read memory.

/// 3.9: pairs of how many bytes of code and how many lines. `last`: the byte.
pub fn of_3_9(table: &[u8], first: u32, last: u32) -> u32 {
    let (mut line, mut at) = (first, 0u32);
    for [bytes, lines] in table.as_chunks::<2>().0 {
        at = at.saturating_add(u32::from(*bytes));
        if at > last {
            break;
        }
        line = line.saturating_add_signed(i32::from(*lines as i8));
    }
    line
}

/// 3.10: the same pairs, where the lines are of the bytes before their end. `last`: the instruction, of two bytes.
pub fn of_3_10(table: &[u8], first: u32, last: u32) -> u32 {
    const NO_LINE: i8 = -128;
    let (mut line, mut end) = (first, 0u32);
    let last = last.saturating_mul(2);
    for [bytes, lines] in table.as_chunks::<2>().0 {
        end = end.saturating_add(u32::from(*bytes));
        if *lines as i8 != NO_LINE {
            line = line.saturating_add_signed(i32::from(*lines as i8));
        }
        if last < end {
            return line;
        }
    }
    first
}

/// From 3.11 on (Objects/locations.md): entries of a kind, a length in instructions, and numbers of a varying length.
/// `unit`: the instruction.
pub fn of_3_11(table: &[u8], first: u32, unit: u64) -> u32 {
    let mut rest = table.iter().copied();
    let (mut line, mut at) = (first, 0u64);
    while let Some(head) = rest.next() {
        let (kind, length) = (head >> 3 & 15, u64::from(head & 7) + 1);
        let lines = match kind {
            15 => Some(0),
            14 => {
                let lines = signed(&mut rest);
                for _ in 0..3 {
                    unsigned(&mut rest);
                }
                lines
            }
            13 => signed(&mut rest),
            10..=12 => {
                rest.next();
                rest.next();
                Some(i32::from(kind) - 10)
            }
            _ => {
                rest.next();
                Some(0)
            }
        };
        let Some(lines) = lines else { break };
        line = line.saturating_add_signed(lines);
        if (at..at + length).contains(&unit) {
            return line;
        }
        at += length;
    }
    first
}

/// Six bits a byte, the lowest first; the seventh bit says that more follow.
fn unsigned(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut value = 0u32;
    for shift in (0..32).step_by(6) {
        let byte = bytes.next()?;
        value |= u32::from(byte & 63) << shift;
        if byte & 64 == 0 {
            return Some(value);
        }
    }
    None
}

/// The lowest bit is the sign.
fn signed(bytes: &mut impl Iterator<Item = u8>) -> Option<i32> {
    let value = unsigned(bytes)?;
    let magnitude = (value >> 1) as i32;
    Some(if value & 1 == 1 { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_gives_the_line_of_an_instruction() {
        // def f(): at line 5, then bytes 0..4 on line 6, 4..8 on line 9, 8.. on line 7.
        assert_eq!([0, 2, 4, 7, 8].map(|last| of_3_9(&[0, 1, 4, 3, 4, 0xfe], 5, last)), [6, 6, 9, 9, 7]);
        let of_3_10 = |last| of_3_10(&[4, 1, 2, 0x80, 4, 3], 5, last);
        assert_eq!([0, 1, 3, 4].map(of_3_10), [6, 6, 9, 9]);
        assert_eq!(of_3_10(90), 5, "beyond the table");
        // Two instructions with one more line; one without; three, two lines back, in the long form.
        let table = [0x80 | 11 << 3 | 1, 0, 9, 0x80 | 15 << 3, 0x80 | 14 << 3 | 2, 5, 0, 1, 1];
        assert_eq!([0, 1, 2, 3, 5].map(|unit| of_3_11(&table, 5, unit)), [6, 6, 6, 4, 4]);
        assert_eq!(of_3_11(&table, 5, 6), 5);
        for cut in 0..table.len() {
            of_3_11(&table[..cut], u32::MAX, 3);
        }
    }
}
