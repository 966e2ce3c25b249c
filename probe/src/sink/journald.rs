//! Alerts to the journal, each with its fields, in the journal's native protocol.
//!
//! Must not know what the fields say.

use std::{path::PathBuf, sync::Arc};

use tokio::net::UnixDatagram;

use super::forwarder::{Carrier, Failed, Forwarder};
use crate::{render::journal_fields, report::alert::Alert};

/// Starts the sink, within the runtime.
pub fn start(socket: PathBuf) -> Forwarder<Arc<Alert>> {
    Forwarder::start(format!("journald {}", socket.display()), Journald { socket }, false)
}

struct Journald {
    socket: PathBuf,
}

impl Carrier for Journald {
    type Item = Arc<Alert>;

    /// An entry is small enough for one datagram, so no memfd is needed.
    async fn deliver(&mut self, items: &[Arc<Alert>]) -> Result<u64, Failed> {
        let cannot =
            |error: std::io::Error| Failed::Now(format!("cannot send to {}: {error}", self.socket.display()));
        let socket = UnixDatagram::unbound().map_err(cannot)?;
        // journald may have been started anew, with another socket of this name.
        socket.connect(&self.socket).map_err(cannot)?;
        for alert in items {
            socket.send(&journal_fields::entry(alert)).await.map_err(cannot)?;
        }
        Ok(0)
    }
}
