// The runtime's error codes as results.
#pragma once

#include <cuda_runtime_api.h>

#include "impl/core/result.h"

namespace relayattn::cuda {

inline Result<void> check(cudaError_t status, const char* what) {
    if (status == cudaSuccess)
        return {};
    cudaGetLastError();  // else the next check would report this error again
    const Code code = status == cudaErrorMemoryAllocation ? Code::memory : Code::device;
    return relayattn::error(code, what, ": ", cudaGetErrorString(status));
}

inline bool is_complete(cudaEvent_t event) {
    const bool complete = cudaEventQuery(event) == cudaSuccess;
    if (!complete)
        cudaGetLastError();  // "not ready" counts as an error there
    return complete;
}

// After kernel launches.
inline Result<void> check_launch(const char* what) {
    return check(cudaGetLastError(), what);
}

inline cudaStream_t stream_of(void* queue) {
    return static_cast<cudaStream_t>(queue);
}

// Unique for the life of the process, unlike a handle.
inline Result<unsigned long long> id_of(cudaStream_t stream) {
    unsigned long long id = 0;
    const Result<void> asked = check(cudaStreamGetId(stream, &id), "cudaStreamGetId");
    if (!asked)
        return asked.error();
    return id;
}

}  // namespace relayattn::cuda
