// Three children each by fork, vfork or posix_spawn, at a place with a known name; they are left for a second.
#include <spawn.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

__attribute__((noinline)) int by_fork(int count) {
    int sum = 0;
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid == 0) _exit(0);
        sum += pid;
    }
    return sum;
}

__attribute__((noinline)) int by_vfork(int count) {
    int sum = 0;
    for (int i = 0; i < count; i++) {
        pid_t pid = vfork();
        if (pid == 0) _exit(0);
        sum += pid;
    }
    return sum;
}

__attribute__((noinline)) int by_spawn(int count) {
    int sum = 0;
    char *arguments[] = {"true", 0};
    for (int i = 0; i < count; i++) {
        pid_t pid;
        posix_spawn(&pid, "/bin/true", 0, 0, arguments, environ);
        sum += pid;
    }
    return sum;
}

int main(int count, char **arguments) {
    const char *how = count > 1 ? arguments[1] : "fork";
    int sum = !strcmp(how, "fork") ? by_fork(3) : !strcmp(how, "vfork") ? by_vfork(3) : by_spawn(3);
    sleep(1);
    return sum == 0;
}
