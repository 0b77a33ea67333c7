// The sm_90a kernels (Hopper): what they can do, and one attend.
#pragma once

#include <cuda_runtime_api.h>

#include "impl/core/plan/device_figures.h"
#include "impl/cuda/attend_params.h"

namespace relayattn::cuda::sm90 {

// bf16 or f16 throughout, head dims 64, 96, 128, 256 with K and V alike, pages of a multiple of 8
// slots, everything 16-byte aligned.
bool supports(const AttendParams& params);

// Appends, attends and finishes in at most three launches; neither allocates nor synchronises.
// [E] Errors are left for cudaGetLastError.
void launch(const AttendParams& params, const LaunchBounds& bounds, cudaStream_t stream);

DeviceFigures figures(const Layer& layer, int num_sms);

}  // namespace relayattn::cuda::sm90
