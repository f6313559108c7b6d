/* A stand-in for libnvidia-ml.so.1. The file named by $YGG_STUB says what it answers, `name=value` on each
 * line, read again for each call: a function's name with an NVML error number, `hang` with the name of a
 * function that does not come back as long as the line is there, and the values below; `error1=15` is what
 * everything about card 1 answers, and `NAME1=15` one function of it. Each call is told in $YGG_STUB.log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long long u64;
typedef struct { unsigned pid; u64 used; unsigned gi, ci; } process;

static int setting(const char *name, char *out, size_t size) {
    const char *path = getenv("YGG_STUB");
    FILE *file = path ? fopen(path, "r") : NULL;
    char line[256];
    size_t n = strlen(name);
    int found = 0;
    if (!file) return 0;
    while (!found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, name, n) && line[n] == '=') {
            snprintf(out, size, "%s", line + n + 1);
            found = 1;
        }
    }
    fclose(file);
    return found;
}

static u64 number(const char *name, u64 otherwise) {
    char text[256];
    return setting(name, text, sizeof text) ? strtoull(text, NULL, 0) : otherwise;
}

static void word(const char *name, const char *otherwise, char *out, unsigned size) {
    if (!setting(name, out, size)) snprintf(out, size, "%s", otherwise);
}

static void tell(const char *what) {
    char path[4096];
    FILE *file;
    snprintf(path, sizeof path, "%s.log", getenv("YGG_STUB") ? getenv("YGG_STUB") : "/dev/null");
    if ((file = fopen(path, "a"))) {
        fprintf(file, "%s\n", what);
        fclose(file);
    }
}

static int called(const char *name) {
    char hanging[256];
    tell(name);
    while (setting("hang", hanging, sizeof hanging) && !strcmp(hanging, name)) usleep(2000);
    return (int)number(name, 0);
}

#define CALLED { int code = called(__func__); if (code) return code; }

static unsigned card(void *handle) { return (unsigned)((u64)handle - 1); }

static int called_on(void *handle, const char *name) {
    char own[128], all[32];
    int code = called(name);
    snprintf(own, sizeof own, "%s%u", name, card(handle));
    snprintf(all, sizeof all, "error%u", card(handle));
    return code ? code : (int)number(own, number(all, 0));
}

#define ASKED { int code = called_on(handle, __func__); if (code) return code; }

static u64 of(void *handle, const char *what, u64 otherwise) {
    char name[64];
    snprintf(name, sizeof name, "%s%u", what, card(handle));
    return number(name, number(what, otherwise));
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; CALLED return 0; }
int nvmlShutdown(void) { CALLED return 0; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the stub"; }
int nvmlDeviceGetCount_v2(unsigned *n) { CALLED *n = (unsigned)number("count", 1); return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    int code = called_on((void *)(u64)(index + 1), __func__);
    *handle = (void *)(u64)(index + 1);
    return code;
}
int nvmlDeviceGetUUID(void *handle, char *out, unsigned size) {
    ASKED snprintf(out, size, "GPU-stub-%u", card(handle)); return 0;
}
int nvmlDeviceGetName(void *handle, char *out, unsigned size) {
    ASKED word("name", "NVIDIA Stub", out, size); return 0;
}
int nvmlDeviceGetTemperatureV(void *handle, unsigned *io) {
    ASKED io[2] = (unsigned)of(handle, "temperature", 55); return 0;
}
int nvmlDeviceGetTemperature(void *handle, unsigned sensor, unsigned *out) {
    (void)sensor; ASKED *out = (unsigned)of(handle, "temperature", 55); return 0;
}
int nvmlDeviceGetTemperatureThreshold(void *handle, unsigned kind, unsigned *out) {
    (void)kind; ASKED *out = (unsigned)of(handle, "max", 90); return 0;
}
int nvmlDeviceGetMarginTemperature(void *handle, unsigned *io) {
    ASKED io[1] = (unsigned)of(handle, "margin", 35); return 0;
}
int nvmlDeviceGetMemoryInfo(void *handle, u64 *out) {
    ASKED
    out[0] = of(handle, "total", 8192) << 20;
    out[1] = of(handle, "free", 7000) << 20;
    out[2] = out[0] - out[1];
    return 0;
}
int nvmlDeviceGetCurrentClocksEventReasons(void *handle, u64 *out) {
    ASKED *out = of(handle, "reasons", 1); return 0;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, u64 *out) {
    ASKED *out = of(handle, "reasons", 1); return 0;
}
int nvmlDeviceGetPowerUsage(void *handle, unsigned *out) {
    ASKED *out = (unsigned)of(handle, "power", 98500); return 0;
}
int nvmlDeviceGetUtilizationRates(void *handle, unsigned *out) {
    ASKED out[0] = (unsigned)of(handle, "utilization", 40); out[1] = 10; return 0;
}

static int processes(void *handle, const char *kind, unsigned *n, process *out) {
    unsigned many = (unsigned)of(handle, kind, 0), i;
    if (!many) { *n = 0; return 0; }
    if (!out || *n < many) { *n = many; return 7; } /* insufficient size */
    for (i = 0; i < many; i++)
        out[i] = (process){100 + i, number("used", 1024ULL << 20), ~0u, ~0u};
    *n = many;
    return 0;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *n, process *out) {
    ASKED return processes(handle, "compute", n, out);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *handle, unsigned *n, process *out) {
    ASKED return processes(handle, "graphics", n, out);
}
int nvmlSystemGetProcessName(unsigned pid, char *out, unsigned size) {
    char name[32];
    CALLED
    snprintf(name, sizeof name, "process%u", pid);
    word(name, "/usr/bin/ollama", out, size);
    return 0;
}
