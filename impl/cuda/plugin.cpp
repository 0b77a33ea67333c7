#include "impl/cuda/plugin.h"

#include "impl/cuda/backend.h"

extern "C" __attribute__((visibility("default"))) const relayattn::cuda::Plugin*
relayattn_cuda_plugin() {
    static constexpr relayattn::cuda::Plugin plugin{RELAYATTN_BUILD_ID,
                                                    relayattn::cuda::create_backend};
    return &plugin;
}
