//! A page from hostile names stays one page, whole and of bounded size.

use super::*;
use crate::report::{
    Check, CheckFailure, Ended, LookingDead, LookingDeadKind, Named, SiteFrame, Suppression,
    page::{Bar, Fate, Lane, Node, Step, Timeline},
    pids::{PidLimit, PidPressure, PidScope, ZombieHolder},
    profile::{Profile, Stack},
    sample::{fork_site, left_running, parent, sample},
};

const EVIL: &str =
    "</title></style><script>alert(1)</script><img src=x onerror=alert(2)>\"'\u{202e}\u{0}\n&amp;";

/// A page in which every text that comes from outside is hostile.
fn hostile() -> Page {
    let mut worst = parent(EVIL, Verdict::NeverReaps);
    worst.command_line = vec![EVIL.into(), "x".repeat(5_000)];
    worst.unit = Some(EVIL.into());
    worst.suppressed_by = Some(EVIL.into());
    let frame = SiteFrame {
        function: Some(EVIL.into()),
        file: Some(EVIL.into()),
        line: Some(1),
        ..SiteFrame::default()
    };
    worst.fork_site = Some(fork_site(vec![frame.clone(); 128]));
    let mut report = sample(vec![worst; 4_096]);
    report.headline = EVIL.into();
    report.hooks.reap = EVIL.into();
    report.not_covered = vec![EVIL.into()];
    report.complete = false;
    report.lost.damaged = 3;
    report.left_running = vec![left_running(EVIL); 5_000];
    report.left_running[0].ended = Some(Ended::Survived);
    report.look_dead = vec![
        LookingDead {
            kind: LookingDeadKind::DeadLeader,
            pid: 1,
            ns_pid: None,
            comm: EVIL.into(),
            command_line: vec![EVIL.into()],
            parent: Named { pid: 1, ns_pid: None, comm: EVIL.into() },
            since_ns: u64::MAX,
            at_least: false,
        };
        64
    ];
    let limit = PidLimit {
        scope: PidScope::Cgroup,
        name: EVIL.into(),
        used: 990,
        limit: 1_000,
        zombies: Some(u64::MAX),
        most_zombies: Some(ZombieHolder {
            parent: Named { pid: 1, ns_pid: None, comm: EVIL.into() },
            zombies: u64::MAX,
        }),
        refused: Some(u64::MAX),
        growth: None,
        has_too_few_readings: false,
        exhausted_in: None,
    };
    report.pids = Some(PidPressure { limits: vec![limit; 16], more: 0, left_out: 0 });
    report.suppressions =
        vec![Suppression { name: EVIL.into(), parents: 1, children: 1, left_running: 0 }; 1_024];
    report.check = Some(Check { failed: true, failures: vec![CheckFailure::Leak], exit_code: 9 });
    let node = Node {
        depth: usize::MAX,
        pid: 1,
        comm: EVIL.into(),
        command_line: vec![EVIL.into()],
        fate: Fate::Zombie,
        judged: Some((Verdict::Leaking, Default::default())),
        more: 1,
    };
    let lane = Lane {
        name: EVIL.into(),
        verdict: Verdict::Leaking,
        from_ns: 0,
        to_ns: u64::MAX,
        waits: vec![(0, u64::MAX); 100],
        more: 7,
    };
    let stack = |place: usize| Stack {
        parent: format!("{EVIL}{place}"),
        frames: vec![frame.clone(); 128],
        values: [1, 0, 0, 1],
        ..Stack::default()
    };
    Page {
        report,
        subject: EVIL.into(),
        recording: Some(EVIL.into()),
        timeline: Timeline {
            step_ns: u64::MAX,
            steps: vec![Step { forked: 1, died: u64::MAX, reaped: 1, zombies: u64::MAX }; 240],
            lanes: vec![lane; 16],
        },
        reap_latency: (0..64).map(|power| Bar { from_ns: 1 << power, count: u64::MAX }).collect(),
        teardown: Vec::new(),
        tree: vec![node; 400],
        not_in_tree: 5,
        profile: Profile { stacks: (0..10_000).map(stack).collect(), ..Profile::default() },
    }
}

fn render(page: &Page) -> String {
    let mut out = Vec::new();
    super::page(&mut out, page).expect("a Vec takes everything");
    String::from_utf8(out).expect("UTF-8")
}

/// The names of all elements that begin in the text; a `<` that begins none is none.
fn elements(html: &str) -> std::collections::BTreeSet<&str> {
    html.split('<')
        .skip(1)
        .map(|rest| {
            rest.split(|one: char| !one.is_ascii_alphanumeric() && one != '/' && one != '!')
                .next()
                .unwrap_or("")
        })
        .collect()
}

#[test]
fn no_name_becomes_an_element_and_nothing_is_loaded_or_run() {
    let html = render(&hostile());
    let found = elements(&html);
    for element in ["script", "img", "/script", "iframe", "object", "link", "form", "a"] {
        assert!(!found.contains(element), "<{element}>");
    }
    assert_eq!(html.matches("<title>").count(), 1);
    assert_eq!(html.matches("</title>").count(), 1);
    assert_eq!(html.matches("</style>").count(), 1);
    assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("url("));
    assert!(html.contains("Content-Security-Policy") && html.contains("default-src 'none'"));
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_eq!(html.matches("of pids.max of the cgroup &lt;/title&gt;").count(), 16, "limits are shown");
    assert!(!html.chars().any(|one| one == '\0' || one == '\u{202e}'));
}

#[test]
fn every_element_that_begins_ends() {
    let html = render(&hostile());
    for element in [
        "div", "section", "ul", "li", "p", "span", "small", "dl", "dt", "dd", "header", "footer", "body",
        "html", "svg", "g", "h1", "h2", "h3", "strong", "code", "i", "b",
    ] {
        let begun =
            html.matches(&format!("<{element}>")).count() + html.matches(&format!("<{element} ")).count();
        let ended = html.matches(&format!("</{element}>")).count();
        assert_eq!(begun, ended, "<{element}>");
    }
}

#[test]
fn a_page_can_be_sent_however_much_there_is_to_tell() {
    let html = render(&hostile());
    assert!(html.len() < 4 << 20, "{} bytes", html.len());
    assert!(!html.contains("NaN") && !html.contains("inf%"), "a number that is none");
}

#[test]
fn a_healthy_page_says_so() {
    let page = Page {
        report: sample(vec![parent("sh", Verdict::Healthy)]),
        subject: "true".into(),
        recording: None,
        timeline: Timeline::default(),
        reap_latency: Vec::new(),
        teardown: Vec::new(),
        tree: Vec::new(),
        not_in_tree: 2,
        profile: Profile::default(),
    };
    let html = render(&page);
    assert!(html.contains("No parent left a dead child longer than the grace."), "{html}");
    assert!(html.contains("No fork site is known") && !html.contains("recording <code>"), "{html}");
}
