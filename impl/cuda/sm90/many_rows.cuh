// Items with many rows per KV head, for sm_90a: warpgroup products fed by the copy engine's ring.
//
// A warpgroup holds 64 rows: Q in shared memory, scores, weights and output in registers. While the
// softmax of one step runs, the tensor cores work on the scores of the next and on the output of
// the last (FlashAttention-3's overlap within a warpgroup):
//   for j: S = Q Kj^T | O += P V(j-1) | softmax of S to P while O runs;  O += P V of the last
#pragma once

#include "impl/cuda/sm80/tile_output.cuh"
#include "impl/cuda/sm90/load.cuh"
#include "impl/cuda/sm90/wgmma.cuh"

namespace relayattn::cuda::sm90 {

// Named barriers; 0 is __syncthreads'.
constexpr int k_all_consumers_barrier = 1;
constexpr int k_one_consumer_barrier = 2;  // and the next, one for each warpgroup

// `whole`: with what few models and steps ask for, soft-cap, ALiBi and tree masks.
template <class T, int head_dim, class Tile, bool whole>
struct Consumer {
    static constexpr int consumers = Tile::consumers;
    static constexpr int outputs = Tile::dim / 2;

    const KernelParams& p;
    Smem<Tile>& smem;
    const int thread;  // in its warpgroup
    RingPlace<Tile::stages> place;
    int row_tile;  // of the item; with one consumer only
    bool last;     // the step that was looked at is the item's last

    TileSoftmax<Tile::step> softmax;
    uint32_t weights[Tile::step / 4];
    float o[outputs];

    __device__ __forceinline__ Consumer(const KernelParams& params, Smem<Tile>& shared)
        : p(params), smem(shared), thread(static_cast<int>(threadIdx.x) % k_group_threads) {}

    // The warpgroup among the consumers; made anew where it is needed, for want of registers.
    __device__ __forceinline__ int group() const {
        return static_cast<int>(ptx::opaque(threadIdx.x)) / k_group_threads;
    }

    // Of the warpgroup's rows, among the item's. One consumer takes 64 rows after the other.
    __device__ __forceinline__ int first_row() const {
        return (consumers > 1 ? group() : row_tile) * k_group_rows;
    }

    // The item's row that this thread's accumulators begin with.
    __device__ __forceinline__ int tile_row() const {
        return first_row() + thread / k_warp * 16 + thread % k_warp / 4;
    }

    // By asynchronous copies, so that all are under way at once. The work waits for them, and for
    // every instruction that runs for the first time: a short loop that only adds.
    __device__ __forceinline__ void load_q(const Item& item, int kv_head) {
        constexpr int row_chunks = Tile::dim / 8, rows = k_group_threads / row_chunks;
        // All four warps are done with the Q of the last item.
        ptx::barrier(k_one_consumer_barrier + group(), k_group_threads);
        const uint32_t to = ptx::shared_address(smem.q[group()]);
        const int chunk = thread % row_chunks;
        const int64_t token_stride = p.call.q.token_stride, head_stride = p.call.q.head_stride;
        const T* const q =
            static_cast<const T*>(p.call.q.data) + chunk * 8 + kv_head * p.group * head_stride;
        int row = thread / row_chunks;
        int token = p.by_group.divide(first_row() + row);
        int head = first_row() + row - token * p.group;
        const int token_step = p.by_group.divide(rows), head_step = rows - token_step * p.group;
        const int64_t step = token_step * token_stride + head_step * head_stride;
        const int64_t wrap = token_stride - p.group * head_stride;
        const bool in_turn = item.first_token < 0;  // the item's tokens follow each other
        const T* from =
            q + (in_turn ? ~item.first_token + token : 0) * token_stride + head * head_stride;
#pragma unroll 1
        for (; row < k_group_rows; row += rows) {
            const bool valid = token < item.num_tokens && chunk * 8 < head_dim;
            if (!in_turn && valid)
                from = q + p.call.work.token_of(item, token) * token_stride + head * head_stride;
            ptx::copy_async_16_or_zeros(to + chunk / 8 * Tile::q_block_bytes + row * k_swizzle_row +
                                            ((chunk % 8) ^ (row % 8)) * 16,
                                        from, valid);
            from += step;
            head += head_step;
            token += token_step;
            if (head >= p.group) {
                head -= p.group;
                ++token;
                from += wrap;
            }
        }
        ptx::copy_async_commit();
    }

    __device__ __forceinline__ void wait_q() const {
        ptx::copy_async_wait<0>();
        ptx::fence_async_proxy_shared();
        ptx::barrier(k_one_consumer_barrier + group(), k_group_threads);
    }

    __device__ __forceinline__ void begin(const Item& item, int kv_head) {
        load_q(item, kv_head);
        softmax.begin(p, item, kv_head, tile_row());
#pragma unroll
        for (int i = 0; i < outputs; ++i)
            o[i] = 0;
#pragma unroll
        for (int i = 0; i < Tile::step / 4; ++i)
            weights[i] = 0;
        wait_q();
    }

    // racecheck takes the producer's next write here for a hazard. It is none: the warp reads in
    // one instruction, before products that need all its lanes, and gives the stage back after
    // those.
    __device__ __forceinline__ Step step_at(int stage) {
        const int4 x = smem.steps[stage];
        last = x.w;
        return {x.x, x.y, x.z};
    }

    // Every warp of both warpgroups gives a stage back.
    __device__ __forceinline__ void release(int stage) {
        if (thread % k_warp == 0)
            ptx::arrive(&smem.empty[stage], 1);
    }

