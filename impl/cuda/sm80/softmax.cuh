// The online softmax of a tile of scores in the accumulator layout that mma.sync and wgmma share: a
// warp holds 16 rows; a thread holds rows lane / 4 and 8 on ("halves"), and of every 8 columns the
// pair 2 (lane % 4).
#pragma once

#include "impl/cuda/sm80/scores.cuh"

namespace relayattn::cuda {

// A step of KV slots: the position of its slot 0 and which slots hold tokens of the item.
struct Step {
    int32_t position, begin, end;
};

template <int step>
struct TileSoftmax {
    static constexpr int scores = step / 2;  // per thread

    float s[scores];
    float row_max[2], row_sum[2], shrink[2];
    int see_begin[2], see_end[2];
    bool shrinks;  // the output must be multiplied by `shrink` before it grows

    // `row` is that of half 0 in the item's packed rows.
    __device__ __forceinline__ void begin(const KernelParams& p, const Item& item, int kv_head,
                                          int row) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            row_max[h] = k_no_max;
            row_sum[h] = 0;
            see_begin[h] = 0;
            see_end[h] = k_no_position;  // padding never makes a step masked
            if (!item.masked)
                continue;
            const Row at = row_of(p, item, kv_head, row + h * 8);
            if (at.token < 0)
                continue;
            const Sight sight = sight_of(p.call, item, at);
            see_begin[h] = sight.begin;
            see_end[h] = sight.end;
        }
    }

    // Scores to unnormalised weights, still in s. The whole of it, with transforms and tree masks,
    // is more than twice the code.
    template <bool whole>
    __device__ __forceinline__ void update(const KernelParams& p, const Item& item, int kv_head,
                                           int row, const Step& at) {
        if (whole && p.transforms)
            transform(p, item, kv_head, row, at);
        if (at.end - at.begin < step || (item.masked && !__all_sync(~0u, sees_all(at))))
            mask(item, at);
        if (whole && item.tree)
            mask_tree(p, item, kv_head, row, at);
        float top[2] = {s[0], s[2]};
#pragma unroll
        for (int i = 0; i < scores; i += 4) {
            top[0] = fmaxf(top[0], fmaxf(s[i], s[i + 1]));
            top[1] = fmaxf(top[1], fmaxf(s[i + 2], s[i + 3]));
        }
        top[0] *= p.score_factor;
        top[1] *= p.score_factor;
        shrinks =
            __any_sync(~0u, top[0] > row_max[0] + k_max_lag || top[1] > row_max[1] + k_max_lag);
        if (shrinks)
            raise_max(top);
#pragma unroll
        for (int i = 0; i < scores; ++i) {
            s[i] = ptx::exp2_approx(fmaf(s[i], p.score_factor, -row_max[i / 2 % 2]));
            row_sum[i / 2 % 2] += s[i];
        }
    }

    // The weights as the A operand of the next product.
    template <class T>
    __device__ __forceinline__ void pack(uint32_t (&weights)[scores / 2]) const {
#pragma unroll
        for (int i = 0; i < scores / 2; ++i)
            weights[i] = ptx::pack<T>(s[2 * i], s[2 * i + 1]);
    }

    // Sums over the four threads that share the rows; adds the sink where the item writes the
    // output itself. They may ask for different halves.
    __device__ __forceinline__ RowResult finish(const KernelParams& p, const Item& item, int half,
                                                int head) const {
        float sums[2] = {row_sum[0], row_sum[1]};
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            sums[h] += __shfl_xor_sync(~0u, sums[h], 1);
            sums[h] += __shfl_xor_sync(~0u, sums[h], 2);
        }
        float sum = half == 0 ? sums[0] : sums[1], scale = 1;
        const float own_max = half == 0 ? row_max[0] : row_max[1];
        float max = own_max;
        if (item.partial < 0 && p.call.sink_logits) {
            const float sink = p.call.sink_logits[head] * k_log2e;
            max = fmaxf(max, sink);
            scale = ptx::exp2_approx(own_max - max);
            sum = sum * scale + ptx::exp2_approx(sink - max);
        }
        RowResult result = finish_row(max, sum);
        result.scale *= scale;
        return result;
    }

  private:
    // Slot of the step that score i of a half belongs to.
    static __device__ __forceinline__ int slot_of(int i) {
        return i / 2 * 8 + static_cast<int>(threadIdx.x) % 4 * 2 + i % 2;
    }

    __device__ __forceinline__ float& score(int half, int i) {
        return s[i / 2 * 4 + half * 2 + i % 2];
    }

    __device__ __forceinline__ bool sees_all(const Step& at) const {
        return see_begin[0] <= at.position && see_end[0] - at.position >= step &&
               see_begin[1] <= at.position && see_end[1] - at.position >= step;
    }

    __device__ __forceinline__ void transform(const KernelParams& p, const Item& item, int kv_head,
                                              int row, const Step& at) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            const Sight sight = sight_of(p.call, item, row_of(p, item, kv_head, row + h * 8));
            const int distance = at.position - sight.position;
#pragma unroll
            for (int i = 0; i < scores / 2; ++i)
                score(h, i) =
                    transform_score(p.call, score(h, i), sight.slope, distance + slot_of(i));
        }
    }

    __device__ __forceinline__ void mask(const Item& item, const Step& at) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            const int begin = max(at.begin, item.masked ? see_begin[h] - at.position : 0);
            const int end = min(at.end, item.masked ? see_end[h] - at.position : step);
#pragma unroll
            for (int i = 0; i < scores / 2; ++i)
                score(h, i) = slot_of(i) >= begin && slot_of(i) < end ? score(h, i) : -INFINITY;
        }
    }

    __device__ __forceinline__ void mask_tree(const KernelParams& p, const Item& item, int kv_head,
                                              int row, const Step& at) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            const Sight sight = sight_of(p.call, item, row_of(p, item, kv_head, row + h * 8));
            if (!sight.tree || at.position + step <= sight.new_begin)
                continue;
#pragma unroll
            for (int i = 0; i < scores / 2; ++i)
                score(h, i) = sees(sight, at.position + slot_of(i)) ? score(h, i) : -INFINITY;
        }
    }

    __device__ __forceinline__ void raise_max(float (&top)[2]) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            top[h] = fmaxf(top[h], __shfl_xor_sync(~0u, top[h], 1));
            top[h] = fmaxf(top[h], __shfl_xor_sync(~0u, top[h], 2));
            top[h] = fmaxf(top[h], row_max[h]);
            shrink[h] = ptx::exp2_approx(row_max[h] - top[h]);
            row_max[h] = top[h];
            row_sum[h] *= shrink[h];
        }
    }
};

}  // namespace relayattn::cuda
