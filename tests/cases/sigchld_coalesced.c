// source: wazuh/wazuh#3796, the-tcpdump-group/tcpdump#972, SerenityOS/serenity#4299, signalwire/freeswitch#1672, AgentD/websrv#1
// mechanism: SIGCHLD handler calls wait() ONCE per signal; SIGCHLD is not queued, so of a burst of deaths only some are reaped
// truth: prints it: handler runs = wait calls = reaped < forked; the rest stays. cause: one wait per SIGCHLD, signals coalesce; fix: loop WNOHANG until none
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
static volatile int runs, reaped;
static void h(int s) { runs++; if (wait(0) > 0) reaped++; }
int main(int c, char **v) {
    struct sigaction a = {.sa_handler = h, .sa_flags = SA_RESTART}; sigaction(SIGCHLD, &a, 0);
    sigset_t s; sigemptyset(&s); sigaddset(&s, SIGCHLD);
    for (int r = 0; r < 4; r++) {                     // bursts of 5: the server is busy (signal blocked) while they die
        sigprocmask(SIG_BLOCK, &s, 0);
        for (int i = 0; i < 5; i++) {
            pid_t p = fork(); if (!p) _exit(0);
            struct pollfd f = {.fd = syscall(SYS_pidfd_open, p, 0), .events = POLLIN};
            if (poll(&f, 1, 20000) != 1) return 1;
            close(f.fd);
        }
        sigprocmask(SIG_UNBLOCK, &s, 0);
    }
    fprintf(stderr, "TRUTH pid=%d exited=20 handler_runs=%d reaped=%d left=%d\n", getpid(), runs, reaped, 20 - reaped);
    usleep(atoi(v[1]) * 1000);
}
