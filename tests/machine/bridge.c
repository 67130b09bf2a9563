/* matchcore's C interface as a C program uses it. */
#define PY_SSIZE_T_CLEAN
#include "matchcore_capi.h"

static PyObject *best_of(mc_api *api, mc_machine *machine, uint32_t instruments) {
    PyObject *list = PyList_New(0);
    for (uint32_t number = 1; list && number <= instruments; number++)
        for (uint8_t side = 1; side <= 2; side++) {
            int64_t price;
            PyObject *level = Py_None;
            if (api->best(machine, number, side, &price))
                level = Py_BuildValue("(LL)", (long long)price,
                                      (long long)api->quantity_at(machine, number, side, price));
            else
                Py_INCREF(level);
            PyList_Append(list, level);
            Py_DECREF(level);
        }
    return list;
}

static PyObject *apply(PyObject *self, PyObject *args) {
    const char *given;
    Py_ssize_t size;
    unsigned instruments, room;
    mc_api api;
    (void)self;
    if (!PyArg_ParseTuple(args, "y#II", &given, &size, &instruments, &room) || mc_import(&api) < 0)
        return NULL;
    mc_machine *machine = api.create(42);
    mc_event *events = PyMem_Malloc(room * sizeof(mc_event));
    PyObject *written_all = PyByteArray_FromStringAndSize(NULL, 0), *result = NULL;
    const mc_command *commands = (const mc_command *)given;
    size_t count = (size_t)size / sizeof(mc_command), taken, written;
    mc_halt halt = MC_DONE;
    for (unsigned i = 0; i < instruments; i++)
        api.add_instrument(machine, 1, INT64_MAX, 0xffffffff);
    do {
        halt = api.apply(machine, commands, count, events, room, &taken, &written);
        commands += taken;
        count -= taken;
        Py_ssize_t before = PyByteArray_Size(written_all);
        PyByteArray_Resize(written_all, before + (Py_ssize_t)(written * sizeof(mc_event)));
        memcpy(PyByteArray_AsString(written_all) + before, events, written * sizeof(mc_event));
    } while (halt == MC_FULL);
    if (halt == MC_INSTRUMENT)
        PyErr_SetString(PyExc_ValueError, "a command about an instrument");
    else
        result = Py_BuildValue("(NKN)", PyBytes_FromObject(written_all),
                               (unsigned long long)api.sequence(machine),
                               best_of(&api, machine, instruments));
    Py_DECREF(written_all);
    PyMem_Free(events);
    api.free(machine);
    return result;
}

#define MUST(x) if (!(x)) { PyErr_SetString(PyExc_AssertionError, #x); return NULL; }

static PyObject *edges(PyObject *self, PyObject *none) {
    mc_api api;
    mc_event events[4];
    mc_command command = {.kind = 1, .side = 1, .order_type = 1, .time_in_force = 1, .instrument = 1,
                          .quantity = 1, .price = INT64_MIN};
    size_t taken = 9, written = 9;
    int64_t price = 7;
    (void)self, (void)none;
    if (mc_import(&api) < 0)
        return NULL;
    api.free(NULL);
    mc_machine *machine = api.create(0);
    MUST(api.sequence(machine) == 0);
    MUST(!api.reserve(machine, SIZE_MAX) && !api.reserve(machine, SIZE_MAX / 4));
    MUST(api.reserve(machine, 0) && api.reserve(machine, 1) && !api.reserve(machine, 1));
    MUST(api.add_instrument(machine, 0, 1, 1) == 0);
    MUST(api.add_instrument(machine, 2, 1, 1) == 0);
    MUST(api.add_instrument(machine, 1, 1, 0) == 0);
    MUST(api.sequence(machine) == 0);
    MUST(api.add_instrument(machine, 1, 1, 1) == 1);
    MUST(api.sequence(machine) == 1);
    MUST(api.apply(machine, &command, 1, events, 3, &taken, &written) == MC_FULL);
    MUST(taken == 0 && written == 0);
    MUST(api.apply(machine, NULL, 0, events, 4, &taken, &written) == MC_DONE);
    MUST(taken == 0 && written == 0);
    MUST(!api.best(machine, 1, 1, &price) && price == 7);
    MUST(api.apply(machine, &command, 1, events, 4, &taken, &written) == MC_DONE);
    MUST(taken == 1 && written == 1 && events[0].kind == 1 && events[0].order_id == 1);
    MUST(api.best(machine, 1, 1, &price) && price == INT64_MIN);
    MUST(api.quantity_at(machine, 1, 1, INT64_MIN) == 1);
    MUST(api.quantity_at(machine, 1, 1, INT64_MAX) == 0);
    MUST(!api.best(machine, 0, 1, &price) && !api.best(machine, 2, 1, &price));
    MUST(!api.best(machine, 1, 0, &price) && !api.best(machine, 1, 3, &price));
    MUST(api.quantity_at(machine, 2, 1, 5) == 0 && api.quantity_at(machine, 1, 9, 5) == 0);
    MUST(api.add_instrument(machine, 1, 1000, 10) == 2);
    command.instrument = 2;
    for (int i = 0; i < 9; i++)
        MUST(api.apply(machine, &command, 1, events, 4, &taken, &written) == MC_DONE);
    command.side = 2, command.quantity = 9;     /* fills against nine, two events a call */
    uint64_t sequence = api.sequence(machine) + 1;
    MUST(api.apply(machine, &command, 1, events, 4, &taken, &written) == MC_FULL && taken == 1);
    while (api.add_instrument(machine, 1, 1, 1) == 0) {
        api.apply(machine, NULL, 0, events, 4, &taken, &written);
        MUST(written > 0 && events[written - 1].sequence == sequence);
    }
    MUST(events[written - 1].trade_id == 9 && events[written - 1].taker_left == 0);
    MUST(api.sequence(machine) == sequence + 1);
    command.instrument = UINT32_MAX;
    MUST(api.apply(machine, &command, 1, events, 4, &taken, &written) == MC_DONE);
    MUST(written == 1 && events[0].kind == 5);
    api.free(machine);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"apply", apply, METH_VARARGS, "Applies commands given as bytes."},
                                {"edges", edges, METH_NOARGS, "Tries the edges."},
                                {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "bridge", NULL, -1, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_bridge(void) { return PyModule_Create(&module); }
