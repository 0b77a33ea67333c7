// Is the output right? Attention in float64 over the inputs, which knows nothing of pages or plans.
#pragma once

#include <vector>

#include "inputs.h"
#include "shapes.h"

namespace relayattn::bench {

// ||out - reference|| / ||reference|| over some heads of the first, a middle and the last sequence,
// the last new token of each. `out` = [tokens, q_heads, head_dim] decoded; NaN if any is.
double relative_error(const Shape& shape, const Inputs& inputs, const std::vector<float>& out);

}  // namespace relayattn::bench
