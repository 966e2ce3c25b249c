//! Metrics and alerts as requests of OTLP, and what their answers say.
//!
//! Owns the attributes: of the host, a workload and a parent, by OpenTelemetry's semantic conventions where these have a name
//! for it. Counts are cumulative since the moment at which they began. Must not know how a request is sent.

mod logs;
mod metrics;
mod proto;

#[cfg(test)]
mod tests;

pub use logs::logs;
pub use metrics::metrics;

use prost::Message;

use super::label;
use crate::report::{Rfc3339, Workload, WorkloadKind, origin::Origin};
use proto::{AnyValue, ExportAnswer, KeyValue, Resource, Scope, Value};

/// The conventions that the names of attributes are from.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.38.0";
const NAME: &str = "reapwatch";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How many data points or log records were refused, and why, by the answer to a request that succeeded.
pub fn refused(answer: &[u8]) -> Result<Option<(u64, String)>, String> {
    let answer = ExportAnswer::decode(answer).map_err(|error| format!("the answer is no OTLP: {error}"))?;
    let partial = answer.partial_success.filter(|partial| partial.rejected > 0);
    Ok(partial.map(|partial| (partial.rejected.unsigned_abs(), label(&partial.error_message))))
}

fn resource(origin: &Origin) -> Resource {
    let mut attributes =
        vec![text("service.name", NAME), text("service.version", VERSION), text("os.type", "linux")];
    let known = |value: &str| (!value.is_empty()).then(|| label(value));
    let host_name = known(&origin.host_name);
    let machine_id = known(&origin.machine_id);
    // There is one agent on a host.
    let instance = machine_id.clone().or_else(|| host_name.clone());
    attributes.extend(instance.map(|id| text("service.instance.id", id)));
    attributes.extend(host_name.map(|name| text("host.name", name)));
    attributes.extend(machine_id.map(|id| text("host.id", id)));
    Resource { attributes }
}

fn scope() -> Scope {
    Scope { name: NAME.into(), version: VERSION.into() }
}

/// The workload itself, and what it is by the semantic conventions.
fn of_workload(workload: &Workload) -> Vec<KeyValue> {
    let name = label(&workload.name);
    let mut attributes = vec![
        text("reapwatch.workload.kind", workload.kind.name()),
        text("reapwatch.workload.name", name.as_str()),
    ];
    match workload.kind {
        WorkloadKind::Container if is_container_id(&workload.name) => {
            attributes.push(text("container.id", name));
        }
        WorkloadKind::Container => attributes.push(text("container.name", name)),
        WorkloadKind::Pod => attributes.push(text("k8s.pod.uid", name)),
        WorkloadKind::Unit | WorkloadKind::Session | WorkloadKind::Program | WorkloadKind::Other => {}
    }
    attributes.extend(workload.container.as_ref().map(|id| text("container.id", label(id))));
    attributes.extend(workload.runtime.map(|runtime| text("container.runtime.name", runtime)));
    attributes
}

/// Runtimes of containers give ids; those of machines give names.
fn is_container_id(name: &str) -> bool {
    name.len() >= 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(Value::Text(value.into())) }) }
}

fn whole(key: &str, value: u64) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(Value::Whole(signed(value))) }) }
}

/// OTLP has no unsigned numbers.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// In ns since the epoch; 0, which means unknown, where it lies beyond the calendar.
fn epoch_ns(time: &Rfc3339) -> u64 {
    let time: Option<jiff::Timestamp> = time.parse().ok();
    time.and_then(|time| u64::try_from(time.as_nanosecond()).ok()).unwrap_or(0)
}
