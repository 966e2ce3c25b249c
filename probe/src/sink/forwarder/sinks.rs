//! Forwarders as sinks: of alerts, which queue up, and of profiles and origins of orphans, of which only the last one counts.
//!
//! Must not know how anything is delivered.

use std::{sync::Arc, time::Duration};

use super::{
    super::{Closing, Delivery, Sink, SinkStatus, Wants},
    Forwarder,
};
use crate::report::{alert::Alert, orphans::OrphanHistory, profile::Profile};

/// What a sink may take alone, and nothing else.
trait Kind {
    fn wants() -> Wants;

    /// Of a delivery, if it is one.
    fn of(what: &Delivery) -> Option<&Arc<Self>>;

    /// Hands it to the forwarder. Of most kinds only the last one counts.
    fn offer(forwarder: &mut Forwarder<Arc<Self>>, what: &Arc<Self>)
    where
        Self: Send + Sync + 'static,
    {
        forwarder.offer_in_place_of_all(Arc::clone(what));
    }
}

impl Kind for Alert {
    fn wants() -> Wants {
        Wants { alerts: true, ..Wants::default() }
    }

    fn of(what: &Delivery) -> Option<&Arc<Self>> {
        if let Delivery::Alert(alert) = what { Some(alert) } else { None }
    }

    fn offer(forwarder: &mut Forwarder<Arc<Self>>, alert: &Arc<Self>) {
        forwarder.offer_alert(alert);
    }
}

impl Kind for Profile {
    fn wants() -> Wants {
        Wants { profiles: true, ..Wants::default() }
    }

    fn of(what: &Delivery) -> Option<&Arc<Self>> {
        if let Delivery::Profile(profile) = what { Some(profile) } else { None }
    }
}

impl Kind for OrphanHistory {
    fn wants() -> Wants {
        Wants { orphans: true, ..Wants::default() }
    }

    fn of(what: &Delivery) -> Option<&Arc<Self>> {
        if let Delivery::Orphans(history) = what { Some(history) } else { None }
    }
}

impl Forwarder<Arc<Alert>> {
    pub fn offer_alert(&mut self, alert: &Arc<Alert>) {
        self.offer(Arc::clone(alert), alert.memory_bytes());
    }
}

/// A sink of one kind is its forwarder.
impl<T: Kind + Send + Sync + 'static> Sink for Forwarder<Arc<T>> {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants(&self) -> Wants {
        T::wants()
    }

    fn offer(&mut self, what: &Delivery) {
        if let Some(what) = T::of(what) {
            T::offer(self, what);
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
