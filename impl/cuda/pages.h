// Moving rows of K and V: new tokens into pages, pages out, pages to pages.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <span>

#include "impl/backend.h"
#include "impl/cuda/attend_params.h"

namespace relayattn::cuda {

// Rows of one tensor by slot: page = slot / page_size. Strides in bytes. A plain array of tokens
// is one endless page.
struct Rows {
    char* data;
    int64_t page_size;
    int64_t page_stride;
    int64_t token_stride;
    int64_t head_stride;
};

struct Move {
    Rows to, from;
    int32_t num_heads;
    int32_t row_bytes;
};

// Which slots: token i goes from from_slots[i] to to_slots[i]; null = i itself, negative = skipped.
// The count is in device memory where a captured graph must see later ones.
struct MoveSlots {
    const int64_t* to = nullptr;
    const int64_t* from = nullptr;
    int64_t count = 0;  // an upper bound when device_count is given
    const int32_t* device_count = nullptr;
};

Rows k_rows(const LayerStore& store);
Rows v_rows(const LayerStore& store);
Rows rows_of(const View& view);

// Loads the kernels; the GPU's context is current.
cudaError_t prepare_moves();

// No row may be both read and written.
void launch_moves(std::span<const Move> moves, const MoveSlots& slots, cudaStream_t stream);

// K and V of the step's new tokens into their slots; nothing when the call has none.
void launch_append(const AttendParams& params, const LaunchBounds& bounds, cudaStream_t stream);

}  // namespace relayattn::cuda
