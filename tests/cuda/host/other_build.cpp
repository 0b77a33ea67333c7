// A plugin that must never be used: its build id is no library's.
#include <cstdlib>

#include "impl/cuda/plugin.h"

namespace {

relayattn::Result<std::unique_ptr<relayattn::Backend>> create(int64_t) {
    std::abort();
}

}  // namespace

extern "C" const relayattn::cuda::Plugin* relayattn_cuda_plugin() {
    static constexpr relayattn::cuda::Plugin plugin{"of another day", create};
    return &plugin;
}
