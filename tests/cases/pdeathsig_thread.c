// source: containers/bubblewrap#692, seveas/python-prctl#14, Tencent-Hunyuan/UniRL#276: PR_SET_PDEATHSIG fires when the creating THREAD ends
// mechanism: a thread forks a child with PDEATHSIG=SIGKILL and ends; the parent process lives; the child is killed "by nobody"; parent reaps it
// truth: child killed by SIGKILL though nobody called kill(); 1 reaped; healthy. A tool should say the parent's thread ended at that moment
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <signal.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/wait.h>
static pid_t p; static int ready[2];
static void *t(void *x) {
    p = fork(); char b;
    if (!p) { prctl(PR_SET_PDEATHSIG, SIGKILL); if (write(ready[1], "", 1)) {} pause(); _exit(0); }
    if (read(ready[0], &b, 1)) {} return 0;
}
int main() {
    if (pipe(ready)) return 1;
    pthread_t h; pthread_create(&h, 0, t, 0); pthread_join(h, 0); int s = 0; waitpid(p, &s, 0);
    fprintf(stderr, "TRUTH pid=%d child=%d signal=%d exited=1 reaped=1 left=0\n", getpid(), p, WTERMSIG(s));
}
