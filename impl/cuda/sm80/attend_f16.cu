#include "impl/cuda/sm80/launch.cuh"

namespace relayattn::cuda::sm80 {

template void launch_typed<__half>(const AttendParams&, const LaunchBounds&, cudaStream_t);

}  // namespace relayattn::cuda::sm80
