// Items with at most 8 rows per KV head, for sm_80 and newer: bound by memory, so everything serves
// the loads.
//
// A few warps share one item on one KV head. Each takes every n-th step of 16 tokens and keeps its
// own ring of asynchronous copies; no warp waits for another before the end of the item. The
// product is turned round, S^T = K Q^T, so that 8 rows fill the N of one m16n8k16:
//   S^T [16 tokens x 8 rows] = K (ldmatrix) x Q (registers)
//   O^T [16 dims x 8 rows]  += V^T (ldmatrix.trans) x P^T (S^T through movmatrix)
// With at most 4 rows the other half of N holds them once more, and there P is what rounding has
// left out of the weights: so these cost no accuracy.
#pragma once

#include "impl/cuda/sm80/few_steps.cuh"
#include "impl/cuda/sm80/output.cuh"

namespace relayattn::cuda {

__device__ __forceinline__ bool splits_weights(const KernelParams& p, const Item& item) {
    return item.num_tokens * p.group <= k_few_rows / 2;
}

template <class T, int dim, int warps, int tiles>
struct FewRows {
    using Smem = FewSmem<dim, tiles>;
    static constexpr int k_slices = dim / 16;
    static constexpr int row_chunks = dim / 8;
    // Copies of 16 bytes per lane, of K or of V. A lane comes back to the same chunk, some rows
    // further on, after `period` copies.
    static constexpr int copies = k_few_step * row_chunks / k_warp;
    static constexpr int period = dim == 96 ? 3 : 1;
    static constexpr int period_rows = period * k_warp / row_chunks;

    const KernelParams& p;
    const Item item;
    const int kv_head, warp, lane;
    char* const smem;      // this warp's
    const uint32_t ring;   // its address
    int32_t append_from;   // position
    int32_t append_token;  // new token at position 0, so to speak
    FewCursor cursor;
    PageWindow window;
    uint32_t q[k_slices][2];
    float o[k_slices][4];
    float row_max[2], row_sum[2];
    const int row_mask;  // of the product's row, for the item's

    __device__ __forceinline__ FewRows(const KernelParams& params, const ItemStart& work,
                                       int of_head, char* group_smem, int warp_in_group)
        : p(params),
          item(work.head.item),
          kv_head(of_head),
          warp(warp_in_group),
          lane(threadIdx.x % k_warp),
          smem(group_smem + warp_in_group * Smem::bytes),
          ring(ptx::shared_address(smem)),
          window(work),
          row_mask(splits_weights(params, item) ? k_few_rows / 2 - 1 : k_few_rows - 1) {}

    // The half of the product that this lane's scores lie in holds rests.
    __device__ __forceinline__ bool holds_rests() const { return lane % 4 * 2 > row_mask; }

    __device__ __forceinline__ const T* page_row(const Pages& pages, int32_t page,
                                                 int32_t slot) const {
        return static_cast<const T*>(pages.data) + page * pages.page_stride +
               slot * pages.token_stride + kv_head * pages.head_stride;
    }

    // The loads that others wait for come first.
    __device__ __forceinline__ void begin(const ItemHead& head) {
        cursor.piece = p.call.work.pieces + item.first_piece;
        cursor.pieces_left = item.num_pieces;
        if (!cursor.done()) {
            cursor.open(head.piece, warp);
            cursor.settle();
        }
        append_from = append_begin(p.call, head.append_from);
        append_token = head.append_token;
        row_max[0] = row_max[1] = k_no_max;
        row_sum[0] = row_sum[1] = 0;
#pragma unroll
        for (int i = 0; i < k_slices; ++i)
            o[i][0] = o[i][1] = o[i][2] = o[i][3] = 0;
    }

    __device__ __forceinline__ void load_q() {
        const Row row = row_of(p, item, kv_head, lane / 4 & row_mask);
        const T* from = static_cast<const T*>(p.call.q.data) + row.token * p.call.q.token_stride +
                        row.head * p.call.q.head_stride + lane % 4 * 2;
#pragma unroll
        for (int i = 0; i < k_slices; ++i) {
#pragma unroll
            for (int half = 0; half < 2; ++half)
                q[i][half] = row.token < 0
                                 ? 0u
                                 : *reinterpret_cast<const uint32_t*>(from + i * 16 + half * 8);
        }
    }

