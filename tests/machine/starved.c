/* Loaded under a process (LD_PRELOAD): the compiled machine gets no more memory.
 *
 * After starve(n) the next n requests of its modules are granted, and all later ones refused;
 * after starve(-1) all are granted.  Requests of everybody else always are.  granted() counts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

static long left = -1, given;

void starve(long requests)
{
    left = requests;
    given = 0;
}

long granted(void)
{
    return given;
}

static int is_refused(const void *caller)
{
    Dl_info info;

    if (!dladdr(caller, &info) || !info.dli_fname || !strstr(info.dli_fname, "/matchcore/machine/"))
        return 0;
    if (left == 0)
        return 1;
    left -= left > 0;
    given++;
    return 0;
}

void *malloc(size_t size)
{
    return is_refused(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return is_refused(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *at, size_t size)
{
    return is_refused(__builtin_return_address(0)) ? NULL : __libc_realloc(at, size);
}
