// source: ptrace(2) and do_notify_parent (kernel/signal.c): SIGCHLD that is ignored reaps no child that is traced
// mechanism: the parent ignores SIGCHLD from the start and traces its children itself (PTRACE_TRACEME, PTRACE_SEIZE); they die
// truth: 4 exited, 0 autoreaped, 4 left. cause: it never waits. "SIGCHLD was ignored too late" is false
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>
int main(int c, char **v) {
    int go[2]; char b;
    signal(SIGCHLD, SIG_IGN);
    if (pipe(go)) return 1;
    for (int i = 0; i < 4; i++) {
        pid_t p = fork();
        if (!p) {
            if (i % 2) ptrace(PTRACE_TRACEME, 0, 0, 0);
            close(go[1]);
            if (read(go[0], &b, 1)) {}
            _exit(0);
        }
        if (i % 2 == 0 && ptrace(PTRACE_SEIZE, p, 0, 0)) return 1;
    }
    usleep(100000); close(go[1]);
    usleep(100000);
    fprintf(stderr, "TRUTH pid=%d exited=4 reaped=0 autoreaped=0 left=4\n", getpid());
    usleep(atoi(v[1]) * 1000);
}
