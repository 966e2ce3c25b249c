// source: famzah/popen-noshell#12, benfred/remoteprocess#2, PerformanC/LSPlt#1
// mechanism: children made by clone() with exit signal 0 (and SIGUSR1); the parent runs a right waitpid(-1, WNOHANG) loop, but without __WALL/__WCLONE such
//            children are invisible to it
// truth: 4 + 4 exited, 0 reaped, 8 left, never_reaps. cause: clone children need __WALL
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
int main(int c, char **v) {
    signal(SIGUSR1, SIG_IGN);
    for (int i = 0; i < 8; i++) { long p = syscall(SYS_clone, i % 2 ? SIGUSR1 : 0, 0, 0, 0, 0); if (!p) _exit(0); }
    int reaped = 0, calls = 0, ms = atoi(v[1]);
    for (int i = 0; i < ms / 50; i++) { calls++; if (waitpid(-1, 0, WNOHANG) > 0) reaped++; usleep(50000); }
    fprintf(stderr, "TRUTH pid=%d exited=8 wait_calls=%d reaped=%d left=%d\n", getpid(), calls, reaped, 8 - reaped);
}
