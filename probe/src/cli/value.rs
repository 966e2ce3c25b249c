//! Values that several commands take, and how they are read from text.
//!
//! Must not know which command takes which.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, ValueEnum};

/// Format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    Text,
    /// JSON for programs: a report is one object, events are one object per line (see schemas/)
    Json,
}

/// Format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Text for people
    Text,
    /// JSON for programs: one object (see schemas/)
    Json,
    /// A page for a browser, which can be sent: it needs no network and no script
    Html,
}

/// How much of command lines a report has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CommandLinesOf {
    /// All of them
    Full,
    /// All but what looks like a password, a token or another secret
    Redacted,
    /// None: only the names of programs
    Name,
}

/// What of command lines is told.
#[derive(Clone, Copy, Debug, Args)]
pub struct CommandLines {
    /// How much of command lines the output has
    ///
    /// 'redacted' leaves out what looks like a secret, by rules (docs/privacy.md); no rule finds every secret. A recording always
    /// has command lines in full.
    #[arg(long = "command-lines", value_enum, value_name = "HOW", default_value_t = CommandLinesOf::Full)]
    pub command_lines: CommandLinesOf,
}

/// When a zombie counts against its parent.
#[derive(Clone, Copy, Debug, Args)]
pub struct Grace {
    /// A dead child left unreaped for longer than this counts against its parent
    #[arg(long, value_name = "DUR", value_parser = duration, default_value = "5s")]
    pub grace: Duration,
}

/// Where something is listened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    Nowhere,
    At(SocketAddr),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::Nowhere);
        }
        text.parse().map(Self::At).map_err(|_| {
            "not an address and port: write for instance 127.0.0.1:9779 or [::1]:9779, or none".to_owned()
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => to.write_str("none"),
            Self::At(address) => address.fmt(to),
        }
    }
}

/// Where lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinesTo {
    Nowhere,
    StandardOutput,
    File(PathBuf),
}

impl FromStr for LinesTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("empty: write the name of a file, - for standard output, or none".to_owned()),
            "none" => Ok(Self::Nowhere),
            "-" => Ok(Self::StandardOutput),
            path => Ok(Self::File(path.into())),
        }
    }
}

impl fmt::Display for LinesTo {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => to.write_str("none"),
            Self::StandardOutput => to.write_str("-"),
            Self::File(path) => path.display().fmt(to),
        }
    }
}

/// How often the agent looks: the counters are read once a second.
pub fn interval(text: &str) -> Result<Duration, String> {
    let parsed = duration(text)?;
    let is_possible = (Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&parsed);
    if is_possible { Ok(parsed) } else { Err("not possible: it must be from 1s to 1h".to_owned()) }
}

/// A duration with its unit, such as `250ms`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).map_err(|_| {
        "not a duration: write a number with its unit, such as 250ms, 5s, 2m or 1h30m".to_owned()
    })?;
    // Times are ns in u64 everywhere. Half of the range leaves room to add a duration to any clock reading.
    if parsed.as_nanos() > i64::MAX as u128 {
        return Err("too long: the maximum is 292 years".to_owned());
    }
    Ok(parsed)
}

/// A duration as it is reckoned with everywhere, in ns.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A duration that is not zero.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be longer than zero".to_owned()),
        parsed => Ok(parsed),
    }
}

/// The number of a process.
pub fn process_id(text: &str) -> Result<u32, String> {
    let number = text.parse::<u32>().ok().filter(|number| (1..=i32::MAX as u32).contains(number));
    number.ok_or_else(|| format!("{text} is no process ID: write a number, as `ps -e` lists them"))
}

/// A size in bytes that a ring buffer can have: a power of two, with or without suffix K or M.
pub fn ring_size(text: &str) -> Result<u32, String> {
    const HINT: &str = "write a power of two from 4K to 1024M, such as 512K, 8M or 65536";
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        _ => (text, 0),
    };
    let number = Some(digits)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse::<u64>().ok())
        .ok_or_else(|| format!("not a size: {HINT}"))?;
    let bytes = number.saturating_mul(1 << shift);
    match u32::try_from(bytes) {
        Ok(bytes) if bytes.is_power_of_two() && (4 << 10..=1 << 30).contains(&bytes) => Ok(bytes),
        _ => Err(format!("not a possible size: {HINT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["", "5", "-5s", "5 parsecs"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn process_ids() {
        assert_eq!((process_id("1"), process_id("2147483647")), (Ok(1), Ok(2_147_483_647)));
        for bad in ["", "abc", "0", "-1", "1.5", "2147483648", "99999999999999999999"] {
            assert!(process_id(bad).is_err_and(|why| why.contains("is no process ID")), "{bad}");
        }
    }

    #[test]
    fn ring_sizes() {
        assert_eq!(ring_size("4096"), Ok(4096));
        assert_eq!(ring_size("512k"), Ok(512 << 10));
        assert_eq!(ring_size("1024M"), Ok(1 << 30));
        for bad in ["", "K", "+4K", "2K", "2048M", "18446744073709551615M", "8MiB", "8µ", "5000"] {
            assert!(ring_size(bad).is_err(), "{bad}");
        }
    }
}
