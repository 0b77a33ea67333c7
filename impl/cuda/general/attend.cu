#include "impl/cuda/general/attend.h"

#include <algorithm>

#include "impl/cuda/convert.cuh"
#include "impl/cuda/finish.h"
#include "impl/cuda/general/key_tile.cuh"
#include "impl/cuda/general/tiles.h"
#include "impl/cuda/pages.h"
#include "impl/cuda/reduce.cuh"

namespace relayattn::cuda::general {
namespace {

constexpr int k_lane_dims = 8;  // a lane owns values [4 lane, 4 lane + 4) and 128 further on

// One query row of a warp. `token` < 0: none.
struct Row {
    int32_t token = -1;
    int32_t head = 0;
    QueryToken query{};
    float top = -INFINITY;  // largest score so far
    float total = 0;        // this lane's share of the softmax denominator
    float sum[k_lane_dims] = {};
};

struct Unit {
    Item item;
    int kv_head;
    int first_row;  // of the tile, among the item's rows of this KV head
};

struct Shared {
    float* queries;
    float* probabilities;
    float* tile;
};

__device__ int num_rows(const AttendParams& p, const Unit& unit) {
    return unit.item.num_tokens * (p.num_q_heads / p.num_kv_heads);
}

__device__ Row row_at(const AttendParams& p, const Unit& unit, int index) {
    Row row;
    if (index >= num_rows(p, unit))
        return row;
    const int group = p.num_q_heads / p.num_kv_heads;
    row.token = p.work.token_of(unit.item, index / group);
    row.head = unit.kv_head * group + index % group;
    row.query = p.work.tokens[row.token];
    return row;
}

__device__ void load_queries(const AttendParams& p, const Unit& unit, const Shared& shared,
                             bool aligned) {
    const int chunks = p.head_dim_k / 8;
    const int group = p.num_q_heads / p.num_kv_heads;
    const int rows = num_rows(p, unit);
    for (int i = static_cast<int>(threadIdx.x); i < k_tile_rows * chunks; i += k_threads) {
        const int row = i / chunks, chunk = i % chunks;
        const int index = unit.first_row + row;
        Float8 value{};
        if (index < rows) {
            const int64_t token = p.work.token_of(unit.item, index / group);
            const int64_t head = unit.kv_head * group + index % group;
            const int64_t at = token * p.q.token_stride + head * p.q.head_stride + 8 * chunk;
            value = load_eight(p.q.data, at, p.q_dtype, aligned);
        }
        auto* to = reinterpret_cast<float4*>(shared.queries + row * p.head_dim_k + 8 * chunk);
        to[0] = value.low;
        to[1] = value.high;
    }
}

// Products of the warp's queries with this lane's key. Two sums a row keep float32 error low.
__device__ void products(const AttendParams& p, const float* queries, const float* key,
                         float (&score)[k_warp_rows]) {
    float even[k_warp_rows] = {}, odd[k_warp_rows] = {};
    for (int d = 0; d < p.head_dim_k; d += 4) {
        const float4 k = *reinterpret_cast<const float4*>(key + d);
#pragma unroll
        for (int r = 0; r < k_warp_rows; ++r) {
            const float4 q = *reinterpret_cast<const float4*>(queries + r * p.head_dim_k + d);
            even[r] += q.x * k.x;
            odd[r] += q.y * k.y;
            even[r] += q.z * k.z;
            odd[r] += q.w * k.w;
        }
    }
#pragma unroll
    for (int r = 0; r < k_warp_rows; ++r)
        score[r] = even[r] + odd[r];
}

__device__ bool is_visible(const AttendParams& p, const Item& item, const Row& row, int position) {
    if (item.masked == 0)
        return true;
    if (position < row.query.visible_begin || position >= row.query.visible_end)
        return false;
    const int bit = position - row.query.new_begin;
    if (item.tree == 0 || bit < 0)
        return true;
    const WorkCounts& counts = *p.work.counts;
    const uint8_t byte = counts.tree_mask[row.token * counts.tree_stride + bit / 8];
    return (byte >> (bit % 8) & 1) != 0;
}

// The final score of a visible key.
__device__ float finish_score(const AttendParams& p, const Row& row, float product, int position) {
    float score = p.softmax_scale * product;
    if (p.logit_softcap > 0)
        score = p.logit_softcap * tanhf(score / p.logit_softcap);
    if (p.alibi_slopes != nullptr)
        score -=
            p.alibi_slopes[row.head] * fabsf(static_cast<float>(position - row.query.position));
    return score;
}

// Online softmax over one tile: leaves the lane's probability, rescales what was summed so far.
__device__ float soften(Row& row, float score) {
    const float top = fmaxf(row.top, warp_max(score));
    if (top == -INFINITY)
        return 0;
    const float probability = expf(score - top);
    const float scale = expf(row.top - top);
    row.top = top;
    row.total = row.total * scale + probability;
#pragma unroll
    for (int j = 0; j < k_lane_dims; ++j)
        row.sum[j] *= scale;
    return probability;
}

__device__ void add_products(float* sum, float weight, float4 value) {
    sum[0] += weight * value.x;
    sum[1] += weight * value.y;
    sum[2] += weight * value.z;
    sum[3] += weight * value.w;
}

// Adds the tile's weighted values. The tile is summed apart first: a chain of all tokens would lose
// float32 digits.
__device__ void add_values(const AttendParams& p, const float* values, const float* probabilities,
                           int lane, Row (&rows)[k_warp_rows]) {
#pragma unroll
    for (int half = 0; half < k_lane_dims / 4; ++half) {
        const int dim = 128 * half + 4 * lane;
        if (dim >= p.head_dim_v)
            return;
        float part[k_warp_rows][4] = {};
        for (int t = 0; t < k_tile_tokens; t += 4) {
            float4 value[4];
#pragma unroll
            for (int i = 0; i < 4; ++i)
                value[i] = *reinterpret_cast<const float4*>(values + (t + i) * p.head_dim_v + dim);
#pragma unroll
            for (int r = 0; r < k_warp_rows; ++r) {
                const float4 weight =
                    *reinterpret_cast<const float4*>(probabilities + r * k_tile_tokens + t);
                add_products(part[r], weight.x, value[0]);
                add_products(part[r], weight.y, value[1]);
                add_products(part[r], weight.z, value[2]);
                add_products(part[r], weight.w, value[3]);
            }
        }
#pragma unroll
        for (int r = 0; r < k_warp_rows; ++r)
#pragma unroll
            for (int i = 0; i < 4; ++i)
                rows[r].sum[4 * half + i] += part[r][i];
    }
}

// A row that no other item adds to: its sink, its output.
__device__ void write_output(const AttendParams& p, Row& row, float total, int lane) {
    float top = row.top;
    float scale = 1;
    if (p.sink_logits != nullptr) {
        const float sink = p.sink_logits[row.head];
        const float larger = fmaxf(top, sink);
        if (larger != -INFINITY) {
            scale = expf(top - larger);
            total = total * scale + expf(sink - larger);
            top = larger;
        }
    }
    const float factor = total > 0 ? scale / total : 0;
    const int64_t out = row.token * p.out.token_stride + row.head * p.out.head_stride;
#pragma unroll
    for (int j = 0; j < k_lane_dims; ++j) {
        const int dim = 128 * (j / 4) + 4 * lane + j % 4;
        if (dim < p.head_dim_v)
            store_float(p.out.data, out + dim, row.sum[j] * factor, p.out_dtype);
    }
    if (lane == 0 && p.lse != nullptr)
        p.lse[row.token * p.lse_token_stride + row.head * p.lse_head_stride] =
            total > 0 ? top + logf(total) : -INFINITY;
}

__device__ void write_partial(const AttendParams& p, const Row& row, float total, int64_t partial,
                              int lane) {
    const int64_t at = partial * p.num_q_heads + row.head;
    const float factor = total > 0 ? 1 / total : 0;
#pragma unroll
    for (int half = 0; half < k_lane_dims / 4; ++half) {
        const int dim = 128 * half + 4 * lane;
        if (dim < p.head_dim_v)
            *reinterpret_cast<float4*>(p.work.partial_o + at * p.head_dim_v + dim) = {
                row.sum[4 * half] * factor, row.sum[4 * half + 1] * factor,
                row.sum[4 * half + 2] * factor, row.sum[4 * half + 3] * factor};
    }
    if (lane == 0)
        p.work.partial_lse[at] = total > 0 ? row.top + logf(total) : -INFINITY;
}

__device__ void write_rows(const AttendParams& p, const Unit& unit, int first_row, int lane,
                           Row (&rows)[k_warp_rows]) {
    const int group = p.num_q_heads / p.num_kv_heads;
#pragma unroll
    for (int r = 0; r < k_warp_rows; ++r) {
        if (rows[r].token < 0)
            continue;
        const float total = warp_sum(rows[r].total);
        if (unit.item.partial < 0)
            write_output(p, rows[r], total, lane);
        else
            write_partial(p, rows[r], total, unit.item.partial + (first_row + r) / group, lane);
    }
}

// Scores of the tile's keys, as probabilities in shared memory.
__device__ void score_tile(const AttendParams& p, const Unit& unit, const Shared& shared,
                           const KeyPlace& place, int warp, int lane, Row (&rows)[k_warp_rows]) {
    float score[k_warp_rows];
    products(p, shared.queries + warp * k_warp_rows * p.head_dim_k,
             shared.tile + lane * key_stride(p.head_dim_k), score);
#pragma unroll
    for (int r = 0; r < k_warp_rows; ++r) {
        const bool visible = place.slot >= 0 && rows[r].token >= 0 &&
                             is_visible(p, unit.item, rows[r], place.position);
        const float value =
            visible ? finish_score(p, rows[r], score[r], place.position) : -INFINITY;
        shared.probabilities[(warp * k_warp_rows + r) * k_tile_tokens + lane] =
            soften(rows[r], value);
    }
}

__device__ void attend_rows(const AttendParams& p, const Unit& unit, const Shared& shared,
                            Alignment aligned) {
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int first_row = unit.first_row + warp * k_warp_rows;
    const bool has_rows = first_row < num_rows(p, unit);
    Row rows[k_warp_rows];
#pragma unroll
    for (int r = 0; r < k_warp_rows; ++r)
        rows[r] = row_at(p, unit, first_row + r);
    load_queries(p, unit, shared, aligned.q);
    KeyCursor cursor(p.work.pieces + unit.item.first_piece, unit.item.num_pieces);
    for (int first = 0; first < unit.item.num_kv_tokens; first += k_tile_tokens) {
        const KeyPlace place =
            cursor.place(p.work.page_table, p.page_size, first + lane, unit.item.num_kv_tokens);
        load_keys(p.k_pages, p.head_dim_k, key_stride(p.head_dim_k), unit.kv_head, p.kv_dtype,
                  aligned.k, place, shared.tile);
        __syncthreads();
        if (has_rows)
            score_tile(p, unit, shared, place, warp, lane, rows);
        __syncthreads();
        load_keys(p.v_pages, p.head_dim_v, p.head_dim_v, unit.kv_head, p.kv_dtype, aligned.v, place,
                  shared.tile);
        __syncthreads();
        if (has_rows)
            add_values(p, shared.tile, shared.probabilities + warp * k_warp_rows * k_tile_tokens,
                       lane, rows);
        __syncthreads();
    }
    write_rows(p, unit, first_row, lane, rows);
}

// blockIdx.x walks over items x KV heads, blockIdx.y over an item's row tiles; any grid is right.
__global__ void __launch_bounds__(k_threads, 4)
    attend_items(const __grid_constant__ AttendParams p, const Alignment aligned) {
    extern __shared__ float4 memory[];
    Shared shared;
    shared.queries = reinterpret_cast<float*>(memory);
    shared.probabilities = shared.queries + query_floats(p.head_dim_k);
    shared.tile = shared.probabilities + probability_floats();
    const int64_t units = static_cast<int64_t>(p.work.counts->num_items) * p.num_kv_heads;
    for (int64_t i = blockIdx.x; i < units; i += gridDim.x) {
        Unit unit;
        unit.item = p.work.items[i / p.num_kv_heads].head.item;
        unit.kv_head = static_cast<int>(i % p.num_kv_heads);
        const int rows = num_rows(p, unit);
        const int step = static_cast<int>(gridDim.y) * k_tile_rows;
        for (unit.first_row = static_cast<int>(blockIdx.y) * k_tile_rows; unit.first_row < rows;
             unit.first_row += step) {
            attend_rows(p, unit, shared, aligned);
            __syncthreads();
        }
    }
}

bool is_aligned(const void* data, int64_t size, std::initializer_list<int64_t> strides) {
    bool aligned = reinterpret_cast<uintptr_t>(data) % 16 == 0;
    for (const int64_t stride : strides)
        aligned = aligned && stride * size % 16 == 0;
    return aligned;
}

Alignment alignment_of(const AttendParams& p) {
    const int64_t q_size = size_of(p.q_dtype), size = size_of(p.kv_dtype);
    const auto pages = [&](const Pages& tensor) {
        return is_aligned(tensor.data, size,
                          {tensor.page_stride, tensor.token_stride, tensor.head_stride});
    };
    return {is_aligned(p.q.data, q_size, {p.q.token_stride, p.q.head_stride}), pages(p.k_pages),
            pages(p.v_pages)};
}

}  // namespace

bool supports(const AttendParams&) {
    return true;
}

void launch(const AttendParams& params, const LaunchBounds& bounds, cudaStream_t stream) {
    launch_append(params, bounds, stream);
    const int64_t units = int64_t{bounds.most_items()} * params.num_kv_heads;
    if (units > 0) {
        constexpr int64_t k_blocks_per_sm = 16;
        const dim3 grid(
            static_cast<unsigned>(std::min<int64_t>(units, k_blocks_per_sm * bounds.num_sms)),
            bounds.may_relay() ? 4 : 1);
        const auto bytes = static_cast<size_t>(shared_bytes(params.head_dim_k, params.head_dim_v));
        attend_items<<<grid, k_threads, bytes, stream>>>(params, alignment_of(params));
    }
    launch_finish(params, bounds, false, stream);
}

cudaError_t prepare(int bytes) {
    return cudaFuncSetAttribute(attend_items, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                std::min(bytes, shared_bytes(256, 256)));
}

}  // namespace relayattn::cuda::general
