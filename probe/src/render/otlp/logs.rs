//! Alerts as one request of log records.
//!
//! Owns the names of their attributes, which are stable. Must not know who receives them.

use std::sync::Arc;

use prost::Message;

use super::{
    SCHEMA_URL, epoch_ns, of_workload,
    proto::{AnyValue, ExportLogs, KeyValue, LogRecord, ResourceLogs, ScopeLogs, Value},
    resource, scope, text, whole,
};
use crate::{
    render::{label, snake_case, terminal::escape},
    report::{
        alert::{Alert, AlertParent, Severity},
        origin::Origin,
    },
};

/// Longest text of a record, in bytes.
const TEXT_MAX: usize = 16 * 1024;

/// The request.
pub fn logs(alerts: &[Arc<Alert>], origin: &Origin) -> Vec<u8> {
    let log_records = alerts.iter().map(|alert| record(alert)).collect();
    let of_scope = ScopeLogs { scope: Some(scope()), log_records };
    let of_resource = ResourceLogs {
        resource: Some(resource(origin)),
        scope_logs: vec![of_scope],
        schema_url: SCHEMA_URL.into(),
    };
    ExportLogs { resource_logs: vec![of_resource] }.encode_to_vec()
}

fn record(alert: &Alert) -> LogRecord {
    // As OpenTelemetry maps those of syslog.
    let (severity_number, severity_text) = match alert.severity() {
        Severity::Warning => (13, "WARN"),
        Severity::Notice => (10, "NOTICE"),
        Severity::Informational => (9, "INFO"),
    };
    let mut body = escape(&alert.text);
    body.truncate(body.floor_char_boundary(TEXT_MAX));
    let mut attributes = vec![
        text("reapwatch.alert", alert.alert.name()),
        text("reapwatch.alert.state", alert.state.name()),
        text("reapwatch.alert.id", label(&alert.id)),
    ];
    attributes.extend(alert.lasted_ns.map(|lasted_ns| whole("reapwatch.alert.lasted_ns", lasted_ns)));
    if let Some(parent) = &alert.parent {
        attributes.extend(of_parent(parent));
    }
    let time_ns = epoch_ns(&alert.time);
    LogRecord {
        time_unix_nano: time_ns,
        observed_time_unix_nano: time_ns,
        severity_number,
        severity_text: severity_text.into(),
        body: Some(AnyValue { value: Some(Value::Text(body)) }),
        attributes,
        event_name: format!("reapwatch.{}.{}", alert.alert.name(), alert.state.name()),
    }
}

fn of_parent(parent: &AlertParent) -> Vec<KeyValue> {
    let mut attributes = parent.workload.as_ref().map(of_workload).unwrap_or_default();
    attributes.push(whole("process.pid", parent.pid.into()));
    attributes.push(text("process.creation.time", parent.start_time.as_str()));
    attributes.push(text("process.executable.name", label(&parent.comm)));
    if !parent.executable.is_empty() {
        attributes.push(text("process.executable.path", label(&parent.executable)));
    }
    attributes.push(text("reapwatch.verdict", snake_case(&parent.verdict)));
    attributes.push(whole("reapwatch.unreaped_children", parent.unreaped));
    attributes.push(whole("reapwatch.oldest_unreaped_ns", parent.oldest_unreaped_ns));
    if let Some(cause) = &parent.cause {
        attributes.push(text("reapwatch.cause", snake_case(&cause.kind)));
        attributes.push(text("reapwatch.fix", label(&cause.fix)));
    }
    attributes
}
