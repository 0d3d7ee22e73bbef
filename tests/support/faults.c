/* Fails, or kills the process at, one of its calls that change files: loaded with LD_PRELOAD by support/faults.py.

   Calls on other files than regular ones and directories, such as sockets and pipes, are not counted. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sendfile.h>
#include <sys/types.h>
#include <unistd.h>

enum { OFF, LOG, KILL, TEAR, FAIL };

static atomic_int mode = OFF;
static atomic_long left;
static int number;
static int log_to = -1;

/* Choose what the call `at` (from 0) of those that follow does: `how` of the list above, `error` for FAIL. */
void modelwatch_faults(int how, long at, int error, int log)
{
    left = at;
    number = error;
    log_to = log;
    mode = how;
}

static int ours(const char *path)
{
    return strncmp(path, "/dev/", 5) && strncmp(path, "/proc/", 6) && strncmp(path, "/memfd:", 7);
}

static int is_file(int fd, char *path)
{
    struct stat status;
    char name[64];
    ssize_t length;
    if (fstat(fd, &status) || !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
        return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    length = readlink(name, path, 4095);
    path[length < 0 ? 0 : length] = 0;
    return ours(path);
}

/* Return whether this call is the one to tear; set errno and return -1 where it fails. */
static int struck(const char *call, const char *path)
{
    static ssize_t (*real_write)(int, const void *, size_t);
    char line[4352];
    int how = mode;
    if (how == OFF)
        return 0;
    if (how == LOG) {
        if (!real_write)
            real_write = dlsym(RTLD_NEXT, "write");
        int length = snprintf(line, sizeof line, "%s\t%s\n", call, path);
        return real_write(log_to, line, length) < 0 ? 0 : 0;
    }
    if (atomic_fetch_sub(&left, 1) != 0)
        return 0;
    if (how == KILL)
        kill(getpid(), SIGKILL);
    if (how == FAIL) {
        errno = number;
        return -1;
    }
    return 1;
}

static int struck_fd(const char *call, int fd)
{
    char path[4096];
    return mode != OFF && is_file(fd, path) ? struck(call, path) : 0;
}

static int struck_path(const char *call, const char *path)
{
    return mode != OFF && path && ours(path) ? struck(call, path) : 0;
}

#define REAL(type, name, ...)                                                                                \
    static type (*real)(__VA_ARGS__);                                                                        \
    if (!real)                                                                                               \
        real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define WRITES(call, offset_type)                                                                            \
    ssize_t call(int fd, const void *data, size_t size, offset_type at)                                      \
    {                                                                                                        \
        REAL(ssize_t, #call, int, const void *, size_t, offset_type);                                        \
        int hit = struck_fd("write", fd);                                                                    \
        if (hit > 0) {                                                                                       \
            real(fd, data, size / 2, at);                                                                    \
            kill(getpid(), SIGKILL);                                                                         \
        }                                                                                                    \
        return hit ? -1 : real(fd, data, size, at);                                                          \
    }

WRITES(pwrite, off_t)
WRITES(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t size)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    int hit = struck_fd("write", fd);
    if (hit > 0) {
        if (real(fd, data, size / 2) >= 0)
            kill(getpid(), SIGKILL);
    }
    return hit ? -1 : real(fd, data, size);
}

/* A call that is not torn is one that kills the process before it. */
static int stopped(int hit)
{
    if (hit > 0)
        kill(getpid(), SIGKILL);
    return hit;
}

#define ON_FD(call, name, type, declared, ...)                                                               \
    type call declared                                                                                       \
    {                                                                                                        \
        static type(*real) declared;                                                                         \
        if (!real)                                                                                           \
            real = (type(*) declared)dlsym(RTLD_NEXT, #call);                                                \
        return stopped(struck_fd(name, fd)) ? -1 : real(__VA_ARGS__);                                        \
    }

#define ON_PATH(call, name, declared, ...)                                                                   \
    int call declared                                                                                        \
    {                                                                                                        \
        static int(*real) declared;                                                                          \
        if (!real)                                                                                           \
            real = (int (*) declared)dlsym(RTLD_NEXT, #call);                                                \
        return stopped(struck_path(name, path)) ? -1 : real(__VA_ARGS__);                                    \
    }

ON_FD(fsync, "fsync", int, (int fd), fd)
ON_FD(fdatasync, "fsync", int, (int fd), fd)
ON_FD(ftruncate, "truncate", int, (int fd, off_t size), fd, size)
ON_FD(ftruncate64, "truncate", int, (int fd, off64_t size), fd, size)
ON_FD(fallocate, "allocate", int, (int fd, int how, off_t at, off_t size), fd, how, at, size)
ON_FD(fallocate64, "allocate", int, (int fd, int how, off64_t at, off64_t size), fd, how, at, size)
ON_FD(fchmod, "chmod", int, (int fd, mode_t bits), fd, bits)
ON_FD(flock, "lock", int, (int fd, int how), fd, how)
ON_FD(sendfile, "write", ssize_t, (int fd, int from, off_t *at, size_t size), fd, from, at, size)
ON_FD(sendfile64, "write", ssize_t, (int fd, int from, off64_t *at, size_t size), fd, from, at, size)

ON_PATH(rename, "rename", (const char *path, const char *to), path, to)
ON_PATH(renameat, "rename", (int from, const char *path, int at, const char *to), from, path, at, to)
ON_PATH(renameat2, "rename", (int from, const char *path, int at, const char *to, unsigned how), from, path,
        at, to, how)
ON_PATH(link, "link", (const char *path, const char *to), path, to)
ON_PATH(linkat, "link", (int from, const char *path, int at, const char *to, int how), from, path, at, to,
        how)
ON_PATH(symlink, "link", (const char *path, const char *to), path, to)
ON_PATH(unlink, "unlink", (const char *path), path)
ON_PATH(unlinkat, "unlink", (int at, const char *path, int how), at, path, how)
ON_PATH(rmdir, "unlink", (const char *path), path)
ON_PATH(mkdir, "mkdir", (const char *path, mode_t bits), path, bits)
ON_PATH(chmod, "chmod", (const char *path, mode_t bits), path, bits)

#define OPENS(call)                                                                                          \
    int call(const char *path, int flags, ...)                                                               \
    {                                                                                                        \
        REAL(int, #call, const char *, int, ...);                                                            \
        va_list rest;                                                                                        \
        va_start(rest, flags);                                                                               \
        mode_t bits = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                              \
        va_end(rest);                                                                                        \
        if ((flags & (O_CREAT | O_WRONLY | O_RDWR)) && stopped(struck_path("open", path)))                   \
            return -1;                                                                                       \
        return real(path, flags, bits);                                                                      \
    }

OPENS(open)
OPENS(open64)

#define LOCKS(call)                                                                                          \
    int call(int fd, int command, ...)                                                                       \
    {                                                                                                        \
        REAL(int, #call, int, int, ...);                                                                     \
        va_list rest;                                                                                        \
        va_start(rest, command);                                                                             \
        void *argument = va_arg(rest, void *);                                                               \
        va_end(rest);                                                                                        \
        if (command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW)  \
            if (((struct flock *)argument)->l_type != F_UNLCK && stopped(struck_fd("lock", fd)))             \
                return -1;                                                                                   \
        return real(fd, command, argument);                                                                  \
    }

LOCKS(fcntl)
LOCKS(fcntl64)
