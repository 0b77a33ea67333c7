// The few kernels of the program's own.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace relayattn::bench {

// Reads all of it (a multiple of 16 bytes) and writes nothing.
void launch_read(const void* data, int64_t bytes, cudaStream_t stream);

// Keeps the stream busy for so long, so that what is enqueued behind it starts without the host.
void launch_hold(int64_t nanoseconds, cudaStream_t stream);

// Values of [-1, 1) in the dtype (RA_*): a product of zeros would be measured too fast.
void launch_fill(void* data, int64_t count, int32_t dtype, cudaStream_t stream);

}  // namespace relayattn::bench
