// source: variant of uint23/sxwm#18, troglobit/inadyn#268, iagox86/dnscat2#98 (the fix "set SIGCHLD to SIG_IGN"), set after children have died
// mechanism: 4 children die, THEN the parent sets SIGCHLD to SIG_IGN, then 6 more die: those are autoreaped, the first 4 stay zombies for ever
// truth: 10 exited, 6 autoreaped, 4 left. cause: SIG_IGN does not reap those already dead; "ignore SIGCHLD" is NOT a fix (it does already)
#define _GNU_SOURCE
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <signal.h>
#include <sys/syscall.h>
int main(int c, char **v) {
    for (int i = 0; i < 4; i++) {
        pid_t p = fork(); if (!p) _exit(0);
        struct pollfd f = {.fd = syscall(SYS_pidfd_open, p, 0), .events = POLLIN}; // dead, but not waited for
        if (poll(&f, 1, 20000) != 1) return 1;
        close(f.fd);
    }
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 6; i++) if (!fork()) _exit(0);
    fprintf(stderr, "TRUTH pid=%d exited=10 reaped=0 autoreaped=6 left=4\n", getpid());
    usleep(atoi(v[1]) * 1000);
}
