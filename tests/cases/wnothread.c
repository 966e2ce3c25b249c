// source: benfred/remoteprocess#2 (wrong wait flags for clone children), facebook/watchman#290 (wrong thread); man wait(2) __WNOTHREAD
// mechanism: thread A forks, thread B reaps in a loop with waitpid(-1, WNOHANG|__WNOTHREAD): only B's own children are seen, ECHILD for ever
// truth: 6 exited, 0 reaped, never_reaps, hundreds of failed wait calls. cause: the waits do not see these children (__WNOTHREAD / other thread)
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <pthread.h>
#include <sys/wait.h>
static volatile int reaped, calls, stop;
static void *b(void *x) { while (!stop) { calls++; if (waitpid(-1, 0, WNOHANG | __WNOTHREAD) > 0) reaped++; usleep(10000); } return 0; }
int main(int c, char **v) {
    pthread_t t; pthread_create(&t, 0, b, 0);
    for (int i = 0; i < 6; i++) if (!fork()) _exit(0);
    usleep(atoi(v[1]) * 1000); stop = 1; pthread_join(t, 0);
    fprintf(stderr, "TRUTH pid=%d exited=6 wait_calls=%d reaped=%d left=%d\n", getpid(), calls, reaped, 6 - reaped);
}
