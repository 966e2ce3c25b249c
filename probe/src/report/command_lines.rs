//! How much of command lines is told.
//!
//! Owns which fields hold command lines. Must not know where a report goes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{EventLine, Report, explain::Explanation, page::Page, secrets};

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandLines {
    /// All of it.
    #[default]
    Full,
    /// All but what looks like a secret.
    Redacted,
    /// None of it: the short name and the path of the program have to do.
    Name,
}

impl CommandLines {
    /// What of these arguments is told.
    pub fn told(self, arguments: &mut Vec<String>) {
        match self {
            Self::Full => {}
            Self::Redacted => *arguments = secrets::redacted(arguments),
            Self::Name => arguments.clear(),
        }
    }

    /// What of a command is told, as one text. The program's name always is.
    pub fn of_command(self, mut arguments: Vec<String>) -> String {
        let program = arguments.first().cloned().unwrap_or_default();
        self.told(&mut arguments);
        if arguments.is_empty() { program } else { arguments.join(" ") }
    }

    /// A page for a browser of which no more is told.
    pub fn of_page(self, mut page: Page) -> Page {
        page.report = self.of_report(page.report);
        page.tree.iter_mut().for_each(|node| self.told(&mut node.command_line));
        page
    }

    /// A report of which no more is told.
    pub fn of_report(self, mut report: Report) -> Report {
        (report.parents.iter_mut().map(|parent| &mut parent.command_line))
            .chain(report.left_running.iter_mut().map(|left| &mut left.command_line))
            .chain(report.look_dead.iter_mut().map(|dead| &mut dead.command_line))
            .for_each(|arguments| self.told(arguments));
        report
    }

    /// A page of which no more is told.
    pub fn of_explanation(self, mut page: Explanation) -> Explanation {
        self.told(&mut page.parent.command_line);
        page.unreaped.iter_mut().for_each(|child| self.told(&mut child.command_line));
        page
    }

    /// An event of which no more is told.
    pub fn of_event(self, mut event: EventLine<'_>) -> EventLine<'_> {
        if self == Self::Full {
            return event;
        }
        let of_life = event.life.as_mut().and_then(|life| life.command_line.as_mut());
        for arguments in event.command_line.as_mut().into_iter().chain(of_life) {
            let mut told = arguments.iter().map(|one| one.clone().into_owned()).collect();
            self.told(&mut told);
            *arguments = told.into_iter().map(Cow::Owned).collect();
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        EventKind, Named, Rfc3339, Verdict,
        page::{Fate, Node, Timeline},
        profile::Profile,
        sample,
    };

    #[test]
    fn a_page_and_a_command_tell_no_more_than_their_report() {
        let secret = || vec!["app".to_owned(), "--token=S3".to_owned()];
        let mut parent = sample::parent("app", Verdict::Leaking);
        parent.command_line = secret();
        let node = Node {
            depth: 0,
            pid: 1,
            comm: "app".into(),
            command_line: secret(),
            fate: Fate::Zombie,
            judged: None,
            more: 0,
        };
        let page = Page {
            report: sample::sample(vec![parent]),
            subject: String::new(),
            recording: None,
            timeline: Timeline::default(),
            reap_latency: Vec::new(),
            teardown: Vec::new(),
            tree: vec![node],
            not_in_tree: 0,
            profile: Profile::default(),
        };
        for (mode, secrets, command) in [
            (CommandLines::Full, 2, "app --token=S3"),
            (CommandLines::Redacted, 0, "app --token=[redacted]"),
            (CommandLines::Name, 0, "app"),
        ] {
            let told = format!("{:?}", mode.of_page(page.clone()));
            assert_eq!(told.matches("=S3").count(), secrets, "{mode:?}: {told}");
            assert_eq!(mode.of_command(secret()), command);
        }
    }

    #[test]
    fn no_field_of_a_report_or_an_event_is_forgotten() {
        let secret = || vec!["app".to_owned(), "--token=S3".to_owned()];
        let mut parent = sample::parent("app", Verdict::Leaking);
        parent.command_line = secret();
        let mut report = sample::sample(vec![parent]);
        let named = || Named { pid: 1, ns_pid: None, comm: "a".into() };
        report.left_running =
            vec![crate::report::LeftRunning { command_line: secret(), ..sample::left_running("app") }];
        report.look_dead = vec![crate::report::LookingDead {
            kind: crate::report::LookingDeadKind::DeadLeader,
            pid: 1,
            ns_pid: None,
            comm: "app".into(),
            command_line: secret(),
            parent: named(),
            since_ns: 1,
            at_least: false,
        }];
        let mut event = EventLine::blank(EventKind::Exec, Rfc3339::new());
        let arguments: Vec<_> = secret().into_iter().map(Cow::Owned).collect();
        event.command_line = Some(arguments.clone());
        event.life =
            Some(crate::report::Life { command_line: Some(arguments), ..crate::report::sample::life() });
        for (mode, secrets, names) in
            [(CommandLines::Full, 5, 5), (CommandLines::Redacted, 0, 5), (CommandLines::Name, 0, 0)]
        {
            let report = serde_json::to_string(&mode.of_report(report.clone())).expect("JSON");
            let event = serde_json::to_string(&mode.of_event(event.clone())).expect("JSON");
            let all = report + &event;
            assert_eq!(all.matches("=S3").count(), secrets, "{mode:?}: {all}");
            assert_eq!(all.matches("[\"app\",\"--token=").count(), names, "{mode:?}: {all}");
        }
    }
}
