// The kernel families, and which of them serves a call.
#pragma once

#include <cuda_runtime_api.h>

#include "impl/core/plan/device_figures.h"
#include "impl/cuda/attend_params.h"
#include "impl/cuda/driver.h"

namespace relayattn::cuda {

struct KernelFamily {
    const char* name;
    int min_sm, max_sm;
    bool takes_any_rows;  // else items keep to few_rows and tile_rows of the figures
    int num_launches;     // most of one attend
    bool (*supports)(const AttendParams&);
    void (*launch)(const AttendParams&, const LaunchBounds&, cudaStream_t);
    DeviceFigures (*figures)(const Layer&, int num_sms);
};

// The families that one context uses: all that its GPU runs, or, where RELAYATTN_CUDA_KERNELS names
// one, that and the general path.
class Kernels {
  public:
    // Loads every kernel, so that no first launch does so inside a capture.
    static Result<Kernels> load(const Gpu& gpu);

    // The fastest family that serves the call. It looks only at what stays the same for all steps
    // of a captured graph.
    const KernelFamily& of(const AttendParams& params) const;
    const KernelFamily& of(const Layer& layer) const;

    // The family that serves everything, and each row as if it were alone.
    static const KernelFamily& general();

  private:
    int sm_ = 0;
    const char* only_ = nullptr;
};

}  // namespace relayattn::cuda
