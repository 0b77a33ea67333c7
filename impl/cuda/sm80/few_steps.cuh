// What a warp of a few-row item walks through: its shared memory, its steps, its pages.
#pragma once

#include "impl/cuda/sm80/kernel_params.h"

namespace relayattn::cuda {

constexpr int k_few_rows = 8;
constexpr int k_few_step = 16;     // tokens
constexpr int k_page_granule = 8;  // a group of so many aligned slots lies in one page

// One warp's shared memory.
// `tiles` of K and V in turn; odd, so that a slot that falls free takes a tile of the other kind.
template <int dim, int tiles>
struct FewSmem {
    // One 16-byte chunk of padding makes a row an odd number of chunks: no bank conflicts.
    static constexpr int row_bytes = dim * 2 + 16;
    static constexpr int tile_bytes = k_few_step * row_bytes;
    static constexpr int ring_bytes = tiles * tile_bytes;
    static constexpr int info_offset = ring_bytes;  // the step of the K tile in each slot
    static constexpr int info_bytes = tiles * 16;
    // At the end of an item the ring holds the warp's result instead.
    static constexpr int result_row = dim + 4;  // floats; the padding spreads rows over banks
    static constexpr int result_state = k_few_rows * result_row;  // then max[8], sum[8]
    static constexpr int bytes = ring_bytes + info_bytes;
    static_assert((result_state + 2 * k_few_rows) * 4 <= ring_bytes);
};

// A step as the arithmetic needs it.
struct FewStep {
    int32_t position;    // of its first slot
    int32_t begin, end;  // valid slots of the 16
    int32_t fresh;       // slots from here on are new tokens, in the call's tensors
};

// Walks the steps of an item that belong to one warp, a piece from its end to its start: what needs
// most time, the step with the new tokens, comes first and hides under the others. A piece's slots
// are numbered from the start of its first page, so that a step of aligned slots meets a page
// boundary only at a granule.
struct FewCursor {
    const Piece* piece;
    int32_t pieces_left;
    int32_t table, first, end, position;  // of the piece; position of its slot 0
    int32_t slot;                         // the step's first slot

    __device__ __forceinline__ bool done() const { return pieces_left == 0; }

    __device__ __forceinline__ void open(const Piece& p, int32_t steps_in) {
        table = p.table_offset;
        first = p.first_slot;
        end = p.first_slot + p.num_tokens;
        position = p.position - p.first_slot;
        slot = ((end + k_few_step - 1) / k_few_step - 1 - steps_in) * k_few_step;
    }

    // Moves to the next piece until the step lies inside one.
    __device__ __forceinline__ void settle() {
        while (slot < first / k_few_step * k_few_step) {
            const int32_t past = first / k_few_step - slot / k_few_step - 1;
            if (--pieces_left == 0)
                return;
            ++piece;
            open(load_now(piece), past);
        }
    }

    __device__ __forceinline__ void advance(int32_t steps) {
        slot -= steps * k_few_step;
        settle();
    }
};

// Page ids of a piece, 32 at a time, one per lane; at first those of the item's record.
struct PageWindow {
    int32_t table, base, id;

    explicit __device__ __forceinline__ PageWindow(const ItemStart& start)
        : table(start.table), base(0), id(start.page) {}

    // `index` is the same in all lanes; `last` is the piece's last page.
    __device__ __forceinline__ int32_t at(const int32_t* page_table, int32_t piece_table,
                                          int32_t index, int32_t last, int lane) {
        if (piece_table != table || static_cast<uint32_t>(index - base) >= k_warp) {
            table = piece_table;
            base = index & -k_warp;
            id = page_table[table + min(base + lane, last)];
        }
        return __shfl_sync(~0u, id, index - base);
    }
};

}  // namespace relayattn::cuda