    // Starts the copy of the cursor's step, its K or its V, into a slot of the ring; false if no
    // step is left.
    __device__ __forceinline__ bool issue(int slot, const Pages& pages, const Strided& fresh) {
        const bool any = !cursor.done();
        if (any) {
            FewStep step;
            step.position = cursor.position + cursor.slot;
            step.begin = max(cursor.first - cursor.slot, 0);
            step.end = min(cursor.end - cursor.slot, k_few_step);
            step.fresh = min(max(append_from - step.position, step.begin), step.end);
            if (p.whole_steps && step.begin == 0 && step.fresh == k_few_step)
                copy_whole(slot, pages);
            else
                copy_rows(slot, step, pages, fresh);
            if (&pages == &p.call.k_pages) {
                if (lane == 0)
                    *step_info(slot) = make_int4(step.position, step.begin, step.end, 0);
            } else {
                cursor.advance(warps);
            }
        }
        ptx::copy_async_commit();
        return any;
    }

    // K of a step comes first, V moves the cursor on.
    __device__ __forceinline__ bool issue_k(int slot) {
        return issue(slot, p.call.k_pages, p.call.k);
    }
    __device__ __forceinline__ void issue_v(int slot) { issue(slot, p.call.v_pages, p.call.v); }

    // A step of 16 slots of one page, all of them tokens of the piece.
    __device__ __forceinline__ void copy_whole(int ring_slot, const Pages& pages) {
        const int32_t index = p.by_page_size.divide(cursor.slot);
        const int32_t last = p.by_page_size.divide(cursor.end - 1);
        const int32_t page = window.at(p.call.work.page_table, cursor.table, index, last, lane);
        const T* from = page_row(pages, page, cursor.slot - index * p.call.page_size);
        const uint32_t to = ring + ring_slot * Smem::tile_bytes;
#pragma unroll
        for (int j = 0; j < period; ++j) {
            const int row = (lane + j * k_warp) / row_chunks;
            const int chunk = (lane + j * k_warp) % row_chunks;
            const uint32_t at = to + row * Smem::row_bytes + chunk * 16;
            const T* from_row = from + row * pages.token_stride + chunk * 8;
#pragma unroll
            for (int i = 0; i < copies / period; ++i) {
                ptx::copy_async_16(at + i * period_rows * Smem::row_bytes, from_row);
                from_row += period_rows * pages.token_stride;
            }
        }
    }

    // Any step. Slots outside the piece become zeros, so that whatever the pages hold there (NaN,
    // say) never meets the arithmetic; new tokens come from the call's tensors.
    __device__ __forceinline__ void copy_rows(int ring_slot, const FewStep& step,
                                              const Pages& pages, const Strided& fresh) {
        const int32_t slot = cursor.slot;
        const int32_t last = p.by_page_size.divide(cursor.end - 1);
        const int32_t index0 = p.by_page_size.divide(slot);
        const int32_t index1 = min(p.by_page_size.divide(slot + k_page_granule), last);
        const int32_t* table = p.call.work.page_table;
        const int32_t page0 = window.at(table, cursor.table, index0, last, lane);
        const int32_t page1 = window.at(table, cursor.table, index1, last, lane);
        // The tokens of slot 0 of the step, if all slots lay in that page, and if all were new.
        const T* low = page_row(pages, page0, slot - index0 * p.call.page_size);
        const T* high = page_row(pages, page1, slot - index1 * p.call.page_size);
        const T* new_row = static_cast<const T*>(fresh.data) + kv_head * fresh.head_stride +
                           (append_token + step.position) * fresh.token_stride;
#pragma unroll 2
        for (int i = 0; i < copies; ++i) {
            const int row = (lane + i * k_warp) / row_chunks;
            const int chunk = (lane + i * k_warp) % row_chunks;
            const bool valid = row >= step.begin && row < step.end;
            const T* from = (row < k_page_granule ? low : high) + row * pages.token_stride;
            if (row >= step.fresh)
                from = new_row + row * fresh.token_stride;
            ptx::copy_async_16_or_zeros(
                ring + ring_slot * Smem::tile_bytes + row * Smem::row_bytes + chunk * 16,
                from + chunk * 8, valid);
        }
    }

    __device__ __forceinline__ int4* step_info(int slot) const {
        return reinterpret_cast<int4*>(smem + Smem::info_offset) + slot;
    }

