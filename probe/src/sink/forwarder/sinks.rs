//! Forwarders as sinks: of alerts, which queue up, and of profiles, of which only the last one counts.
//!
//! Must not know how anything is delivered.

use std::{sync::Arc, time::Duration};

use super::{
    super::{Closing, Delivery, Sink, SinkStatus, Wants},
    Forwarder,
};
use crate::report::{alert::Alert, profile::Profile};

impl Forwarder<Arc<Alert>> {
    pub fn offer_alert(&mut self, alert: &Arc<Alert>) {
        self.offer(Arc::clone(alert), alert.memory_bytes());
    }
}

impl Forwarder<Arc<Profile>> {
    pub fn offer_profile(&mut self, profile: &Arc<Profile>) {
        self.offer_in_place_of_all(Arc::clone(profile));
    }
}

/// A sink of profiles, of which only the last one counts, is its forwarder.
impl Sink for Forwarder<Arc<Profile>> {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants(&self) -> Wants {
        Wants { profiles: true, ..Wants::default() }
    }

    fn offer(&mut self, what: &Delivery) {
        if let Delivery::Profile(profile) = what {
            self.offer_profile(profile);
        }
    }

    fn status(&self) -> SinkStatus {
        self.status()
    }

    fn reopen(&mut self) {
        self.reopen();
    }

    fn close(self: Box<Self>, within: Duration) -> Closing {
        Box::pin((*self).close(within))
    }
}

/// A sink of alerts and of nothing else is its forwarder.
impl Sink for Forwarder<Arc<Alert>> {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants(&self) -> Wants {
        Wants { alerts: true, ..Wants::default() }
    }

    fn offer(&mut self, what: &Delivery) {
        if let Delivery::Alert(alert) = what {
            self.offer_alert(alert);
        }
    }

    fn status(&self) -> SinkStatus {
        self.status()
    }

    fn reopen(&mut self) {
        self.reopen();
    }

    fn close(self: Box<Self>, within: Duration) -> Closing {
        Box::pin((*self).close(within))
    }
}
