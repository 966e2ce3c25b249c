// source: made by a tester who tried to have a false cause named
// mechanism: parents that leave children for one reason and look as if it were another; the argument says which
// truth: beside each; none of the kinds in confusable.rs is the cause
// build: gcc -O1 -pthread -o confusable confusable.c
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOLD_MS 3000

static void sleep_ms(int ms) {
    struct timespec left = {ms / 1000, (ms % 1000) * 1000000L};
    while (nanosleep(&left, &left) && errno == EINTR) {}
}

static pid_t child(int ms) {
    pid_t pid = fork();
    if (!pid) { sleep_ms(ms); _exit(0); }
    return pid;
}

static void children(int count, int ms) { while (count--) child(ms); }
static void does_nothing(int signal) {}

static void mask_sigchld(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(how, &set, 0);
}

static int ends(void *unused) { _exit(0); }
static char stack[65536];
static void clone_child(void) { clone(ends, stack + sizeof stack, 0, 0); }

int main(int argc, char **argv) {
    const char *name = argv[1];
    fprintf(stderr, "TRUTH pid=%d\n", getpid());
    if (!strcmp(name, "blocked_and_waits_by_pid")) {
        signal(SIGCHLD, does_nothing);
        mask_sigchld(SIG_BLOCK);
        children(3, 0);
        for (int i = 0; i < 12; i++) { waitpid(child(0), 0, 0); sleep_ms(250); }
    } else if (!strcmp(name, "blocked_and_polls_slowly")) {
        signal(SIGCHLD, does_nothing);
        mask_sigchld(SIG_BLOCK);
        children(3, 0);
        sleep_ms(2500);
        while (waitpid(-1, 0, WNOHANG) > 0) {}
        children(2, 0);
        sleep_ms(1500);
    } else if (!strcmp(name, "counts_its_waits")) {
        mask_sigchld(SIG_BLOCK);
        children(6, 0);
        sleep_ms(300);
        for (int i = 0; i < 3; i++) wait(0);
        sleep_ms(HOLD_MS);
    } else if (!strcmp(name, "in_the_group_and_waited_for_once")) {
        setpgid(0, 0);
        children(3, 0);
        waitpid(0, 0, 0);
        sleep_ms(HOLD_MS);
    } else if (!strcmp(name, "one_thread_waits_too_early")) {
        children(3, 200);
        waitpid(-1, 0, WNOHANG | __WNOTHREAD);
        sleep_ms(HOLD_MS);
    } else if (!strcmp(name, "waits_with_all_flags_for_one")) {
        child(0);
        sleep_ms(50);
        waitpid(-1, 0, __WALL);
        clone_child();
        clone_child();
        sleep_ms(HOLD_MS);
    } else if (!strcmp(name, "looks_at_another")) {
        pid_t lives = child(HOLD_MS + 2000);
        siginfo_t info;
        children(3, 0);
        for (int i = 0; i < 12; i++) { waitid(P_PID, lives, &info, WEXITED | WNOHANG | WNOWAIT); sleep_ms(250); }
    } else if (!strcmp(name, "reads_a_log")) {
        int ends_of_pipe[2];
        char bytes[99];
        if (pipe(ends_of_pipe)) return 1;
        children(3, 0);
        if (!fork()) {
            if (!fork()) { sleep_ms(HOLD_MS); _exit(0); }
            _exit(0);
        }
        close(ends_of_pipe[1]);
        while (read(ends_of_pipe[0], bytes, sizeof bytes) > 0) {}
    } else if (!strcmp(name, "execs_and_asks_for_any")) {
        children(4, 0);
        sleep_ms(50);
        execl(argv[0], argv[0], "after_the_exec", NULL);
    } else if (!strcmp(name, "after_the_exec")) {
        for (int i = 0; i < 4; i++) { sleep_ms(800); if (i < 2) waitpid(-1, 0, WNOHANG); }
    } else if (!strcmp(name, "waits_at_the_next_birth_and_forgets_others")) {
        pid_t before = 0;
        children(3, 0);
        for (int i = 0; i < 3; i++) {
            pid_t pid = child(0);
            if (before) waitpid(before, 0, 0);
            before = pid;
            sleep_ms(1600);
        }
    } else {
        return 2;
    }
    return 0;
}
