// source: facebook/watchman#290, ytti/oxidized#450 and every report that starts with `ps` showing N old <defunct> (the leak is there before anybody looks)
// mechanism: parent forked and reaped 20 children, then left 7 more dead, then only sleeps. A watch starts after that.
// truth: 7 zombies; it HAS reaped 20 before (leaking, not never_reaps); nothing new happens in the window
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>
int main(int c, char **v) {
    for (int i = 0; i < 20; i++) { pid_t p = fork(); if (!p) _exit(0); waitpid(p, 0, 0); }
    for (int i = 0; i < 7; i++) { pid_t p = fork(); if (!p) _exit(0); }
    fprintf(stderr, "TRUTH pid=%d exited=27 reaped=20 left=7\n", getpid());
    usleep(atoi(v[1]) * 1000);
}
