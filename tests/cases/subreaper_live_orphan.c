// source: containerd/containerd#1430 (shim is a subreaper; orphan of an exec is inherited alive, dies, stays [sleep] <defunct>), containers/conmon#501; smallest form of pid1_*.sh
// mechanism: subreaper; its child starts a grandchild and exits, the grandchild is inherited ALIVE and dies 0.3 s later; the subreaper waits for its child by pid only
// truth: own child reaped (1), 1 inherited orphan left: leaking; cause: adopted children are not reaped. It started every child it has waited for
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
int main(int c, char **v) {
    int die[2]; char b; if (pipe(die)) return 1;
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    pid_t p = fork();
    if (!p) { if (!fork()) { close(die[1]); if (read(die[0], &b, 1)) {} _exit(0); } _exit(0); }
    waitpid(p, 0, 0); close(die[1]); // the grandchild dies once it is inherited
    fprintf(stderr, "TRUTH pid=%d exited=2 reaped=1 left=1\n", getpid());
    usleep(atoi(v[1]) * 1000);
}
