// Draws the shapes of a random scenario: models, caches, plans, steps.
#pragma once

#include <vector>

#include "mirror_step.h"

namespace relayattn::test {

CacheSpec draw_cache(Random& random);
PlanSpec draw_plan(Random& random);

// A step of some of the sequences. `plan` says whether a tree mask is allowed.
StepSpec draw_step(Random& random, const PlanSpec& plan,
                   const std::vector<MirrorSequence*>& sequences);

// A length around page boundaries, or any up to `most`.
int64_t draw_length(Random& random, int64_t page_size, int64_t most);

}  // namespace relayattn::test
