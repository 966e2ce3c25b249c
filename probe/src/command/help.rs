//! `help`: the help of a command, or the page of a cause.
//!
//! Owns how a topic is found, and what is proposed for one that is not. Must not know an option, nor what a page says.

use std::io::{self, IsTerminal};

use super::{Failure, output};
use crate::{
    cli::{Cli, HelpArgs},
    render::{manual_text::manual, terminal::cut},
    report::{CauseKind, words::nearest},
    source::SetupError,
};

/// The list of all causes.
const CAUSES: &str = "causes";
/// A longer topic is cut in the message that refuses it.
const SHOWN_MAX: usize = 60;

/// `reapwatch help`.
pub fn help(args: &HelpArgs) -> Result<u8, Failure> {
    let view = output::view(io::stdout().is_terminal());
    // `never_waits`, `never-waits` and `Never waits` are one.
    let topic = args.topic.join("_").to_lowercase().replace(['-', ' '], "_");
    if let Some(text) = Cli::help_of(&topic, None) {
        return output::standard(text.as_bytes()).map(|()| 0);
    }
    let mut text = Vec::new();
    if let Some(kind) = CauseKind::ALL.into_iter().find(|kind| kind.name() == topic) {
        manual(&mut text, kind.page(), view).map_err(Failure::other)?;
    } else if topic == CAUSES {
        manual(&mut text, &list(), view).map_err(Failure::other)?;
    } else {
        return Err(unknown(&args.topic.join(" "), &topic));
    }
    output::standard(&text).map(|()| 0)
}

/// All causes, as a page.
fn list() -> String {
    let items = CauseKind::ALL.iter().map(|kind| format!("- **{}**: {}\n", kind.name(), kind.summary()));
    format!("# Causes\n\n{}\n`reapwatch help CAUSE` says more of one.\n", items.collect::<String>())
}

fn unknown(said: &str, topic: &str) -> Failure {
    let shown = cut(said, SHOWN_MAX);
    let remedy = match alike(topic) {
        Some(name) => format!("did you mean `reapwatch help {name}`?"),
        None => "`reapwatch help` lists the commands, and `reapwatch help causes` the causes".into(),
    };
    Failure::Usage(SetupError { what: format!("there is no command and no cause called '{shown}'"), remedy })
}

/// The name that is most like this one, if any is.
fn alike(topic: &str) -> Option<String> {
    let causes = CauseKind::ALL.into_iter().map(CauseKind::name);
    nearest(topic, Cli::command_names().into_iter().chain(causes).chain([CAUSES.to_owned()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_topic_gets_the_nearest_one_and_nonsense_none() {
        for (topic, expected) in [
            ("never_wait", "never_waits"),
            ("nver_waits", "never_waits"),
            ("held_by_a_tracer", "held_by_tracer"),
            ("wacth", "watch"),
            ("explian", "explain"),
            ("cause", "causes"),
        ] {
            assert_eq!(alike(topic).as_deref(), Some(expected));
        }
        assert_eq!(alike("xyzzy"), None);
    }

    #[test]
    fn the_list_names_every_cause() {
        let list = list();
        assert!(CauseKind::ALL.iter().all(|kind| list.contains(&kind.name())), "{list}");
    }
}
