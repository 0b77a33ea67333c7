// The memory of one plan: the step's work list, the progress of its merged tokens, partials, and
// the workers' scratch. Sized from a PlanShape, so that attend never allocates.
#pragma once

#include <cstdint>

#include "impl/backend.h"
#include "impl/cpu/job.h"
#include "impl/cpu/memory.h"

namespace relayattn::cpu {

struct PlanArrays {
    // metadata
    Item* items;
    Piece* pieces;
    int32_t* page_table;
    int32_t* item_tokens;
    QueryToken* tokens;
    int32_t* partial_index;
    int32_t* merged_tokens;
    int64_t* slots;
    int32_t* missing;  // [kv head][token]: partials of a merged token not yet written
    // scratch
    Partials partials;
    char* worker_scratch;  // [num_workers][worker_scratch_bytes]
    int64_t worker_scratch_bytes;
};

class PlanStorage {
  public:
    static PlanMemory bytes(const PlanShape& shape, int64_t num_workers);

    // Buffers that are null are allocated and owned.
    PlanStorage(const PlanShape& shape, int64_t num_workers, const PlanBuffers& buffers);

    const PlanShape& shape() const { return shape_; }
    const PlanArrays& arrays() const { return arrays_; }

  private:
    PlanShape shape_;
    Block scratch_, metadata_;
    PlanArrays arrays_{};
};

// Whether the list keeps the shape's bounds.
Result<void> check_fits(const WorkList& work, const PlanShape& shape);

}  // namespace relayattn::cpu
