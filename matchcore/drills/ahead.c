/* Loaded before an emulator: the program that it runs sees a time of day that is ahead by the
 * nanoseconds in the file that MATCHCORE_AHEAD names (8 bytes, signed), which another process
 * changes under way.  The clocks by which one waits are left alone: nobody sets those.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static const volatile int64_t *ahead;
static int (*true_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void find_clock(void)
{
    const char *name = getenv("MATCHCORE_AHEAD");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *there = file < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, file, 0);

    true_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    if (there == MAP_FAILED || true_gettime == NULL)
        abort(); /* a drill with the true clock would prove nothing */
    close(file);
    ahead = there;
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    int wrong = true_gettime(which, now);

    if (!wrong && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) {
        int64_t shown = now->tv_sec * SECOND + now->tv_nsec + *ahead;

        now->tv_sec = shown / SECOND;
        now->tv_nsec = shown % SECOND;
    }
    return wrong;
}
