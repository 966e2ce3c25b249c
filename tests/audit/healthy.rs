//! Nothing is found on a healthy host: real shells, build tools, inits and servers, looked at while they work.
//!
//! They are the programs of `tests/cases/healthy`, which say what each does.

use std::{collections::BTreeSet, process::Command, time::Duration};

use super::{
    case::{Case, needed},
    world::World,
};

/// Audits again and again while a program runs; nothing of it may be found.
#[track_caller]
fn nothing_is_found(program: &str, needs: &[&str]) {
    for need in needs {
        needed(need);
    }
    let world = World::new();
    let case = Case::new(&format!("healthy/{program}"));
    let (first, rest) = case.command().split_first().expect("a command");
    let mut running = world.marked(Command::new(first)).args(rest).spawn().expect("the program");
    let mut looks = 0;
    loop {
        let (found, report) = world.audit(&[]);
        assert_eq!(found, BTreeSet::new(), "{report:#}");
        looks += 1;
        if let Some(status) = running.try_wait().expect("our own child") {
            assert!(status.success(), "it did not do its work");
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(looks >= 1);
    // What it leaves running on purpose is no ghost either.
    assert_eq!(world.audit(&[]).0, BTreeSet::new());
}

macro_rules! healthy {
    ($($name:ident: $program:literal, $needs:expr;)*) => {
        $(#[test]
        fn $name() {
            nothing_is_found($program, &$needs);
        })*
    };
}

healthy! {
    jobs_of_bash: "bash_jobs_waited.sh", [];
    pipelines_of_bash: "bash_pipelines.sh", [];
    make: "make_parallel.sh", ["make"];
    git: "git_work.sh", ["git"];
    subprocess_of_python: "python_subprocess.py", [];
    a_pool_of_python: "python_pool.py", [];
    tmux: "tmux_session.sh", ["tmux"];
    cron: "cron_daemon.sh", ["cron"];
    nginx: "nginx_server.sh", ["nginx"];
    postgres: "postgres_server.sh", ["pg_ctlcluster"];
    gunicorn: "gunicorn_server.sh", ["gunicorn"];
    supervisord: "supervisord.sh", ["supervisord"];
    tini: "tini_init.sh", ["tini", "unshare"];
    bubblewrap: "bwrap_sandbox.sh", ["bwrap"];
}

/// Servers that leave what started them on purpose, and a terminal multiplexer with work in it.
#[test]
fn daemons_that_were_started_by_hand_and_left_are_none() {
    for need in ["nginx", "gunicorn", "cron", "tmux", "make"] {
        needed(need);
    }
    let world = World::new();
    world.write(
        "nginx.conf",
        &format!(
            "pid {0}/nginx.pid; error_log {0}/error.log; worker_processes 3;\n\
             events {{}} http {{ access_log off; server {{ listen unix:{0}/nginx.socket; return 204; }} }}\n",
            world.path().display()
        ),
    );
    world.write("app.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'']\n");
    world.write("Makefile", "all: a b c\na b c:\n\tsleep 600.33\n");
    world.run_session(
        "nginx -p $PWD -c $PWD/nginx.conf -g 'user root;' && \
         gunicorn -D -w 2 -b unix:$PWD/gunicorn.socket -p $PWD/gunicorn.pid app:app && \
         cron -L 0 || true; eval $(ssh-agent -a $PWD/agent.socket) > /dev/null; \
         tmux -f /dev/null -S ./tmux.socket new-session -d 'bash -c \"(sleep 600.22 &); make -j3\"'",
    );
    world.pids("nginx: worker", 3);
    world.pids("/usr/bin/python3 /usr/bin/gunicorn", 3);
    world.pids("sleep 600.33", 3);
    world.pid("sleep 600.22");
    world.pid("ssh-agent -a");
    let (found, report) = world.audit(&[]);
    assert_eq!(found, BTreeSet::new(), "{report:#}");
}
