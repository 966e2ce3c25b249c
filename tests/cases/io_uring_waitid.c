// source: README ("waits through io_uring are seen only by their free"); liburing waitid users (e.g. vibe-d/eventcore#117-like event loops)
// mechanism: the parent reaps through IORING_OP_WAITID (no wait4/waitid system call); of 8 children it reaps 5 and forgets 3
// truth: exited=8 reaped=5 left=3 leaking; it DOES wait (through io_uring): "it made no wait call" is wrong
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/io_uring.h>
#ifndef IORING_OP_WAITID
#define OPW 50
#else
#define OPW IORING_OP_WAITID
#endif
static int fd; static unsigned *sq_tail, *sq_mask, *sq_arr, *cq_head, *cq_tail, *cq_mask; static struct io_uring_sqe *sqes; static struct io_uring_cqe *cqes;
static int wait_ring(pid_t p) {
    siginfo_t si; memset(&si, 0, sizeof si);
    unsigned t = *sq_tail, i = t & *sq_mask; struct io_uring_sqe *s = &sqes[i]; memset(s, 0, sizeof *s);
    s->opcode = 50; s->fd = p; s->len = P_PID; s->file_index = WEXITED; s->addr2 = (unsigned long)&si; sq_arr[i] = i;
    __atomic_store_n(sq_tail, t + 1, __ATOMIC_RELEASE);
    syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, 0, 0);
    unsigned h = *cq_head; if (h == __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE)) return -999;
    int r = cqes[h & *cq_mask].res; __atomic_store_n(cq_head, h + 1, __ATOMIC_RELEASE); return r;
}
int main(int c, char **v) {
    struct io_uring_params p; memset(&p, 0, sizeof p); fd = syscall(SYS_io_uring_setup, 8, &p);
    if (fd < 0) { perror("io_uring_setup"); return 77; }
    char *sq = mmap(0, p.sq_off.array + p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
    char *cq = mmap(0, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_CQ_RING);
    sqes = mmap(0, p.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
    sq_tail = (void *)(sq + p.sq_off.tail); sq_mask = (void *)(sq + p.sq_off.ring_mask); sq_arr = (void *)(sq + p.sq_off.array);
    cq_head = (void *)(cq + p.cq_off.head); cq_tail = (void *)(cq + p.cq_off.tail); cq_mask = (void *)(cq + p.cq_off.ring_mask); cqes = (void *)(cq + p.cq_off.cqes);
    int ok = 0, last = 0;
    for (int i = 0; i < 8; i++) { pid_t k = fork(); if (!k) { usleep(20000); _exit(0); } if (i < 5) { last = wait_ring(k); if (last == 0) ok++; } }
    
    fprintf(stderr, "TRUTH pid=%d exited=8 reaped=%d last_result=%d left=%d\n", getpid(), ok, last, 8 - ok);
    usleep(atoi(v[1]) * 1000);
}