    // s[0], s[1]: token lane / 4 with rows 2 (lane % 4) and the next; s[2], s[3]: 8 tokens on.
    __device__ __forceinline__ void product(float (&s)[4], uint32_t k_tile) const {
        const uint32_t at = k_tile + lane % 16 * Smem::row_bytes + lane / 16 * 16;
        float odd[4] = {0, 0, 0, 0};
        s[0] = s[1] = s[2] = s[3] = 0;
#pragma unroll
        for (int i = 0; i < k_slices; ++i) {
            uint32_t k[4];
            ptx::load_matrix_x4(k, at + i * 32);
            ptx::mma_16x8x16<T>(i % 2 ? odd : s, k, q[i][0], q[i][1]);
        }
#pragma unroll
        for (int i = 0; i < 4; ++i)
            s[i] += odd[i];
    }

    __device__ __forceinline__ void transform_and_mask(float (&s)[4], const int4& step) const {
#pragma unroll
        for (int r = 0; r < 2; ++r) {
            const Row row = row_of(p, item, kv_head, (lane % 4 * 2 + r) & row_mask);
            const Sight sight = sight_of(p.call, item, row);
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const int slot = lane / 4 + half * 8;
                const int position = step.x + slot;
                float& score = s[half * 2 + r];
                if (p.transforms)
                    score = transform_score(p.call, score, sight.slope, position - sight.position);
                const bool seen =
                    slot >= step.y && slot < step.z && (!item.masked || sees(sight, position));
                score = seen ? score : -INFINITY;
            }
        }
    }

    // Raises the running maxima to those of the step, over all lanes that share a row.
    __device__ __forceinline__ void raise_max(const float (&s)[4]) {
#pragma unroll
        for (int r = 0; r < 2; ++r) {
            float top = fmaxf(s[r], s[2 + r]) * p.score_factor;
#pragma unroll
            for (int mask = 4; mask < k_warp; mask *= 2)
                top = fmaxf(top, __shfl_xor_sync(~0u, top, mask));
            top = fmaxf(top, row_max[r]);
            const float shrink = ptx::exp2_approx(row_max[r] - top);
            row_max[r] = top;
            row_sum[r] *= shrink;
#pragma unroll
            for (int i = 0; i < k_slices; ++i) {
                o[i][r] *= shrink;
                o[i][2 + r] *= shrink;
            }
        }
    }

    // Waits for the oldest copy of a full ring.
    __device__ __forceinline__ void wait_tile() const {
        ptx::copy_async_wait<tiles - 1>();
        __syncwarp();
    }

    __device__ __forceinline__ void scores(int slot, int4& step, float (&s)[4]) const {
        wait_tile();
        step = *step_info(slot);
        product(s, ring + slot * Smem::tile_bytes);
        __syncwarp();
    }

    __device__ __forceinline__ void output(int slot, const int4& step, float (&s)[4]) {
        if (p.transforms | item.masked | (step.z - step.y < k_few_step))
            transform_and_mask(s, step);
        const bool rises = fmaxf(s[0], s[2]) * p.score_factor > row_max[0] + k_max_lag ||
                           fmaxf(s[1], s[3]) * p.score_factor > row_max[1] + k_max_lag;
        if (__any_sync(~0u, rises))
            raise_max(s);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            s[i] = ptx::exp2_approx(fmaf(s[i], p.score_factor, -row_max[i % 2]));
            row_sum[i % 2] += s[i];
        }
        if (holds_rests()) {
#pragma unroll
            for (int i = 0; i < 4; ++i)
                s[i] -= static_cast<float>(T(s[i]));
        }
        const uint32_t p0 = ptx::transpose_8x8(ptx::pack<T>(s[0], s[1]));
        const uint32_t p1 = ptx::transpose_8x8(ptx::pack<T>(s[2], s[3]));
        wait_tile();
        const uint32_t at = ring + slot * Smem::tile_bytes +
                            (lane % 8 + lane / 16 * 8) * Smem::row_bytes + lane / 8 % 2 * 16;
#pragma unroll
        for (int i = 0; i < k_slices; ++i) {
            uint32_t v[4];
            ptx::load_matrix_x4_transposed(v, at + i * 32);
            ptx::mma_16x8x16<T>(o[i], v, p0, p1);
        }
        __syncwarp();
    }

    static __device__ __forceinline__ int next(int slot) {
        return slot + 1 == tiles ? 0 : slot + 1;
    }

    // K0 V0 K1 V1 ... go round the ring, and a slot that is read takes the tile that comes a whole
    // ring later. At first nothing is read until the ring is full.
    __device__ __forceinline__ void run(const ItemHead& head) {
        begin(head);
        int to_fill = tiles / 2;
        int pending = issue_k(0);  // steps whose K was asked for and not read
        load_q();
        ptx::let_next_kernel_start();  // no sooner: its start would take from this one's
        int slot = 1;
        do {
            int4 step;
            float s[4];
            if (to_fill == 0)
                scores(slot, step, s);
            issue_v(slot);
            slot = next(slot);
            if (to_fill == 0) {
                output(slot, step, s);
                --pending;
            } else {
                --to_fill;
            }
            pending += issue_k(slot);
            slot = next(slot);
        } while (pending > 0);
    }

    // Leaves the warp's result in its shared memory.
    __device__ __forceinline__ void leave_result() {
        float* to = reinterpret_cast<float*>(smem);
#pragma unroll
        for (int r = 0; r < 2; ++r) {
#pragma unroll
            for (int mask = 4; mask < k_warp; mask *= 2)
                row_sum[r] += __shfl_xor_sync(~0u, row_sum[r], mask);
            const int row = lane % 4 * 2 + r;
#pragma unroll
            for (int i = 0; i < k_slices; ++i) {
                to[row * Smem::result_row + i * 16 + lane / 4] = o[i][r];
                to[row * Smem::result_row + i * 16 + lane / 4 + 8] = o[i][2 + r];
            }
            if (lane < 4) {
                to[Smem::result_state + row] = row_max[r];
                to[Smem::result_state + k_few_rows + row] = row_sum[r];
            }
        }
    }
};

