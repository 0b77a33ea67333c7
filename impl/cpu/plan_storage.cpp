#include "impl/cpu/plan_storage.h"

#include <algorithm>

#include "impl/cpu/scratch.h"

namespace relayattn::cpu {
namespace {

// Hands out consecutive arrays of one block; of no block at all, to learn its size.
class Carver {
  public:
    explicit Carver(void* block)
        : base_(round_up(static_cast<int64_t>(reinterpret_cast<intptr_t>(block)), 64)) {}

    template <class T>
    void take(T*& array, int64_t count) {
        array = reinterpret_cast<T*>(static_cast<intptr_t>(base_ + used_));
        used_ += round_up(count * static_cast<int64_t>(sizeof(T)), 64);
    }
    // Room to align a block of any address included.
    int64_t bytes() const { return used_ + 64; }

  private:
    int64_t base_;
    int64_t used_ = 0;
};

void carve_metadata(const PlanShape& shape, Carver& carver, PlanArrays& a) {
    carver.take(a.items, shape.max_items);
    carver.take(a.pieces, shape.max_pieces);
    carver.take(a.page_table, shape.max_table_entries);
    carver.take(a.item_tokens, shape.max_item_tokens);
    carver.take(a.tokens, shape.max_tokens);
    carver.take(a.partial_index, shape.max_partials);
    carver.take(a.merged_tokens, shape.max_tokens);
    carver.take(a.slots, shape.max_tokens);
    carver.take(a.missing, shape.max_tokens * shape.geometry.num_kv_heads);
}

void carve_scratch(const PlanShape& shape, int64_t num_workers, Carver& carver, PlanArrays& a) {
    const int64_t rows = shape.max_partials * shape.max_q_heads;
    carver.take(a.partials.o, rows * shape.geometry.head_dim_v);
    carver.take(a.partials.m, rows);
    carver.take(a.partials.l, rows);
    // A second part is for tails between the steps of a unit of many rows.
    a.worker_scratch_bytes = 2 * round_up(scratch_bytes(shape.geometry.head_dim_v), 4096);
    carver.take(a.worker_scratch, num_workers * a.worker_scratch_bytes);
}

}  // namespace

PlanMemory PlanStorage::bytes(const PlanShape& shape, int64_t num_workers) {
    PlanArrays arrays{};
    Carver metadata(nullptr), scratch(nullptr);
    carve_metadata(shape, metadata, arrays);
    carve_scratch(shape, num_workers, scratch, arrays);
    return {scratch.bytes(), metadata.bytes()};
}

PlanStorage::PlanStorage(const PlanShape& shape, int64_t num_workers, const PlanBuffers& buffers)
    : shape_(shape) {
    const PlanMemory need = bytes(shape, num_workers);
    if (buffers.scratch == nullptr) {
        scratch_ = allocate_block(need.scratch);
    }
    if (buffers.metadata == nullptr) {
        metadata_ = allocate_block(need.metadata);
    }
    Carver metadata(buffers.metadata == nullptr ? metadata_.get() : buffers.metadata);
    Carver scratch(buffers.scratch == nullptr ? scratch_.get() : buffers.scratch);
    carve_metadata(shape, metadata, arrays_);
    carve_scratch(shape, num_workers, scratch, arrays_);
}

Result<void> check_fits(const WorkList& work, const PlanShape& shape) {
    struct Bound {
        const char* name;
        int64_t size, most;
    };
    const auto size = [](const auto& array) { return static_cast<int64_t>(array.size()); };
    const Bound bounds[] = {
        {"items", size(work.items), shape.max_items},
        {"pieces", size(work.pieces), shape.max_pieces},
        {"table entries", size(work.page_table), shape.max_table_entries},
        {"item tokens", size(work.item_tokens), shape.max_item_tokens},
        {"tokens", work.num_tokens() + work.padded_tokens, shape.max_tokens},
        {"slots", size(work.slots), shape.max_tokens},
        {"merged tokens", size(work.merged_tokens), shape.max_tokens},
        {"partial indexes", size(work.partial_index), shape.max_partials},
        {"partials", work.num_partials, shape.max_partials},
    };
    for (const Bound& bound : bounds) {
        if (bound.size > bound.most) {
            return error(Code::internal, "the work list has ", bound.size, " ", bound.name,
                         "; the plan was made for at most ", bound.most);
        }
    }
    return {};
}

}  // namespace relayattn::cpu
