/* Counts what a process does to files below a directory, and kills it or fails at one of these steps. Preloaded.
 *
 * FAULT_BELOW  absolute path of the directory
 * FAULT_AT     the step, from 1
 * FAULT_DO     kill: dies before the step; torn: dies after it, a write half done; a number: the step and all after
 *              it fail with that errno, a write after its first half, as where a disk is full
 * FAULT_CLOCK  seconds by which the clock of the day is off; needs none of the others
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static atomic_int steps;

static void die(void) {
    kill(getpid(), SIGKILL);
    pause();
}

static int starts_with_directory(const char *path) {
    const char *below = getenv("FAULT_BELOW");
    return below && strncmp(path, below, strlen(below)) == 0;
}

static int path_is_below(const char *path) {
    char absolute[2 * PATH_MAX];
    if (path[0] == '/') return starts_with_directory(path);
    if (!getcwd(absolute, PATH_MAX)) return 0;
    strcat(absolute, "/");
    return starts_with_directory(strncat(absolute, path, PATH_MAX - 1));
}

static int file_is_below(int file) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return starts_with_directory(path);
}

enum verdict { GO_ON, DIE_AFTER, FAIL_AFTER_HALF, FAIL };

/* What is to become of this step. */
static enum verdict step(void) {
    const char *at = getenv("FAULT_AT"), *what = getenv("FAULT_DO");
    if (!at || !what) return GO_ON;
    int now = atomic_fetch_add(&steps, 1) + 1, chosen = atoi(at);
    if (now < chosen) return GO_ON;
    if (strcmp(what, "kill") == 0) die();
    if (strcmp(what, "torn") == 0) return DIE_AFTER;
    errno = atoi(what);
    return now == chosen ? FAIL_AFTER_HALF : FAIL;
}

#define STEP(below, call)                                 \
    do {                                                  \
        enum verdict verdict = below ? step() : GO_ON;    \
        if (verdict >= FAIL_AFTER_HALF) return -1;        \
        __typeof__(call) result = call;                   \
        if (verdict == DIE_AFTER) die();                  \
        return result;                                    \
    } while (0)

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    STEP((flags & (O_CREAT | O_TRUNC)) && path_is_below(path), REAL(open64)(path, flags, mode));
}

ssize_t write(int file, const void *bytes, size_t count) {
    enum verdict verdict = file_is_below(file) ? step() : GO_ON;
    int error = errno;
    if (verdict == GO_ON) return REAL(write)(file, bytes, count);
    if (verdict == FAIL || count < 2) return -1;
    ssize_t half = REAL(write)(file, bytes, count / 2);
    if (verdict == DIE_AFTER) die();
    errno = error;
    return half;
}

int rename(const char *from, const char *to) { STEP(path_is_below(to), REAL(rename)(from, to)); }
int mkdir(const char *path, mode_t mode) { STEP(path_is_below(path), REAL(mkdir)(path, mode)); }
int unlink(const char *path) { STEP(path_is_below(path), REAL(unlink)(path)); }
int ftruncate64(int file, off64_t length) { STEP(file_is_below(file), REAL(ftruncate64)(file, length)); }
int fdatasync(int file) { STEP(file_is_below(file), REAL(fdatasync)(file)); }
int fsync(int file) { STEP(file_is_below(file), REAL(fsync)(file)); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = REAL(clock_gettime)(clock, now);
    const char *off = getenv("FAULT_CLOCK");
    if (off && clock == CLOCK_REALTIME) now->tv_sec += atol(off);
    return result;
}
