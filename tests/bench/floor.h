// What a shape costs at least: the bytes that must be read once, and the products.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shapes.h"

namespace relayattn::bench {

struct Dtypes {
    int32_t q;  // RA_F32, RA_F16 or RA_BF16; the output's too
    int32_t kv;

    std::string name() const;  // "bf16", or "f32,kv=bf16"
};

struct Work {
    double bytes;  // every prefix once, the tails, q and out
    double flops;
};
Work work_of(const Shape& shape, Dtypes dtypes);

struct MatrixRate {
    std::string name;
    int32_t isa;    // RA_ISA_*, the least that has it; on a GPU 0
    int32_t dtype;  // of K and V; 0 = any (16-bit values are widened)
    double flops;   // per second, all threads
};

struct Ceilings {
    double read = 0;  // bytes per second beyond the caches, all threads
    std::vector<MatrixRate> matrix;

    // The fastest that a kernel for this dtype may use on instruction sets up to `isa`.
    const MatrixRate& best(int32_t dtype, int32_t isa) const;
};

struct Floor {
    double seconds;
    double memory, matrix;  // its two sides
    std::string rate;       // the name of the matrix rate
};
Floor floor_of(const Work& work, const Ceilings& ceilings, int32_t dtype, int32_t isa);

}  // namespace relayattn::bench
