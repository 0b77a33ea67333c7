// The general path: every legal layer on every GPU from sm_75 on. Plain float32 arithmetic on CUDA
// cores, the same code for all dtypes; the faster families are checked against it.
#pragma once

#include <cuda_runtime_api.h>

#include "impl/core/plan/device_figures.h"
#include "impl/cuda/attend_params.h"

namespace relayattn::cuda::general {

bool supports(const AttendParams& params);

// Three launches: append, items, finish.
void launch(const AttendParams& params, const LaunchBounds& bounds, cudaStream_t stream);

DeviceFigures figures(const Layer& layer, int num_sms);

// Lets the kernel have the shared memory that wide heads need; once per GPU, its context current.
cudaError_t prepare(int shared_bytes);

}  // namespace relayattn::cuda::general
