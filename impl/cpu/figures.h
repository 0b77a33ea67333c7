// Numbers of this backend that were measured, or follow from the machine.
#pragma once

#include <cstdint>

#include "impl/core/layer.h"
#include "impl/core/plan/device_figures.h"
#include "impl/cpu/dispatch.h"

namespace relayattn::cpu {

// Rows of a unit that multiply for longer than it takes to read their KV, by a quarter at least.
int64_t rows_that_leave_memory_idle(const InstructionSet& set, const Layer& layer);

DeviceFigures figures_of(const InstructionSet& set, int64_t num_threads, const Layer& layer);

// Columns of one step: K and V of a step should lie in half of L2 while the tiles of an item pass
// over them. Depends on the machine and the geometry only, so that results do.
int64_t step_columns(const KvGeometry& kv);

// Multiply-adds below which an attend stays on the calling thread.
constexpr int64_t k_small_products = 400000;

// Bytes of K and V below which writing them stays on the calling thread.
constexpr int64_t k_small_write_bytes = 1 << 18;

}  // namespace relayattn::cpu
