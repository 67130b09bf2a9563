/* The calls of matchcore.capi for C; docs/c-api.md tells what they do. */
#ifndef MATCHCORE_CAPI_H
#define MATCHCORE_CAPI_H
#include <Python.h>
#include "matchcore.h"

#define MC_API_VERSION 2

typedef struct mc_machine mc_machine;
typedef enum { MC_DONE, MC_INSTRUMENT, MC_FULL, MC_NO_MEMORY } mc_halt;

typedef struct {
    uint32_t (*version)(void);
    mc_machine *(*create)(uint64_t secret);
    int (*reserve)(mc_machine *, size_t size);
    void (*free)(mc_machine *);
    uint32_t (*add_instrument)(mc_machine *, int64_t lot, int64_t max_quantity, uint64_t max_orders);
    mc_halt (*apply)(mc_machine *, const mc_command *, size_t count, mc_event *, size_t room,
                     size_t *taken, size_t *written);
    uint64_t (*sequence)(const mc_machine *);
    int (*best)(const mc_machine *, uint32_t instrument, uint8_t side, int64_t *price);
    int64_t (*quantity_at)(mc_machine *, uint32_t instrument, uint8_t side, int64_t price);
} mc_api;

/* Fills the table.  Needs the GIL; -1 with a Python exception when something is missing or of another version. */
static inline int mc_import(mc_api *api) {
    static const char *const names[] = {"mc_version", "mc_create", "mc_reserve", "mc_free",
                                        "mc_add_instrument", "mc_apply", "mc_sequence", "mc_best", "mc_quantity_at"};
    void *found[sizeof names / sizeof *names];
    PyObject *module = PyImport_ImportModule("matchcore.capi");
    PyObject *capsules = module ? PyObject_GetAttrString(module, "__pyx_capi__") : NULL;
    int missing = capsules == NULL;
    Py_XDECREF(module);     /* stays in sys.modules */
    for (size_t i = 0; !missing && i < sizeof names / sizeof *names; i++) {
        PyObject *capsule = PyDict_GetItemString(capsules, names[i]);
        found[i] = capsule ? PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule)) : NULL;
        missing = found[i] == NULL;
        if (missing && !PyErr_Occurred())
            PyErr_Format(PyExc_ImportError, "matchcore.capi has no %s", names[i]);
    }
    Py_XDECREF(capsules);
    if (missing)
        return -1;
    memcpy(api, found, sizeof found);
    if (api->version() != MC_API_VERSION) {
        PyErr_Format(PyExc_ImportError, "matchcore.capi is version %u, this was built for %d",
                     api->version(), MC_API_VERSION);
        return -1;
    }
    return 0;
}

static_assert(sizeof(mc_api) == 9 * sizeof(void *), "one pointer for each name");

#endif