// Adds up the warps' results, and rests, and writes the rows: four dims of one row per thread and
// turn.
template <class T, int dim, int warps, int tiles>
__device__ __forceinline__ void write_few(const KernelParams& p, const Item& item, int kv_head,
                                          const char* group_smem, int thread) {
    using Smem = FewSmem<dim, tiles>;
    const bool splits = splits_weights(p, item);
    const int quads = item.num_tokens * p.group * (dim / 4);
    for (int i = thread; i < quads; i += warps * k_warp) {
        const int r = i / (dim / 4), quad = i % (dim / 4);
        const Row row = row_of(p, item, kv_head, r);
        const bool direct = item.partial < 0;
        const float sink =
            direct && p.call.sink_logits ? p.call.sink_logits[row.head] * k_log2e : k_no_max;
        float max = sink, sum = 0;
#pragma unroll
        for (int w = 0; w < warps; ++w)
            max = fmaxf(max, reinterpret_cast<const float*>(
                                 group_smem + w * Smem::bytes)[Smem::result_state + r]);
        float4 acc = {0, 0, 0, 0};
#pragma unroll
        for (int w = 0; w < warps; ++w) {
            const float* from = reinterpret_cast<const float*>(group_smem + w * Smem::bytes);
            const float weight = ptx::exp2_approx(from[Smem::result_state + r] - max);
            float4 part = *reinterpret_cast<const float4*>(from + r * Smem::result_row + quad * 4);
            if (splits) {
                const float4 rest = *reinterpret_cast<const float4*>(
                    from + (r + k_few_rows / 2) * Smem::result_row + quad * 4);
                part = {part.x + rest.x, part.y + rest.y, part.z + rest.z, part.w + rest.w};
            }
            sum += weight * from[Smem::result_state + k_few_rows + r];
            acc.x += weight * part.x;
            acc.y += weight * part.y;
            acc.z += weight * part.z;
            acc.w += weight * part.w;
        }
        if (direct && p.call.sink_logits)
            sum += ptx::exp2_approx(sink - max);
        const RowResult result = finish_row(max, sum);
        store_row_quad<T>(p.call, item, row, p.by_group.divide(r), quad, acc, result);
    }
}

// One item on one KV head by the first `warps` warps of a CTA.
template <class T, int dim, int warps, int tiles>
__device__ __forceinline__ void attend_few(const KernelParams& p, const ItemStart& work,
                                           int kv_head, char* group_smem) {
    constexpr int barrier_id = 1;
    FewRows<T, dim, warps, tiles> rows(p, work, kv_head, group_smem, threadIdx.x / k_warp);
    rows.run(work.head);
    rows.leave_result();
    ptx::barrier(barrier_id, warps * k_warp);
    write_few<T, dim, warps, tiles>(p, work.head.item, kv_head, group_smem, threadIdx.x);
}

}  // namespace relayattn::cuda
