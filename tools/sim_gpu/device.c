/* A CUDA device made of host memory, to be loaded before libcudart. What does something is here; nothing.c has what only succeeds.
   Allocations, copies and events work, at once and in order. A kernel cannot be launched: simgpu.py computes operators on the CPU
   instead. */
#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DO(name, ...) cudaError_t name(__VA_ARGS__)
#define OK return cudaSuccess;
static __thread int device;
static __thread cudaError_t last;
static size_t used, handle;

static int devices(void) {
    const char *n = getenv("SIM_GPUS"), *visible = getenv("CUDA_VISIBLE_DEVICES");
    return visible && !*visible ? 0 : n ? atoi(n) : 1;
}
static size_t memory(void) { const char *n = getenv("SIM_GPU_BYTES"); return n ? strtoull(n, 0, 10) : (size_t)8 << 30; }
static int capability(void) { const char *n = getenv("SIM_GPU_CAPABILITY"); return n ? atoi(n) : 9; }   /* 7: no bfloat16, no TF32 */
static cudaError_t fail(cudaError_t e) { return last = e; }

/* what the device is */
DO(cudaGetDeviceCount, int *n) { *n = devices(); return *n ? cudaSuccess : fail(cudaErrorNoDevice); }
DO(cudaGetDevice, int *d) { *d = device; OK }
DO(cudaSetDevice, int d) { if (d<0 || d>=devices()) return fail(cudaErrorInvalidDevice); device = d; OK }
DO(cudaDriverGetVersion, int *v) { *v = CUDART_VERSION; OK }
DO(cudaRuntimeGetVersion, int *v) { *v = CUDART_VERSION; OK }
DO(cudaDeviceGetStreamPriorityRange, int *least, int *most) { *least = 0; *most = -5; OK }
DO(cudaDeviceCanAccessPeer, int *can, int a, int b) { *can = 0; OK }
DO(cudaGetDeviceProperties, struct cudaDeviceProp *p, int d) {
    memset(p, 0, sizeof *p);
    strcpy(p->name, "Simulated GPU");
    p->totalGlobalMem = memory(); p->major = capability(); p->multiProcessorCount = 132; p->warpSize = 32;
    p->maxThreadsPerBlock = 1024; p->maxThreadsPerMultiProcessor = 2048; p->regsPerBlock = p->regsPerMultiprocessor = 65536;
    p->sharedMemPerBlock = 49152; p->sharedMemPerBlockOptin = 232448; p->sharedMemPerMultiprocessor = 233472; p->l2CacheSize = 50 << 20;
    p->maxGridSize[0] = 2147483647; p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024; p->maxThreadsDim[2] = 64; OK
}
DO(cudaDeviceGetAttribute, int *v, enum cudaDeviceAttr a, int d) {
    *v = a==cudaDevAttrComputeCapabilityMajor ? capability() : a==cudaDevAttrMultiProcessorCount ? 132
       : a==cudaDevAttrMaxThreadsPerBlock ? 1024 : a==cudaDevAttrWarpSize ? 32 : 0; OK
}

/* memory: a block is preceded by its size, and starts filled with NaN */
DO(cudaMalloc, void **p, size_t n) {
    char *b = used+n<=memory() ? aligned_alloc(512, ((n+511)/512+1)*512) : 0;
    *p = b ? b+512 : 0;
    if (!b) return fail(cudaErrorMemoryAllocation);
    *(size_t*)b = n; used += n; memset(*p, 0xff, n); OK
}
DO(cudaFree, void *p) { if (p) { char *b = (char*)p-512; used -= *(size_t*)b; free(b); } OK }
DO(cudaMemGetInfo, size_t *free_, size_t *all) { *all = memory(); *free_ = *all-used; OK }
static struct { char *at; size_t n; } pinned[1<<12];           /* memory of the host that the device can fetch by itself */
DO(cudaHostAlloc, void **p, size_t n, unsigned flags) {
    *p = aligned_alloc(4096, (n+4095)/4096*4096);
    for (int i = 0; i<1<<12; i++) if (!pinned[i].at) { pinned[i].n = n; pinned[i].at = *p; break; }
    OK
}
DO(cudaMallocHost, void **p, size_t n) { return cudaHostAlloc(p, n, 0); }
DO(cudaFreeHost, void *p) { for (int i = 0; i<1<<12; i++) if (p && pinned[i].at==p) pinned[i].at = 0; free(p); OK }
DO(cudaHostGetDevicePointer, void **d, void *h, unsigned flags) { *d = h; OK }
DO(cudaPointerGetAttributes, struct cudaPointerAttributes *a, const void *p) {
    memset(a, 0, sizeof *a); a->type = cudaMemoryTypeUnregistered;
    for (int i = 0; i<1<<12; i++) if (pinned[i].at && (char*)p>=pinned[i].at && (char*)p<pinned[i].at+pinned[i].n) a->type = cudaMemoryTypeHost;
    OK
}
DO(cudaMemcpy, void *to, const void *from, size_t n, enum cudaMemcpyKind k) { memmove(to, from, n); OK }
DO(cudaMemcpyAsync, void *to, const void *from, size_t n, enum cudaMemcpyKind k, cudaStream_t s) { memmove(to, from, n); OK }
DO(cudaMemcpyPeerAsync, void *to, int d, const void *from, int e, size_t n, cudaStream_t s) { memmove(to, from, n); OK }
DO(cudaMemset, void *p, int v, size_t n) { memset(p, v, n); OK }
DO(cudaMemsetAsync, void *p, int v, size_t n, cudaStream_t s) { memset(p, v, n); OK }

