// source: openclaw/openclaw#137726, infernode-os/infernode#582, checkpoint-restore/criu#57, containerd/containerd#8285 (node Zl <defunct>), linux defunct + D thread (ntucsie2007 wiki)
// mechanism: the child's main thread calls pthread_exit, a worker thread lives on: ps shows the child as Z (Zl); its parent blocks in waitpid(child) and is right
// truth: 1 child, state Z in /proc while it lives, NOT a zombie, parent healthy; a tool should say why `ps` shows Z
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>
#include <sys/wait.h>
static void *w(void *ms) { usleep((long)ms * 1000); return 0; }
int main(int c, char **v) {
    long ms = atol(v[1]); int shown_z = 0;
    pid_t p = fork();
    if (!p) { pthread_t t; pthread_create(&t, 0, w, (void *)ms); pthread_exit(0); }
    char b[64], s[512] = ""; snprintf(b, 64, "/proc/%d/stat", p);
    for (int i = 0; i < 2000 && !shown_z; i++) {
        FILE *f = fopen(b, "r"); if (f) { if (!fgets(s, sizeof s, f)) s[0] = 0; fclose(f); }
        shown_z = strstr(s, ") Z ") != 0; usleep(1000);
    }
    fprintf(stderr, "TRUTH pid=%d child=%d shown_z=%d exited=1 reaped=1 left=0\n", getpid(), p, shown_z);
    waitpid(p, 0, 0);
}
