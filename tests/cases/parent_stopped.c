// source: Zulko/moviepy#312 (python3 Tl, its ffmpeg child <defunct>), moby/moby#35643, opencontainers/runc#2105 (paused/frozen), concourse/concourse#4477
// mechanism: the parent is a right reaper (sigwait + WNOHANG loop), but it is stopped (SIGSTOP, ^Z, frozen); its children die meanwhile
// truth: 6 exited, 0 reaped while stopped, never_reaps by count; cause: the parent is STOPPED. "it never waits" is wrong as a diagnosis. Goes on after SIGCONT.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
int main(int c, char **v) {
    int ready[2], die[2], st; char b;
    if (pipe(ready) || pipe(die)) return 1;
    pid_t w = fork();
    if (!w) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); close(die[1]);
        for (int i = 0; i < 6; i++) if (!fork()) { close(ready[1]); if (read(die[0], &b, 1)) {} _exit(0); }
        if (write(ready[1], "", 1) != 1) _exit(1);
        for (;;) { while (waitpid(-1, 0, WNOHANG) > 0); usleep(20000); }
    }
    if (read(ready[0], &b, 1) != 1) return 1;
    usleep(100000); kill(w, SIGSTOP); waitpid(w, &st, WUNTRACED); close(die[1]);
    fprintf(stderr, "TRUTH pid=%d exited=6 reaped=0 left=6 stopped=%d\n", w, WIFSTOPPED(st) != 0);
    usleep(atoi(v[1]) * 1000);
    kill(w, SIGKILL); waitpid(w, 0, 0);
}
