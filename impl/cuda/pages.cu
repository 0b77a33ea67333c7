#include <algorithm>
#include <limits>

#include "impl/cuda/pages.h"

namespace relayattn::cuda {
namespace {

constexpr int k_move_threads = 128;
constexpr int64_t k_most_blocks = 1 << 16;

template <int count>
struct MoveBatch {
    Move move[count];
};

__device__ char* row_at(const Rows& rows, int64_t slot) {
    const int64_t page = slot / rows.page_size;
    return rows.data + page * rows.page_stride + (slot - page * rows.page_size) * rows.token_stride;
}

// A block takes a token at a time; blockIdx.y names the tensor.
template <class Word, int count>
__global__ void __launch_bounds__(k_move_threads)
    move_rows(const __grid_constant__ MoveBatch<count> batch, const MoveSlots slots) {
    const Move& move = batch.move[blockIdx.y];
    const int64_t num_tokens = slots.device_count != nullptr ? *slots.device_count : slots.count;
    const int row_words = move.row_bytes / static_cast<int>(sizeof(Word));
    const int words = move.num_heads * row_words;
    for (int64_t token = blockIdx.x; token < num_tokens; token += gridDim.x) {
        const int64_t to_slot = slots.to != nullptr ? slots.to[token] : token;
        const int64_t from_slot = slots.from != nullptr ? slots.from[token] : token;
        if (to_slot < 0 || from_slot < 0)
            continue;
        char* to = row_at(move.to, to_slot);
        const char* from = row_at(move.from, from_slot);
        for (int i = static_cast<int>(threadIdx.x); i < words; i += k_move_threads) {
            const int head = i / row_words;
            const int64_t offset = static_cast<int64_t>(i - head * row_words) * sizeof(Word);
            *reinterpret_cast<Word*>(to + head * move.to.head_stride + offset) =
                *reinterpret_cast<const Word*>(from + head * move.from.head_stride + offset);
        }
    }
}

// The lowest set bit of the result is an alignment that every row has.
uint64_t alignment_bits(const Rows& rows) {
    return reinterpret_cast<uint64_t>(rows.data) | static_cast<uint64_t>(rows.page_stride) |
           static_cast<uint64_t>(rows.token_stride) | static_cast<uint64_t>(rows.head_stride);
}

template <int count>
void launch_batch(std::span<const Move> moves, const MoveSlots& slots, cudaStream_t stream) {
    MoveBatch<count> batch{};
    uint64_t bits = 0;
    for (size_t i = 0; i < moves.size(); ++i) {
        batch.move[i] = moves[i];
        bits |= alignment_bits(moves[i].to) | alignment_bits(moves[i].from) |
                static_cast<uint64_t>(moves[i].row_bytes);
    }
    const dim3 grid(static_cast<unsigned>(std::clamp<int64_t>(slots.count, 1, k_most_blocks)),
                    static_cast<unsigned>(moves.size()));
    if (bits % 16 == 0)
        move_rows<uint4, count><<<grid, k_move_threads, 0, stream>>>(batch, slots);
    else if (bits % 4 == 0)
        move_rows<uint32_t, count><<<grid, k_move_threads, 0, stream>>>(batch, slots);
    else
        move_rows<uint16_t, count><<<grid, k_move_threads, 0, stream>>>(batch, slots);
}

Rows rows_of(const Strided& tensor, int64_t size) {
    return {static_cast<char*>(tensor.data), std::numeric_limits<int64_t>::max(), 0,
            tensor.token_stride * size, tensor.head_stride * size};
}

Rows rows_of(const Pages& pages, int64_t page_size, int64_t size) {
    return {static_cast<char*>(pages.data), page_size, pages.page_stride * size,
            pages.token_stride * size, pages.head_stride * size};
}

}  // namespace

Rows k_rows(const LayerStore& store) {
    const PageLayout& layout = store.layout;
    return {static_cast<char*>(store.pages.k), layout.page_size, layout.k_page_stride,
            layout.k_token_stride, layout.k_head_stride};
}

Rows v_rows(const LayerStore& store) {
    const PageLayout& layout = store.layout;
    return {static_cast<char*>(store.pages.v), layout.page_size, layout.v_page_stride,
            layout.v_token_stride, layout.v_head_stride};
}

Rows rows_of(const View& view) {
    return {static_cast<char*>(view.data), std::numeric_limits<int64_t>::max(), 0,
            view.token_stride, view.head_stride};
}

cudaError_t prepare_moves() {
    cudaFuncAttributes attributes;
    for (const void* kernel : {reinterpret_cast<const void*>(move_rows<uint4, 2>),
                               reinterpret_cast<const void*>(move_rows<uint32_t, 2>),
                               reinterpret_cast<const void*>(move_rows<uint16_t, 2>)}) {
        const cudaError_t status = cudaFuncGetAttributes(&attributes, kernel);
        if (status != cudaSuccess)
            return status;
    }
    return cudaSuccess;
}

void launch_moves(std::span<const Move> moves, const MoveSlots& slots, cudaStream_t stream) {
    constexpr size_t k_many = 32;  // what fits in a kernel's parameters
    if (slots.count == 0)
        return;
    while (moves.size() > 2) {
        const size_t count = std::min(moves.size(), k_many);
        launch_batch<k_many>(moves.first(count), slots, stream);
        moves = moves.subspan(count);
    }
    if (!moves.empty())
        launch_batch<2>(moves, slots, stream);
}

void launch_append(const AttendParams& params, const LaunchBounds& bounds, cudaStream_t stream) {
    if (params.k.data == nullptr)
        return;
    const int64_t size = size_of(params.kv_dtype);
    const auto heads = params.num_kv_heads;
    const Move moves[2] = {
        {rows_of(params.k_pages, params.page_size, size), rows_of(params.k, size), heads,
         static_cast<int32_t>(params.head_dim_k * size)},
        {rows_of(params.v_pages, params.page_size, size), rows_of(params.v, size), heads,
         static_cast<int32_t>(params.head_dim_v * size)}};
    const MoveSlots slots{params.work.slots, nullptr, bounds.num_tokens,
                          &params.work.counts->num_tokens};
    launch_moves(moves, slots, stream);
}

}  // namespace relayattn::cuda
