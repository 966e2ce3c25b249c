//! JSON: one compact line a value. The published schemas (`schemas/`) describe these bytes.

use std::io::{self, Write};

use serde::Serialize;

/// Writes a report, an event line or a doctor's report, and a newline.
pub fn line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}
