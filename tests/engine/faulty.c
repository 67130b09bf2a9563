/* Loaded under a process (LD_PRELOAD): one call on a file of a journal fails.
 *
 * FAULT=call:number:errno says which (number counts from 1; errno 0: half of a write is done, and
 * the next one is told why: EFBIG, as at a limit of the file's size);
 * whatever is asked of these files afterwards is written down, a name a line, in FAULT_TRACE.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define NEXT(name) __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int seen, failed, halved;

static void note(const char *call)
{
    const char *trace = getenv("FAULT_TRACE");
    int fd = (int)syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND, 0644);

    syscall(SYS_write, fd, call, strlen(call));
    syscall(SYS_write, fd, "\n", 1);
    syscall(SYS_close, fd);
}

/* -1: let it through; otherwise the errno to give. */
static int fault(const char *call, const char *file)
{
    const char *want = getenv("FAULT");
    char name[32] = "";
    int number = 0, code = 0;

    if (!want || !strstr(file, "journal-"))
        return -1;
    if (failed) {
        note(call);
        return -1;
    }
    if (sscanf(want, "%31[^:]:%d:%d", name, &number, &code) != 3 || strcmp(name, call) != 0)
        return -1;
    if (__sync_add_and_fetch(&seen, 1) != number)
        return -1;
    if (code == 0 && !halved) {
        halved = 1;
        seen--;         /* the next one has this number, too */
        return 0;
    }
    usleep(50000);      /* a disk that fails takes its time: others come to wait for it */
    failed = 1;
    errno = code ? code : EFBIG;
    return errno;
}

static int fault_of(const char *call, int fd)
{
    char link[64], file[4096];
    ssize_t size;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    size = readlink(link, file, sizeof file - 1);
    file[size < 0 ? 0 : size] = 0;
    return fault(call, file);
}

int fdatasync(int fd)
{
    NEXT(fdatasync);
    return fault_of("fdatasync", fd) < 0 ? next(fd) : -1;
}

int fsync(int fd)
{
    NEXT(fsync);
    return fault_of("fsync", fd) < 0 ? next(fd) : -1;
}

static ssize_t written(int fd, const void *data, size_t size, off64_t at)
{
    NEXT(pwrite64);
    int code = fault_of("pwrite", fd);

    if (code > 0)
        return -1;
    return next(fd, data, code < 0 ? size : size / 2, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return written(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return written(fd, data, size, at); }

static int truncated(int fd, off64_t size)
{
    NEXT(ftruncate64);
    return fault_of("ftruncate", fd) < 0 ? next(fd, size) : -1;
}

int ftruncate(int fd, off_t size) { return truncated(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncated(fd, size); }

int rename(const char *old, const char *file)
{
    NEXT(rename);
    return fault("rename", file) < 0 ? next(old, file) : -1;
}
