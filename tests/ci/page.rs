//! The page in a real browser: no script runs, nothing is wider than the screen, and a replay makes the same page.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use super::{program, run, satisfied, support};

/// Widths of a telephone and of a desk, in pixels.
const WIDTHS: [u32; 2] = [390, 1_280];

fn chromium(home: &Path) -> Command {
    let mut chromium = Command::new("chromium");
    chromium
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-dev-shm-usage",
        ])
        .arg(format!("--user-data-dir={}", home.join("profile").display()))
        .env("HOME", home);
    chromium
}

/// What the browser makes of a page.
fn dom(home: &Path, page: &Path) -> String {
    satisfied(chromium(home).arg("--dump-dom").arg(format!("file://{}", page.display())))
}

/// Fails where the contents of a page are wider than a frame of that width, less a scroll bar. The frame holds a copy that may run the one script that measures.
#[track_caller]
fn check_fits(home: &Path, html: &str, width: u32) {
    let start = html.find("<meta http-equiv=\"Content-Security-Policy\"").expect("a policy");
    let end = start + html[start..].find('>').expect("its end") + 1;
    let script = "<script>addEventListener('load', () => { const root = document.documentElement; \
                  parent.document.title = root.scrollWidth + ' ' + root.clientWidth; })</script></body>";
    let copy = format!("{}{}", &html[..start], &html[end..]).replace("</body>", script);
    let attribute = copy.replace('&', "&amp;").replace('"', "&quot;");
    let outer = home.join(format!("outer-{width}.html"));
    let frame =
        format!("<iframe style=\"border:0;width:{width}px;height:3000px\" srcdoc=\"{attribute}\"></iframe>");
    fs::write(
        &outer,
        format!(
            "<!DOCTYPE html><meta charset=utf-8><title>not measured</title><body style=\"margin:0\">{frame}"
        ),
    )
    .expect("a file");
    let dom = satisfied(
        chromium(home)
            .args(["--window-size=1400,3000", "--virtual-time-budget=5000", "--dump-dom"])
            .arg(format!("file://{}", outer.display())),
    );
    let title = dom.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).expect("a title");
    let mut numbers = title.split(' ').map(|number| number.parse().unwrap_or_else(|_| panic!("{title}")));
    let (content, visible): (u32, u32) = (numbers.next().expect("a width"), numbers.next().expect("a width"));
    assert!(visible + 20 >= width, "the frame is {visible} wide");
    assert!(content <= visible, "{content} is wider than the screen of {visible}");
}

fn page_of(directory: &Path, command: &[&str]) -> (Output, String) {
    let (page, recording) = (directory.join("page.html"), directory.join("page.rec"));
    let options = ["--stacks", "--format", "html", "--output", page.to_str().expect("UTF-8"), "--record"];
    let output = run(&[&options[..], &[recording.to_str().expect("UTF-8")]].concat(), command);
    assert!(output.status.success(), "{output:?}");
    (output, fs::read_to_string(page).expect("a page"))
}

#[test]
fn the_page_says_what_the_report_says_on_every_screen() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let (_, html) = page_of(path, &["python3", &program("agent_tools.py"), "12"]);
    let dom = dom(path, &path.join("page.html"));
    for said in [
        "left 12 dead children it never reaped",
        "never reaps",
        "waits only for specific children",
        "start_shell",
        "agent_tools.py",
        "Timeline",
        "From zombie to reap",
        "Where children were forked",
        "page.rec",
    ] {
        assert!(dom.contains(said), "{said}");
    }
    assert!(dom.contains("<polyline") && dom.contains("class=\"flame\"") && dom.contains("class=\"lane\""));
    for width in WIDTHS {
        check_fits(path, &html, width);
        let picture = path.join(format!("{width}.png"));
        satisfied(
            chromium(path)
                .arg(format!("--window-size={width},2000"))
                .arg(format!("--screenshot={}", picture.display()))
                .arg(format!("file://{}", path.join("page.html").display())),
        );
        assert!(fs::metadata(picture).expect("a picture").len() > 10_000);
    }
    let printed = path.join("page.pdf");
    satisfied(
        chromium(path)
            .arg(format!("--print-to-pdf={}", printed.display()))
            .arg(format!("file://{}", path.join("page.html").display())),
    );
    assert!(fs::read(printed).expect("a document").starts_with(b"%PDF"));
}

#[test]
fn a_replay_makes_the_same_page() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let (_, html) = page_of(path, &["python3", &program("agent_tools.py"), "3"]);
    let output = support::reapwatch()
        .args(["replay", "--format", "html"])
        .arg(path.join("page.rec"))
        .output()
        .expect("replay");
    // All but what it is called: the command, or the recording.
    let told = |html: &str| html.split("<h1").nth(1).map(str::to_owned).expect("a headline");
    assert_eq!(told(&html), told(&String::from_utf8(output.stdout).expect("UTF-8")));
}

#[test]
fn no_name_of_a_process_becomes_part_of_the_page() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    // A slash cannot be in a name.
    let evil =
        path.join("<script>document.title='owned'<\\script><img src=x onerror=document.title='owned'>");
    fs::copy(support::workload(), &evil).expect("a copy");
    let argument = "</title></style><script>document.title='owned'</script><table width=9999>";
    let script = format!("\"$1\" leak-all --hold-ms {}; exit 0", support::HOLD_MS);
    let command = ["sh", "-c", &script, argument, evil.to_str().expect("UTF-8")];
    let hostile_page = |command: &[&str]| {
        let page = path.join("page.html");
        let options = ["--stacks", "--format", "html", "--output", page.to_str().expect("UTF-8")];
        run(&options, command);
        fs::read_to_string(page).expect("a page")
    };
    let html = hostile_page(&command);
    let dom = dom(path, &path.join("page.html"));
    assert!(dom.contains("<title>reapwatch: ") && !dom.contains("<title>owned"), "{dom}");
    for element in ["<script", "<img", "<table"] {
        assert!(!dom.contains(element), "{element} in {dom}");
    }
    assert!(html.contains("&lt;script&gt;document.title=&#39;owned&#39;"));
    for width in WIDTHS {
        check_fits(path, &html, width);
    }
}

#[test]
fn a_page_of_every_committed_recording_fits_the_screen_of_a_telephone() {
    let directory = tempfile::tempdir().expect("a directory");
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/recording");
    let mut seen = 0;
    for entry in fs::read_dir(recordings).expect("the corpus").flatten() {
        let output = support::reapwatch()
            .args(["replay", "--format", "html"])
            .arg(entry.path())
            .output()
            .expect("replay");
        if !output.status.success() {
            continue;
        }
        let html = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(html.ends_with("</body></html>\n") && html.len() < 4 << 20, "{:?}", entry.path());
        seen += 1;
        // One in eight in the browser: it takes a second each.
        if seen % 8 == 1 {
            check_fits(directory.path(), &html, 390);
        }
    }
    assert!(seen > 8, "{seen} recordings");
}
