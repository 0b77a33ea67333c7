#include "impl/cuda/sm80/launch.cuh"

namespace relayattn::cuda::sm80 {

template void launch_typed<__nv_bfloat16>(const AttendParams&, const LaunchBounds&, cudaStream_t);

}  // namespace relayattn::cuda::sm80
