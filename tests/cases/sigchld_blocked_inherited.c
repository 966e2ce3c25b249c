// source: jow-/ucode#383, nerves-project/erlinit#33, DOMjudge/domjudge#3669, kontainapp/km#1117
// mechanism: launcher blocks SIGCHLD (for sigtimedwait/pselect), forks, execs the program without restoring the mask. The program has a CORRECT
//            SIGCHLD handler (waitpid(-1,WNOHANG) loop) that never runs.
// truth: the program: 8 zombies, 0 wait calls, never_reaps. cause: SIGCHLD is blocked (inherited); fix: restore the mask in the launcher
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
static volatile int reaped;
static void h(int s) { while (waitpid(-1, 0, WNOHANG) > 0) reaped++; }
int main(int c, char **v) {
    if (strcmp(v[1], "inner")) {
        sigset_t s; sigemptyset(&s); sigaddset(&s, SIGCHLD); sigprocmask(SIG_BLOCK, &s, 0);
        pid_t p = fork();
        if (!p) { prctl(PR_SET_PDEATHSIG, SIGKILL); execl("/proc/self/exe", "program", "inner", v[1], (char *)0); }
        waitpid(p, 0, 0); return 0;
    }
    struct sigaction a = {.sa_handler = h, .sa_flags = SA_RESTART}; sigaction(SIGCHLD, &a, 0);
    for (int i = 0; i < 8; i++) if (!fork()) _exit(0);
    fprintf(stderr, "TRUTH pid=%d exited=8 reaped=%d left=8\n", getpid(), reaped);
    usleep(atoi(v[2]) * 1000);
}
