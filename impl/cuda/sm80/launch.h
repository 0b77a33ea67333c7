// What each dtype's source exports to attend.cu, so that the dtypes compile apart.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "impl/cuda/sm80/attend.h"

namespace relayattn::cuda::sm80 {

template <class T>
void launch_typed(const AttendParams& params, const LaunchBounds& bounds, cudaStream_t stream);

extern template void launch_typed<__nv_bfloat16>(const AttendParams&, const LaunchBounds&,
                                                 cudaStream_t);
extern template void launch_typed<__half>(const AttendParams&, const LaunchBounds&, cudaStream_t);

}  // namespace relayattn::cuda::sm80
