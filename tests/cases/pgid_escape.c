// source: watchexec/watchexec#102 (waitpid on the process group; a child that setsid()s is never seen), ranweiler/pete#104
// mechanism: parent waits with waitpid(0 = own process group); children that called setsid() have left it
// truth: 3 stay in the group and are reaped, 4 setsid and are left: leaking. cause: waits only for its process group
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>
int main(int c, char **v) {
    for (int i = 0; i < 7; i++) if (!fork()) { if (i >= 3) setsid(); usleep(50000); _exit(0); }
    int reaped = 0, ms = atoi(v[1]);
    for (int i = 0; i < ms / 50; i++) { while (waitpid(0, 0, WNOHANG) > 0) reaped++; usleep(50000); }
    fprintf(stderr, "TRUTH pid=%d exited=7 reaped=%d left=%d\n", getpid(), reaped, 7 - reaped);
}
