// GPU memory for tests, straight from the driver: no CUDA toolkit is needed to build them.
#pragma once

#include "device.h"

namespace relayattn::test {

// GPU 0; throws when there is no driver or no GPU.
Device& cuda_device();

}  // namespace relayattn::test
