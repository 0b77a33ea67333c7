// The GPU under test.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "impl/backend.h"

namespace relayattn::test {

// A new CUDA backend. RELAYATTN_CUDA_KERNELS holds it to one kernel family.
std::unique_ptr<Backend> make_gpu();

// Whether it is held to the general path, which computes in float32 alone.
bool is_general();

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
