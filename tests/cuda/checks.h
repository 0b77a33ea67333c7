// Comparisons that tests of the CUDA backend share.
#pragma once

#include <doctest/doctest.h>

#include "gpu.h"
#include "problem.h"
#include "rig.h"
#include "support/compare.h"
#include "support/dtype.h"

namespace relayattn::test {

// Kernels on matrix units round probabilities to the KV dtype; the general path does not.
inline Precision precision_of(const ProblemOptions& options) {
    Precision precision;
    if (!is_general() && options.layer.kv.dtype != Dtype::f32)
        precision.rounded_to = static_cast<int32_t>(options.layer.kv.dtype);
    return precision;
}

inline void check_output(const Problem& problem, const Output& got) {
    const Expected want = expected_of(problem);
    const Precision precision = precision_of(problem.options);
    const auto dtype = static_cast<int32_t>(problem.options.layer.out_dtype);
    CHECK(compare_outputs(got.out, want.out, dtype, precision).text == "");
    CHECK(compare_lse(got.lse, want.lse).text == "");
}

}  // namespace relayattn::test