/* streams are numbers, events are times: all that was begun is done */
DO(cudaStreamCreateWithPriority, cudaStream_t *s, unsigned flags, int priority) { *s = (cudaStream_t)(handle += 16); OK }
DO(cudaStreamCreateWithFlags, cudaStream_t *s, unsigned flags) { return cudaStreamCreateWithPriority(s, flags, 0); }
DO(cudaStreamIsCapturing, cudaStream_t s, enum cudaStreamCaptureStatus *c) { *c = cudaStreamCaptureStatusNone; OK }
DO(cudaStreamGetPriority, cudaStream_t s, int *p) { *p = 0; OK }
DO(cudaStreamAddCallback, cudaStream_t s, cudaStreamCallback_t f, void *arg, unsigned flags) { f(s, cudaSuccess, arg); OK }
DO(cudaLaunchHostFunc, cudaStream_t s, cudaHostFn_t f, void *arg) { f(arg); OK }
DO(cudaEventCreateWithFlags, cudaEvent_t *e, unsigned flags) { *e = calloc(1, sizeof(struct timespec)); OK }
DO(cudaEventCreate, cudaEvent_t *e) { return cudaEventCreateWithFlags(e, 0); }
DO(cudaEventDestroy, cudaEvent_t e) { free(e); OK }
DO(cudaEventRecord, cudaEvent_t e, cudaStream_t s) { clock_gettime(CLOCK_MONOTONIC, (struct timespec*)e); OK }
DO(cudaEventRecordWithFlags, cudaEvent_t e, cudaStream_t s, unsigned flags) { return cudaEventRecord(e, s); }
DO(cudaEventElapsedTime, float *ms, cudaEvent_t a, cudaEvent_t b) {
    struct timespec *x = (void*)a, *y = (void*)b;
    *ms = (y->tv_sec-x->tv_sec)*1e3+(y->tv_nsec-x->tv_nsec)/1e6; OK
}

/* errors; a kernel that is launched all the same is one */
#define NO_KERNEL return fail(cudaErrorNoKernelImageForDevice);
DO(cudaGetLastError, void) { cudaError_t e = last; last = cudaSuccess; return e; }
DO(cudaPeekAtLastError, void) { return last; }
DO(cudaLaunchKernel, const void *f, dim3 grid, dim3 block, void **args, size_t shared, cudaStream_t s) { NO_KERNEL }
DO(cudaLaunchKernelExC, const cudaLaunchConfig_t *c, const void *f, void **args) { NO_KERNEL }
DO(__cudaGetKernel, void **k, const void *f) { *k = (void*)f; OK }
DO(__cudaLaunchKernel, void *k, dim3 grid, dim3 block, void **args, size_t shared, cudaStream_t s) { NO_KERNEL }
const char *cudaGetErrorName(cudaError_t e) { return "simulated"; }
const char *cudaGetErrorString(cudaError_t e) {
    return e==cudaErrorNoKernelImageForDevice ? "a kernel was launched outside of the simulator"
         : e==cudaErrorMemoryAllocation ? "out of memory" : "simulated error";
}

/* the driver, as torch asks for it: by name, of the runtime or of libcuda.so.1 */
int cuDeviceGetCount(int *n) { *n = devices(); return 0; }
int cuDevicePrimaryCtxGetState(int d, unsigned *flags, int *active) { if (flags) *flags = 0; if (active) *active = 1; return 0; }
int cuGetErrorString(int e, const char **s) { *s = "simulated"; return 0; }
static int succeed(void) { return 0; }
DO(cudaGetDriverEntryPointByVersion, const char *name, void **f, unsigned version, unsigned long long flags, enum cudaDriverEntryPointQueryResult *r) {
    if (r) *r = cudaDriverEntryPointSuccess;
    *f = !strcmp(name, "cuDevicePrimaryCtxGetState") ? (void*)cuDevicePrimaryCtxGetState : !strcmp(name, "cuDeviceGetCount") ? (void*)cuDeviceGetCount
       : !strncmp(name, "cuGetError", 10) ? (void*)cuGetErrorString : (void*)succeed; OK
}
