/* Functions of the CUDA runtime and driver that succeed and do nothing here, because all that was begun is done */
#define NOTHING(name) int name() { return 0; }
NOTHING(cudaDeviceSynchronize) NOTHING(cudaDeviceEnablePeerAccess) NOTHING(cudaHostRegister) NOTHING(cudaHostUnregister)
NOTHING(cudaStreamDestroy) NOTHING(cudaStreamSynchronize) NOTHING(cudaStreamQuery) NOTHING(cudaStreamWaitEvent)
NOTHING(cudaThreadExchangeStreamCaptureMode) NOTHING(cudaEventQuery) NOTHING(cudaEventSynchronize)
NOTHING(cudaFuncSetAttribute) NOTHING(cudaProfilerStart) NOTHING(cudaProfilerStop)
NOTHING(cuCtxGetCurrent) NOTHING(cuCtxSetCurrent) NOTHING(cuDeviceGet) NOTHING(cuDeviceGetAttribute) NOTHING(cuDevicePrimaryCtxRetain)
NOTHING(cuFuncGetAttribute) NOTHING(cuFuncSetAttribute) NOTHING(cuFuncSetCacheConfig) NOTHING(cuLaunchCooperativeKernel) NOTHING(cuLaunchKernel)
NOTHING(cuLinkAddData_v2) NOTHING(cuLinkComplete) NOTHING(cuLinkCreate_v2) NOTHING(cuModuleGetFunction) NOTHING(cuModuleLoad)
NOTHING(cuModuleLoadData) NOTHING(cuModuleLoadDataEx) NOTHING(cuModuleUnload) NOTHING(cuOccupancyMaxActiveBlocksPerMultiprocessor)
NOTHING(cuPointerGetAttribute) NOTHING(cuTensorMapEncodeTiled)
/* no stream is capturing; how many arguments follow depends on the version of CUDA */
int cudaStreamGetCaptureInfo(void *stream, int *status) { *status = 0; return 0; }
