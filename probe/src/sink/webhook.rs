//! Alerts to a webhook: each is posted as JSON.
//!
//! Must not know what an alert says.

use std::sync::Arc;

use super::{
    forwarder::{Carrier, Failed, Forwarder},
    outgoing::Destination,
    posted::judged,
};
use crate::{render, report::alert::Alert};

/// Starts the sink, within the runtime.
pub fn start(destination: Destination) -> Forwarder<Arc<Alert>> {
    // The path may hold a secret.
    Forwarder::start(format!("webhook {}", destination.url().shown()), Webhook(destination), false)
}

struct Webhook(Destination);

impl Carrier for Webhook {
    type Item = Arc<Alert>;

    fn reopen(&mut self) -> Result<(), String> {
        self.0.reopen()
    }

    async fn deliver(&mut self, items: &[Arc<Alert>]) -> Result<u64, Failed> {
        for alert in items {
            let mut body = Vec::new();
            render::json::line(&mut body, alert.as_ref())
                .map_err(|error| Failed::ForGood(error.to_string()))?;
            let answer = self.0.post(self.0.url(), "application/json", &[], body).await;
            judged(answer.map_err(Failed::Now)?.status)?;
        }
        Ok(0)
    }
}
