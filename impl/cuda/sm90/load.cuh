// The producer of many-row items: one warp feeds the ring of K and V steps by the copy engine.
#pragma once

#include "impl/cuda/sm90/smem.cuh"

namespace relayattn::cuda::sm90 {

// A place in the ring; both sides count alike.
template <int stages>
struct RingPlace {
    int stage = 0;
    uint32_t parity = 0;

    __device__ __forceinline__ void advance() {
        if (++stage == stages) {
            stage = 0;
            parity ^= 1;
        }
    }
};

// The largest box that divides a page: a power of two from 8 to 64.
__device__ __forceinline__ int32_t box_slots_of(int32_t page_size) {
    return min(page_size & -page_size, k_max_box_slots);
}

// Slots of an item's pieces in steps of `step`. A piece's slots are numbered from the start of its
// first page and steps begin at a multiple of a box, so that a box of slots lies in one page.
template <int step>
struct StepCursor {
    int32_t piece, last_piece;
    int32_t table, first, end, position;
    int32_t slot;

    __device__ __forceinline__ StepCursor(const AttendParams& call, const ItemHead& head)
        : piece(head.item.first_piece), last_piece(head.item.first_piece + head.item.num_pieces) {
        if (!done())
            open(call, head.piece);
    }

    __device__ __forceinline__ bool done() const { return piece >= last_piece; }

    // `p` is the next piece; one that is empty is passed over.
    __device__ __forceinline__ void open(const AttendParams& call, Piece p) {
        while (p.num_tokens == 0) {
            if (++piece >= last_piece)
                return;
            p = call.work.pieces[piece];
        }
        table = p.table_offset;
        first = p.first_slot;
        end = p.first_slot + p.num_tokens;
        position = p.position - p.first_slot;
        slot = first & -box_slots_of(call.page_size);
    }

    __device__ __forceinline__ void advance(const AttendParams& call) {
        slot += step;
        if (slot >= end && ++piece < last_piece)
            open(call, call.work.pieces[piece]);
    }
};

template <class T, int head_dim, class Tile>
struct Producer {
    static constexpr int32_t no_page = -1;

    struct Box {  // of this lane
        int32_t page = no_page, slot = 0;
    };

    const KernelParams& p;
    const CUtensorMap *const k_map, *const v_map;
    Smem<Tile>& smem;
    const int lane;
    RingPlace<Tile::stages> place;

    __device__ __forceinline__ Producer(const KernelParams& params, const CUtensorMap* k,
                                        const CUtensorMap* v, Smem<Tile>& shared)
        : p(params), k_map(k), v_map(v), smem(shared), lane(threadIdx.x % k_warp) {}

    __device__ __forceinline__ int32_t box_slots() const { return box_slots_of(p.call.page_size); }

    // The pages of an item's first step come from its record, if they are there. Later ones are
    // asked for a step early, so nothing here may wait for them.
    template <bool first>
    __device__ __forceinline__ Box box_of(const ItemStart& start,
                                          const StepCursor<Tile::step>& at) const {
        Box box;
        const int32_t slot = at.slot + lane * box_slots();
        const int32_t index = p.by_page_size.divide(slot);
        const int32_t held = first ? __shfl_sync(~0u, start.page, index) : no_page;
        if (lane * box_slots() < Tile::step && slot < at.end && slot + box_slots() > at.first) {
            if (first && at.table == start.table)
                box.page = held;
            else
                box.page = p.call.work.page_table[at.table + index];
            box.slot = slot - index * p.call.page_size;
        }
        return box;
    }

    // Waits for a free stage and starts the copies of a step into it.
    __device__ __forceinline__ void put(const CUtensorMap* map, const Box& box, int kv_head,
                                        int4 step) {
        uint64_t* full = &smem.full[place.stage];
        ptx::wait(&smem.empty[place.stage], place.parity ^ 1);
        const int boxes = __popc(__ballot_sync(~0u, box.page != no_page));
        if (lane == 0) {
            smem.steps[place.stage] = step;
            ptx::arrive_expecting(full, boxes * box_slots() * k_swizzle_row * Tile::column_blocks);
        }
        __syncwarp();
        if (box.page != no_page) {
            const uint32_t to =
                ptx::shared_address(smem.stages[place.stage]) + lane * box_slots() * k_swizzle_row;
#pragma unroll
            for (int block = 0; block < Tile::column_blocks; ++block)
                ptx::copy_box(to + block * Tile::block_bytes, map, full, block * k_box_columns,
                              kv_head, box.slot, box.page);
        }
        place.advance();
    }

    // Writes the step's new tokens, from position `begin` on, to their pages before the copy engine
    // reads them there. Items that share them write the same bytes.
    __device__ __forceinline__ void append(int32_t append_token, const StepCursor<Tile::step>& at,
                                           int32_t begin, int32_t end, int kv_head) const {
        if (lane * 8 < head_dim) {
            int32_t token = append_token + begin;
#pragma unroll 1
            for (int32_t slot = begin - at.position; slot < end - at.position; ++slot, ++token) {
                const int32_t index = p.by_page_size.divide(slot);
                const int32_t in_page = slot - index * p.call.page_size;
                const int64_t page = p.call.work.page_table[at.table + index];
                append_row(p.call.k, p.call.k_pages, page, in_page, token, kv_head);
                append_row(p.call.v, p.call.v_pages, page, in_page, token, kv_head);
            }
        }
        ptx::fence_async_proxy();
        __syncwarp();
    }

    __device__ __forceinline__ void append_row(const Strided& from, const Pages& pages,
                                               int64_t page, int32_t in_page, int32_t token,
                                               int kv_head) const {
        const T* row = static_cast<const T*>(from.data) + token * from.token_stride +
                       kv_head * from.head_stride;
        T* to = static_cast<T*>(pages.data) + page * pages.page_stride +
                in_page * pages.token_stride + kv_head * pages.head_stride;
        reinterpret_cast<int4*>(to)[lane] = reinterpret_cast<const int4*>(row)[lane];
    }

    // The same for every row tile. A step's page ids are asked for before the step ahead of it
    // waits for its stages.
    __device__ __forceinline__ void run(const ItemStart& start, int kv_head, int) {
        const ItemHead& head = start.head;
        StepCursor<Tile::step> cursor(p.call, head);
        const int32_t append_from = append_begin(p.call, head.append_from);
        Box next;
        bool empty = cursor.done();
        if (!empty)
            next = box_of<true>(start, cursor);
        while (empty || !cursor.done()) {
            const Box box = next;
            int4 step = make_int4(0, 0, 0, 0);
            if (!empty) {
                step = make_int4(cursor.position + cursor.slot, max(cursor.first - cursor.slot, 0),
                                 min(cursor.end - cursor.slot, Tile::step), 0);
                if (step.x + step.z > append_from)
                    append(head.append_token, cursor, max(step.x + step.y, append_from),
                           step.x + step.z, kv_head);
                cursor.advance(p.call);
                if (!cursor.done())
                    next = box_of<false>(start, cursor);
            }
            step.w = cursor.done();
            put(k_map, box, kv_head, step);
            put(v_map, box, kv_head, step);
            empty = false;
        }
    }
};

}  // namespace relayattn::cuda::sm90
