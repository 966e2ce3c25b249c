// source: moby/moby#37627, moby/moby#34488, containerd/containerd#9568-like: container init stuck in zap_pid_ns_processes because an exec'd process is an unreaped zombie of the shim
// mechanism: a "shim" makes a PID namespace init, then fork+setns a second process into it (docker exec); that one dies and the shim does not wait for it; then the
//            init is killed: it cannot finish (kernel: zap_pid_ns_processes waits until the namespace is empty). The shim's waitpid(init) blocks.
// truth: shim: exec child = zombie (unreaped, the culprit); init = killed, shown S in do_exit, not yet a zombie. After a while the shim reaps the exec child and all
//        is over: slow
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
static int state_is(pid_t p, const char *state) {
    char b[64], s[512] = ""; snprintf(b, 64, "/proc/%d/stat", p);
    FILE *f = fopen(b, "r"); if (f) { if (!fgets(s, sizeof s, f)) s[0] = 0; fclose(f); }
    return strstr(s, state) != 0;
}
int main(int c, char **v) {
    char b[128];
    pid_t init = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
    if (!init) for (;;) pause();
    int own = open("/proc/self/ns/pid", O_RDONLY);
    snprintf(b, 128, "/proc/%d/ns/pid", init); int fd = open(b, O_RDONLY);
    if (setns(fd, CLONE_NEWPID)) { perror("setns"); return 1; }
    pid_t ex = fork(); if (!ex) _exit(0);
    setns(own, CLONE_NEWPID);
    while (!state_is(ex, ") Z ")) usleep(1000);
    kill(init, SIGKILL); usleep(atoi(v[1]) * 1000);
    int stuck = !state_is(init, ") Z ");
    fprintf(stderr, "TRUTH pid=%d exec_child=%d init=%d stuck=%d exited=2 reaped=2 left=0\n", getpid(), ex, init, stuck);
    waitpid(ex, 0, 0); waitpid(init, 0, 0);
}
