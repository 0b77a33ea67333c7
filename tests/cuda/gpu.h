// The GPU under test.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "impl/backend.h"

namespace relayattn::test {

// A new CUDA backend. `kernels` names a kernel family (see RELAYATTN_CUDA_KERNELS); null = all.
std::unique_ptr<Backend> make_gpu(const char* kernels = nullptr);

// Those that may differ on this GPU.
inline constexpr const char* kernel_names[] = {nullptr, "general"};

template <class T>
T value_of(Result<T> result) {
    if (!result)
        throw std::runtime_error(result.error().text);
    return std::move(*result);
}

inline void must(const Result<void>& result) {
    if (!result)
        throw std::runtime_error(result.error().text);
}

}  // namespace relayattn::test
