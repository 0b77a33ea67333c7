#include "device.h"

namespace relayattn::bench {

std::unique_ptr<Device> make_cuda_device(int64_t) {
    throw UsageError("--device is cuda, but this program was built without CUDA");
}

}  // namespace relayattn::bench
