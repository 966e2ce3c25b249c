//! Arguments of `agent`.
//!
//! Must not know what the command does with them, or the rest of its configuration.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueHint};

use super::value::{LinesTo, Listen, duration, interval};

pub const EXAMPLES: &str = "\
Examples:
  sudo reapwatch agent                         metrics on http://127.0.0.1:9779/metrics, alerts on standard output
  sudo reapwatch agent --config /etc/reapwatch/agent.toml
  reapwatch agent --config agent.toml --check-config
  reapwatch agent --print-config               the configuration that would be used

An option given here comes before its environment variable, and that before the configuration file. Every key of
the file is described in docs/agent.md.";

#[derive(Clone, Debug, Default, Args)]
pub struct AgentArgs {
    /// Configuration file (TOML) [default: none; every key has a default]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, hide_env_values = true, env = "REAPWATCH_CONFIG")]
    pub config: Option<PathBuf>,

    /// Check the configuration, say what is wrong with it, and exit
    #[arg(long, conflicts_with = "print_config")]
    pub check_config: bool,

    /// Print the configuration that would be used, defaults included, as TOML, and exit
    #[arg(long)]
    pub print_config: bool,

    /// How often metrics and alerts are brought up to date [default: 10s]
    #[arg(long, value_name = "DUR", value_parser = interval, hide_env_values = true, env = "REAPWATCH_INTERVAL")]
    pub interval: Option<Duration>,

    /// A dead child left unreaped for longer than this counts against its parent [default: 5s]
    #[arg(long, value_name = "DUR", value_parser = duration, hide_env_values = true, env = "REAPWATCH_GRACE")]
    pub grace: Option<Duration>,

    /// Address and port of the metrics; 'none' for no metrics [default: 127.0.0.1:9779]
    ///
    /// The page has no password and no TLS unless the configuration says so (prometheus.web_config): without, it is meant for this
    /// host, or for a network where everybody may read it.
    #[arg(long, value_name = "ADDRESS:PORT", hide_env_values = true, env = "REAPWATCH_LISTEN")]
    pub listen: Option<Listen>,

    /// File for alerts as JSON lines, - for standard output; 'none' for no alerts [default: -]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, hide_env_values = true, env = "REAPWATCH_ALERTS")]
    pub alerts: Option<LinesTo>,
}
