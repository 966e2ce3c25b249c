//! Healthy programs that fork: shells, build tools, language runtimes, inits and servers, each the real one. None may be
//! accused: no leak, no cause.
//!
//! What each does is in the program of `healthy/`. Must not know how reapwatch works: only its command line and JSON.

use std::ffi::OsString;

use super::{
    case::{Case, needed},
    support::run_with,
};

/// As by default: supervisord reaps once a second.
const GRACE: &str = "5s";

/// Runs a program in a directory of its own, under `run`. `exits`: how many children die at least, so that it is known to
/// have done its work.
#[track_caller]
fn nobody_is_accused(program: &str, needs: &[&str], exits: u64) {
    for need in needs {
        needed(need);
    }
    let case = Case::new(&format!("healthy/{program}"));
    let directory = tempfile::tempdir().expect("a directory");
    let mut command: Vec<OsString> =
        ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\""].iter().map(OsString::from).collect();
    command.push(directory.path().into());
    command.extend_from_slice(case.command());
    let report = run_with(GRACE, 0, &command).report;
    // A parent that ends in the moment after a child's death may have been about to reap it: that cannot be known.
    assert!(["none", "undecided"].iter().any(|known| report["finding"] == *known), "{report:#}");
    let parents = report["parents"].as_array().expect("parents");
    for parent in parents {
        let causes = parent["causes"].as_array().expect("causes");
        assert!(causes.is_empty(), "{parent:#}");
    }
    let exited = report["totals"]["exited"].as_u64().expect("a number");
    assert!(exited >= exits, "{exited} exits: it did not do its work: {report:#}");
}

macro_rules! healthy {
    ($($name:ident: $program:literal, $needs:expr, $exits:literal;)*) => {
        $(#[test]
        fn $name() {
            nobody_is_accused($program, &$needs, $exits);
        })*
    };
}

healthy! {
    a_shell: "sh_loop.sh", [], 40;
    pipelines_of_bash: "bash_pipelines.sh", [], 70;
    jobs_of_bash_that_it_waits_for: "bash_jobs_waited.sh", [], 20;
    jobs_of_bash_that_it_notices: "bash_jobs_noticed.sh", [], 20;
    process_substitutions: "process_substitution.sh", [], 30;
    find_exec: "find_exec.sh", [], 30;
    xargs: "xargs_parallel.sh", [], 60;
    make: "make_parallel.sh", ["make"], 24;
    git: "git_work.sh", ["git"], 30;
    subprocess_of_python: "python_subprocess.py", [], 42;
    process_pools_of_python: "python_pool.py", [], 10;
    asyncio_of_python: "python_asyncio.py", [], 30;
    threads_of_python_that_run_tools: "python_threads.py", [], 32;
    node: "node_children.js", [], 40;
    perl: "perl_fork.pl", [], 40;
    php: "php_pcntl.php", [], 30;
    go: "go_exec.go", [], 31;
    tini: "tini_init.sh", ["tini"], 12;
    bubblewrap: "bwrap_sandbox.sh", ["bwrap"], 8;
    tmux: "tmux_session.sh", ["tmux"], 10;
    postgresql: "postgres_server.sh", ["pg_ctlcluster", "setpriv"], 20;
    nginx: "nginx_server.sh", ["nginx"], 9;
    apache: "apache_server.sh", ["apache2"], 24;
    php_fpm: "php_fpm.sh", [], 8;
    gunicorn: "gunicorn_server.sh", ["gunicorn"], 6;
    uwsgi: "uwsgi_server.sh", ["uwsgi"], 4;
    celery: "celery_worker.py", [], 5;
    supervisord: "supervisord.sh", ["supervisord"], 10;
    cron: "cron_daemon.sh", ["cron"], 4;
}