    __device__ __forceinline__ void issue_scores(int stage) {
        const uint64_t q = ptx::swizzled_128(ptx::opaque(ptx::shared_address(smem.q[group()])), 0);
        const uint64_t k =
            ptx::swizzled_128(ptx::opaque(ptx::shared_address(smem.stages[stage])), 0);
        constexpr int slices = Tile::dim / 16, block_slices = k_box_columns / 16;
#pragma unroll
        for (int i = 0; i < slices; ++i) {
            const int in_block = i % block_slices * 32, block = i / block_slices;
            ptx::scores_product<T, Tile::step>(
                softmax.s, q + ((block * Tile::q_block_bytes + in_block) >> 4),
                k + ((block * Tile::block_bytes + in_block) >> 4), i > 0);
        }
    }

    __device__ __forceinline__ void issue_output(int stage, bool add) {
        const uint64_t v = ptx::swizzled_128(ptx::opaque(ptx::shared_address(smem.stages[stage])),
                                             Tile::block_bytes);
#pragma unroll
        for (int i = 0; i < Tile::step / 16; ++i)
            ptx::output_product<T, Tile::dim>(o, weights + i * 4,
                                              v + ((i * 16 * k_swizzle_row) >> 4), add || i > 0);
    }

    // Warpgroups at work on the item.
    __device__ __forceinline__ int groups_of(const Item& item) const {
        return consumers > 1 && item.num_tokens * p.group > k_group_rows ? consumers : 1;
    }

    // Slots that hold no token of the item may hold anything: their V becomes zero.
    __device__ __forceinline__ void clear_outside(const Item& item, int stage, const Step& step) {
        constexpr int row_chunks = Tile::block_bytes / 16 / Tile::step;
        char* v = smem.stages[stage];
        const int groups = groups_of(item);
        const int threads = groups * k_group_threads;
        for (int i = group() * k_group_threads + thread; i < Tile::stage_bytes / 16; i += threads) {
            const int slot = i / row_chunks % Tile::step;
            if (slot < step.begin || slot >= step.end)
                reinterpret_cast<int4*>(v)[i] = int4{0, 0, 0, 0};
        }
        ptx::fence_async_proxy_shared();
        ptx::barrier(groups == 1 ? k_one_consumer_barrier + group() : k_all_consumers_barrier,
                     threads);
    }

    __device__ __forceinline__ void shrink_output() {
#pragma unroll
        for (int i = 0; i < outputs; ++i)
            o[i] *= softmax.shrink[i / 2 % 2];
    }

    // Waits for the ring's next stage and steps past it.
    __device__ __forceinline__ int next_stage() {
        const int stage = place.stage;
        ptx::wait(&smem.full[stage], place.parity);
        place.advance();
        return stage;
    }

    __device__ __forceinline__ void start_scores(int stage) {
        ptx::pin(softmax.s);
        ptx::product_fence();
        issue_scores(stage);
        ptx::product_commit();
    }

    __device__ __forceinline__ void start_output(const Item& item, int stage, const Step& step,
                                                 bool add) {
        if (step.end - step.begin < Tile::step)
            clear_outside(item, stage, step);
        ptx::pin(o);
        ptx::product_fence();
        issue_output(stage, add);
        ptx::product_commit();
    }

    // The ring holds K0, V0, K1, V1, ...; V of a step is used after K of the next. The first step
    // has no weights to multiply yet: its product is dropped by the next. One body for all steps is
    // half the code, and code that is not in the instruction cache costs microseconds.
    __device__ __forceinline__ void attend(const Item& item, int kv_head) {
        Step step = {0, 0, Tile::step};  // whose weights wait for their V
        int steps = 0;
        do {
            const int v_stage = steps > 0 ? next_stage() : place.stage;
            const int k_stage = next_stage();
            const Step next = step_at(k_stage);
            start_scores(k_stage);
            start_output(item, v_stage, step, steps > 1);
            ptx::product_wait<1>();
            ptx::pin(softmax.s);
            if (steps > 0)
                release(k_stage);
            softmax.template update<whole>(p, item, kv_head, tile_row(), next);
            ptx::product_wait<0>();
            ptx::pin(o);
            release(v_stage);
            if (softmax.shrinks)
                shrink_output();
            softmax.template pack<T>(weights);
            step = next;
            ++steps;
        } while (!last);
        const int v_stage = next_stage();
        start_output(item, v_stage, step, steps > 1);
        ptx::product_wait<0>();
        ptx::pin(o);
        release(v_stage);
    }

    // Without rows of its own a warpgroup is kept in step with the ring: a waiter that is a turn
    // ahead would take an old stage for its own.
    __device__ __forceinline__ void follow_ring() {
        do {
            const int k_stage = next_stage();
            step_at(k_stage);
            __syncwarp();
            release(k_stage);
            release(next_stage());
        } while (!last);
    }

    __device__ __forceinline__ void run(const ItemStart& start, int kv_head, int tile) {
        if constexpr (consumers == 1)
            row_tile = tile;
        const Item& item = start.head.item;
        if (group() >= groups_of(item)) {
            follow_ring();
            return;
        }
        begin(item, kv_head);
        attend(item, kv_head);
        store(item, kv_head);
    }

    // Q has been read, and its memory serves to turn the rows.
    __device__ __forceinline__ void store(const Item& item, int kv_head) {
        using Turned = TurnedRows<head_dim>;
        static_assert(sizeof(Turned) * (k_group_threads / k_warp) <= sizeof(smem.q[0]));
        ptx::barrier(k_one_consumer_barrier + group(), k_group_threads);
        auto* const turned = reinterpret_cast<Turned*>(smem.q[group()]);
        store_tile<T, head_dim>(p, item, kv_head, tile_row(), softmax, o, turned[thread / k_warp]);
    }
};

}  // namespace relayattn::cuda::sm90
