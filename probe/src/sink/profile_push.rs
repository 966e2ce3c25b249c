//! Profiles of forks to a server that collects them: each is posted as Grafana Pyroscope's `/ingest` takes it.
//!
//! Owns what that interface has to be told beside the profile. Must not know what a profile says.

use std::{fmt::Write, sync::Arc};

use super::{
    forwarder::{Carrier, Failed, Forwarder},
    outgoing::{Destination, HttpUrl},
    posted::judged,
};
use crate::{
    render::pprof,
    report::{origin::Origin, profile::Profile},
};

/// The service that the server shows it under.
const SERVICE: &str = "reapwatch";
const NS_PER_S: i64 = 1_000_000_000;

/// Starts the sink, within the runtime.
pub fn start(destination: Destination, origin: &Origin) -> Forwarder<Arc<Profile>> {
    // The path may hold a secret.
    let name = format!("profiles {}", destination.url().shown());
    Forwarder::start(name, Push { destination, host: origin.host_name.clone() }, true)
}

struct Push {
    destination: Destination,
    host: String,
}

impl Carrier for Push {
    type Item = Arc<Profile>;

    fn reopen(&mut self) -> Result<(), String> {
        self.destination.reopen()
    }

    async fn deliver(&mut self, items: &[Arc<Profile>]) -> Result<u64, Failed> {
        for profile in items {
            let mut body = Vec::new();
            pprof::pprof(&mut body, profile).map_err(|error| Failed::ForGood(error.to_string()))?;
            let url = told(self.destination.url(), &self.host, profile);
            let answer = self.destination.post(&url, "application/octet-stream", &[], body).await;
            judged(answer.map_err(Failed::Now)?.status)?;
        }
        Ok(0)
    }
}

/// The URL, which says whose profile it is and of which time: in seconds, so that it is never of no time at all.
fn told(url: &HttpUrl, host: &str, profile: &Profile) -> HttpUrl {
    let from_s = profile.time_ns / NS_PER_S;
    let ended_ns = profile.time_ns.saturating_add_unsigned(profile.duration_ns);
    let until_s = (ended_ns / NS_PER_S).max(from_s + 1);
    // In the name of a label's value, these end it.
    let host: String = host.chars().filter(|one| !matches!(one, ',' | '{' | '}' | '=' | '"')).collect();
    let name = if host.is_empty() { SERVICE.to_owned() } else { format!("{SERVICE}{{hostname={host}}}") };
    url.with_query(&format!(
        "name={}&from={from_s}&until={until_s}&format=pprof&spyName={SERVICE}",
        escaped(&name)
    ))
}

/// As a query has it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_says_whose_profile_it_is_and_of_which_time() {
        let url: HttpUrl = "http://h:4040/ingest".parse().expect("a URL");
        let mut profile =
            Profile { time_ns: 1_767_225_600_999_999_999, duration_ns: 60_000_000_001, ..Profile::default() };
        let query = |host: &str, profile: &Profile| {
            let path = told(&url, host, profile).path;
            path.strip_prefix("/ingest?name=").expect("it begins so").to_owned()
        };
        assert_eq!(
            query("db-1", &profile),
            "reapwatch%7Bhostname%3Ddb-1%7D&from=1767225600&until=1767225661&format=pprof&spyName=reapwatch"
        );
        profile.duration_ns = 0;
        assert!(query("", &profile).starts_with("reapwatch&from=1767225600&until=1767225601&"));
        assert!(query("a,b={}\"&x\n", &profile).starts_with("reapwatch%7Bhostname%3Dab%26x%0A%7D&from="));
        let tenant: HttpUrl = "https://h/ingest?tenant=a".parse().expect("a URL");
        assert!(told(&tenant, "", &profile).path.starts_with("/ingest?tenant=a&name=reapwatch&from="));
    }
}
