// Rows of q, out and merge operands: any dtype in memory, float32 in registers. Dims need not be a
// multiple of the vector.
#pragma once

#include "impl/core/layer.h"
#include "impl/cpu/kernels/math.h"

namespace relayattn::cpu {
namespace {

template <class V, class T>
[[gnu::always_inline]] inline typename V::F widen_part(const T* p, int64_t n) {
    T whole[V::width] = {};
    for (int64_t i = 0; i < n; ++i) {
        whole[i] = p[i];
    }
    return V::widen(whole);
}

template <class V, class T>
[[gnu::always_inline]] inline void narrow_part(T* p, int64_t n, typename V::F value) {
    T whole[V::width];
    V::narrow(whole, value);
    for (int64_t i = 0; i < n; ++i) {
        p[i] = whole[i];
    }
}

// to[i] = from[i] * scale
template <class V, class T>
inline void read_row_as(const char* from, int64_t n, float scale, float* to) {
    const T* p = reinterpret_cast<const T*>(from);
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) {
        V::store(to + i, V::mul(V::widen(p + i), V::set(scale)));
    }
    if (i < n) {
        narrow_part<V>(to + i, n - i, V::mul(widen_part<V>(p + i, n - i), V::set(scale)));
    }
}

template <class V>
inline void read_row(Dtype dtype, const char* from, int64_t n, float scale, float* to) {
    switch (dtype) {
        case Dtype::f32:
            return read_row_as<V, float>(from, n, scale, to);
        case Dtype::f16:
            return read_row_as<V, F16>(from, n, scale, to);
        case Dtype::bf16:
            return read_row_as<V, Bf16>(from, n, scale, to);
    }
}

// to[i] = from[i] * scale
template <class V, class T>
inline void write_row_as(const float* from, int64_t n, float scale, char* to) {
    T* p = reinterpret_cast<T*>(to);
    int64_t i = 0;
    for (; i + V::width <= n; i += V::width) {
        V::narrow(p + i, V::mul(V::load(from + i), V::set(scale)));
    }
    if (i < n) {
        narrow_part<V>(p + i, n - i, V::mul(widen_part<V>(from + i, n - i), V::set(scale)));
    }
}

template <class V>
inline void write_row(Dtype dtype, const float* from, int64_t n, float scale, char* to) {
    switch (dtype) {
        case Dtype::f32:
            return write_row_as<V, float>(from, n, scale, to);
        case Dtype::f16:
            return write_row_as<V, F16>(from, n, scale, to);
        case Dtype::bf16:
            return write_row_as<V, Bf16>(from, n, scale, to);
    }
}

// All bits zero is 0 in every dtype.
inline void zero_row(Dtype dtype, int64_t n, char* to) {
    __builtin_memset(to, 0, static_cast<uint64_t>(n) * (dtype == Dtype::f32 ? 4 : 2));
}

}  // namespace
}  // namespace relayattn::cpu
