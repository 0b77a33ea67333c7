#include "impl/cuda/sm90/launch.cuh"

namespace relayattn::cuda::sm90 {

template void launch_typed<__half>(const AttendParams&, const LaunchBounds&, cudaStream_t);

}  // namespace relayattn::cuda::sm90
