//! How values are read from TOML and written to it: by the same rules as on the command line.
//!
//! Must not know which key has which.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// Text that something is made of.
struct Text<T, F> {
    expected: &'static str,
    parse: F,
    made: PhantomData<T>,
}

impl<T, F: FnOnce(&str) -> Result<T, String>> Visitor<'_> for Text<T, F> {
    type Value = T;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(|why| E::custom(format!("{text:?} is {why}")))
    }
}

fn text<'de, D: Deserializer<'de>, T>(
    from: D,
    expected: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    from.deserialize_str(Text { expected, parse, made: PhantomData })
}

/// A whole number from `LEAST` to `MOST`.
pub fn within<'de, D: Deserializer<'de>, const LEAST: u64, const MOST: u64>(
    from: D,
) -> Result<u64, D::Error> {
    let number = i64::deserialize(from)?;
    u64::try_from(number).ok().filter(|number| (LEAST..=MOST).contains(number)).ok_or_else(|| {
        D::Error::custom(format!("{number} is not possible: it must be from {LEAST} to {MOST}"))
    })
}

/// A list of at most `MOST`.
pub fn at_most<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MOST: usize>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    let all = Vec::deserialize(from)?;
    if all.len() > MOST {
        return Err(D::Error::custom(format!("there are {}: at most {MOST} are allowed", all.len())));
    }
    Ok(all)
}

/// Something, or the word `none`.
fn optional<T: std::str::FromStr<Err = String>>(text: &str) -> Result<Option<T>, String> {
    if text == "none" { Ok(None) } else { text.parse().map(Some) }
}

fn or_none<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "none".to_owned(), T::to_string)
}

fn absolute(text: &str) -> Result<std::path::PathBuf, String> {
    if text.starts_with('/') && !text.contains('\0') {
        Ok(text.into())
    } else {
        Err("not a path from / on".to_owned())
    }
}

/// Makes a module for `#[serde(with)]`, of a type that is read from text and written as text.
macro_rules! as_text {
    ($name:ident, $type:ty, $expected:literal, $parse:expr, $write:expr) => {
        pub mod $name {
            use serde::{Deserializer, Serializer};

            pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                super::text(from, $expected, $parse)
            }

            pub fn serialize<S: Serializer>(value: &$type, to: S) -> Result<S::Ok, S::Error> {
                let write: fn(&$type) -> String = $write;
                to.serialize_str(&write(value))
            }
        }
    };
}

as_text!(
    duration,
    std::time::Duration,
    "a duration in quotes, such as \"250ms\", \"5s\", \"2m\" or \"1h30m\"",
    crate::cli::duration,
    |value| humantime::format_duration(*value).to_string().replace(' ', "")
);
as_text!(
    interval,
    std::time::Duration,
    "a duration in quotes from \"1s\" to \"1h\"",
    crate::cli::interval,
    |value| humantime::format_duration(*value).to_string().replace(' ', "")
);
as_text!(
    listen,
    crate::cli::Listen,
    "an address and port in quotes, such as \"127.0.0.1:9779\", or \"none\"",
    str::parse,
    ToString::to_string
);
as_text!(
    lines_to,
    crate::cli::LinesTo,
    "the name of a file in quotes, \"-\" for standard output, or \"none\"",
    str::parse,
    ToString::to_string
);
as_text!(
    syslog,
    Option<crate::sink::syslog::Receiver>,
    "a receiver in quotes, such as \"udp://127.0.0.1:514\", \"tcp://log.example.com:601\", \"unix:/dev/log\" or \"none\"",
    super::optional,
    super::or_none
);
as_text!(
    url,
    Option<crate::sink::outgoing::HttpUrl>,
    "a URL in quotes, such as \"http://127.0.0.1:4318\", or \"none\"",
    super::optional,
    super::or_none
);
as_text!(
    compression,
    crate::sink::otlp::Compression,
    "\"none\" or \"gzip\"",
    str::parse,
    ToString::to_string
);
as_text!(transport, crate::sink::otlp::Transport, "\"http\" or \"grpc\"", str::parse, ToString::to_string);
as_text!(path, std::path::PathBuf, "a path in quotes, from / on", super::absolute, |path| path
    .display()
    .to_string());
as_text!(
    optional_path,
    Option<std::path::PathBuf>,
    "a path in quotes, from / on, or \"none\"",
    |text| if text == "none" { Ok(None) } else { super::absolute(text).map(Some) },
    |path| path.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string())
);
as_text!(
    time_limit,
    std::time::Duration,
    "a duration in quotes from \"100ms\" to \"10m\"",
    |text| {
        let limit = crate::cli::duration(text)?;
        let possible = std::time::Duration::from_millis(100)..=std::time::Duration::from_secs(600);
        if possible.contains(&limit) {
            Ok(limit)
        } else {
            Err("not possible: it must be from 100ms to 10m".to_owned())
        }
    },
    |value| humantime::format_duration(*value).to_string().replace(' ', "")
);
as_text!(
    pattern,
    Option<crate::analysis::Pattern>,
    "a name in quotes, in which * stands for any text",
    |text| crate::analysis::Pattern::new(text).map(Some).map_err(|why| format!("not a name: it {why}")),
    |value| value.as_ref().map(ToString::to_string).unwrap_or_default()
);
as_text!(
    time,
    Option<jiff::Timestamp>,
    "a time in quotes, such as \"2026-12-31T23:59:59Z\"",
    |text| {
        let wrong = "not a time: write it as 2026-12-31T23:59:59Z, or with an offset such as +01:00";
        text.parse().map(Some).map_err(|_| wrong.to_owned())
    },
    |value| value.as_ref().map(ToString::to_string).unwrap_or_default()
);

/// Headers of requests. They are written without their values, which are secrets.
pub mod headers {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::sink::outgoing::Headers;

    /// What stands in the place of a value.
    const SECRET: &str = "(not shown)";

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Headers, D::Error> {
        let mut headers = Headers::default();
        for (name, value) in BTreeMap::<String, String>::deserialize(from)? {
            headers.add(&name, &value).map_err(D::Error::custom)?;
        }
        Ok(headers)
    }

    pub fn serialize<S: Serializer>(headers: &Headers, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(headers.names().map(|name| (name, SECRET)))
    }
}
