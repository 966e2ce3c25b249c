// source: baskerville/bspwm#1534, phillbush/xclickroot#11, util-linux/util-linux#4014, sudo-project/sudo#98, Perl/perl5#6898
// mechanism: launcher sets SIGCHLD to SIG_IGN and execs; the program forks and waitpid()s each child properly, gets ECHILD, loses every exit status
// truth: no zombies; 5 children autoreaped, 5 waitpid calls failed ECHILD. No leak, but the program is broken: statuses lost. (README: "never a leak")
#include <stdio.h>
#include <unistd.h>
#include <signal.h>
#include <errno.h>
#include <sys/wait.h>
int main(int c, char **v) {
    if (c < 2) { signal(SIGCHLD, SIG_IGN); execl("/proc/self/exe", "program", "inner", (char *)0); }
    int lost = 0;
    for (int i = 0; i < 5; i++) { pid_t p = fork(); if (!p) _exit(3); int st = 0; if (waitpid(p, &st, 0) < 0 && errno == ECHILD) lost++; }
    fprintf(stderr, "TRUTH pid=%d exited=5 reaped=0 autoreaped=%d left=0\n", getpid(), lost);
}
