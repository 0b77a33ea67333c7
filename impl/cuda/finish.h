// The last launch of an attend: tokens of several partials (or none) are merged, and padded rows
// written.
#pragma once

#include <cuda_runtime_api.h>

#include "impl/backend.h"
#include "impl/cuda/attend_params.h"

namespace relayattn::cuda {

// `early`: may start while the kernel before it in the stream still runs (programmatic dependent
// launch, sm_90 and newer); it waits for that kernel's end before it reads anything.
void launch_finish(const AttendParams& params, const LaunchBounds& bounds, bool early,
                   cudaStream_t stream);

// Loads the kernel; the GPU's context is current.
cudaError_t prepare_finish();

// Two attention states of the same queries into one.
void launch_merge(const MergeCall& call, cudaStream_t stream);

}  // namespace relayattn::cuda
