// Forks COUNT children and reaps each before the next, after DELAY ms: what a fork site costs (docs/fork-sites.md).
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((noinline)) static int fork_once(void) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    return waitpid(pid, 0, 0);
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    usleep(atoi(arguments[2]) * 1000);
    long sum = 0;
    for (int left = atoi(arguments[1]); left > 0; left--) sum += fork_once();
    return sum == 0;
}
