// What librelayattn-cuda.so offers to librelayattn.so. Both are made of the same sources: they
// share the C++ types of impl/backend.h, so their build ids must be equal before anything else is
// called.
#pragma once

#include <cstdint>
#include <memory>

#include "impl/backend.h"

// Without a build id (see cmake/build_id.cmake) no plugin matches.
#ifndef RELAYATTN_BUILD_ID
#define RELAYATTN_BUILD_ID ""
#endif

namespace relayattn::cuda {

struct Plugin {
    const char* build_id;  // stays the first member in every version
    Result<std::unique_ptr<Backend>> (*create)(int64_t ordinal);
};

using PluginEntry = const Plugin* (*)();

inline constexpr const char* k_plugin_entry = "relayattn_cuda_plugin";

}  // namespace relayattn::cuda
