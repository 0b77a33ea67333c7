// Items with many rows per KV head, for sm_80 and newer: mma.sync fed by asynchronous copies.
//
// Four warps hold 64 rows, 16 each, in FlashAttention-2's manner. K and V steps pass through one
// ring of tiles, K0, V0, K1, V1, ...: while the warps work on one, the copies of the next ones are
// under way, and the barrier before each tile also tells that the tile before it may be
// overwritten.
#pragma once

#include "impl/cuda/sm80/few_rows.cuh"
#include "impl/cuda/sm80/tile_output.cuh"

namespace relayattn::cuda::sm80 {

constexpr int k_threads = 128;
constexpr int k_tile_rows = 64;

template <int dim>
struct ManyTile {
    static constexpr int step = dim == 256 ? 32 : 64;  // tokens
    static constexpr int stages = dim == 256 ? 3 : 4;
    static constexpr int row_bytes = dim * 2 + 16;  // padded as in FewSmem
    static constexpr int tile_bytes = step * row_bytes;
    static constexpr int q_bytes = k_tile_rows * row_bytes;
    static constexpr int bytes = q_bytes + stages * tile_bytes;
    static_assert(sizeof(TurnedRows<dim>) <= 16 * row_bytes);
};

// Walks an item's pieces in aligned steps, all threads alike.
template <int step>
struct TileCursor {
    int32_t piece, last_piece;
    int32_t table, first, end, position, slot;

    __device__ __forceinline__ TileCursor(const DeviceWork& work, const ItemHead& head)
        : piece(head.item.first_piece), last_piece(head.item.first_piece + head.item.num_pieces) {
        if (!done())
            open(work, head.piece);
    }

    __device__ __forceinline__ bool done() const { return piece >= last_piece; }

    // `p` is the next piece; one that is empty is passed over.
    __device__ __forceinline__ void open(const DeviceWork& work, Piece p) {
        while (p.num_tokens == 0) {
            if (++piece >= last_piece)
                return;
            p = work.pieces[piece];
        }
        table = p.table_offset;
        first = p.first_slot;
        end = p.first_slot + p.num_tokens;
        position = p.position - p.first_slot;
        slot = first / k_page_granule * k_page_granule;
    }

    __device__ __forceinline__ void advance(const DeviceWork& work) {
        slot += step;
        if (slot >= end && ++piece < last_piece)
            open(work, work.pieces[piece]);
    }

    __device__ __forceinline__ Step current() const {
        return {position + slot, max(first - slot, 0), min(end - slot, step)};
    }
};

template <class T, int dim>
struct ManyRows {
    using Tile = ManyTile<dim>;
    static constexpr int row_chunks = dim / 8;

    const KernelParams& p;
    const Item& item;
    const int kv_head, lane, warp;
    char* const smem;
    int32_t append_from, append_token;
    TileCursor<Tile::step> load, use;
    bool load_is_v = false;
    int load_stage = 0;
    TileSoftmax<Tile::step> softmax;
    uint32_t weights[Tile::step / 4];
    float o[dim / 2];

    __device__ __forceinline__ ManyRows(const KernelParams& params, const ItemHead& head,
                                        int kv_head_, char* shared)
        : p(params),
          item(head.item),
          kv_head(kv_head_),
          lane(threadIdx.x % k_warp),
          warp(threadIdx.x / k_warp),
          smem(shared),
          load(params.call.work, head),
          use(params.call.work, head) {
        append_from = append_begin(p.call, head.append_from);
        append_token = head.append_token;
#pragma unroll
        for (int i = 0; i < dim / 2; ++i)
            o[i] = 0;
        softmax.begin(p, item, kv_head, tile_row());
    }

    __device__ __forceinline__ int tile_row() const { return warp * 16 + lane / 4; }

    __device__ __forceinline__ char* tile(int stage) const {
        return smem + Tile::q_bytes + stage * Tile::tile_bytes;
    }

    __device__ __forceinline__ void load_q() {
        for (int i = threadIdx.x; i < k_tile_rows * row_chunks; i += k_threads) {
            const int row = i / row_chunks, chunk = i % row_chunks;
            const Row from = row_of(p, item, kv_head, row);
            const T* q = static_cast<const T*>(p.call.q.data) + from.token * p.call.q.token_stride +
                         from.head * p.call.q.head_stride + chunk * 8;
            ptx::copy_async_16_or_zeros(
                ptx::shared_address(smem + row * Tile::row_bytes + chunk * 16), q, from.token >= 0);
        }
    }

    __device__ __forceinline__ const T* source(const Strided& fresh, const Pages& pages,
                                               int32_t slot) {
        const int32_t position = load.position + slot;
        if (position >= append_from)
            return static_cast<const T*>(fresh.data) +
                   (append_token + position) * fresh.token_stride + kv_head * fresh.head_stride;
        return page_row(pages, load.table, slot);
    }

    __device__ __forceinline__ T* page_row(const Pages& pages, int32_t table, int32_t slot) const {
        const int32_t index = p.by_page_size.divide(slot);
        const int64_t page = p.call.work.page_table[table + index];
        return static_cast<T*>(pages.data) + page * pages.page_stride +
               (slot - index * p.call.page_size) * pages.token_stride + kv_head * pages.head_stride;
    }

    // Starts the copies of the next tile. Slots outside the piece become zeros.
    __device__ __forceinline__ void issue() {
        if (!load.done()) {
            const Strided& fresh = load_is_v ? p.call.v : p.call.k;
            const Pages& pages = load_is_v ? p.call.v_pages : p.call.k_pages;
            const uint32_t to = ptx::shared_address(tile(load_stage));
#pragma unroll 4
            for (int i = threadIdx.x; i < Tile::step * row_chunks; i += k_threads) {
                const int row = i / row_chunks, chunk = i % row_chunks;
                const int32_t slot = load.slot + row;
                const bool valid = slot >= load.first && slot < load.end;
                const T* from = valid ? source(fresh, pages, slot) + chunk * 8 : nullptr;
                ptx::copy_async_16_or_zeros(to + row * Tile::row_bytes + chunk * 16, from, valid);
            }
            if (load_is_v)
                load.advance(p.call.work);
            load_is_v = !load_is_v;
            load_stage = load_stage + 1 == Tile::stages ? 0 : load_stage + 1;
        }
        ptx::copy_async_commit();
    }

    // Waits for the ring's next tile, and starts the copies of another into the one before it.
    __device__ __forceinline__ void next_tile() {
        ptx::copy_async_wait<Tile::stages - 2>();
        __syncthreads();
        issue();
    }

    __device__ __forceinline__ void product_scores(const char* k_tile) {
        const uint32_t q =
            ptx::shared_address(smem + (warp * 16 + lane % 16) * Tile::row_bytes + lane / 16 * 16);
        const uint32_t k = ptx::shared_address(
            k_tile + (lane % 8 + lane / 16 * 8) * Tile::row_bytes + lane / 8 % 2 * 16);
#pragma unroll
        for (int i = 0; i < Tile::step / 2; ++i)
            softmax.s[i] = 0;
#pragma unroll
        for (int slice = 0; slice < dim / 16; ++slice) {
            uint32_t a[4];
            ptx::load_matrix_x4(a, q + slice * 32);
#pragma unroll
            for (int n = 0; n < Tile::step / 16; ++n) {
                uint32_t b[4];
                ptx::load_matrix_x4(b, k + n * 16 * Tile::row_bytes + slice * 32);
                ptx::mma_16x8x16<T>(quad(softmax.s, n * 2), a, b[0], b[1]);
                ptx::mma_16x8x16<T>(quad(softmax.s, n * 2 + 1), a, b[2], b[3]);
            }
        }
    }

    __device__ __forceinline__ void product_output(const char* v_tile) {
        const uint32_t v =
            ptx::shared_address(v_tile + lane % 16 * Tile::row_bytes + lane / 16 * 16);
#pragma unroll
        for (int slice = 0; slice < Tile::step / 16; ++slice) {
            const uint32_t (&a)[4] = reinterpret_cast<const uint32_t (&)[4]>(weights[slice * 4]);
#pragma unroll
            for (int n = 0; n < dim / 16; ++n) {
                uint32_t b[4];
                ptx::load_matrix_x4_transposed(b, v + slice * 16 * Tile::row_bytes + n * 32);
                ptx::mma_16x8x16<T>(quad(o, n * 2), a, b[0], b[1]);
                ptx::mma_16x8x16<T>(quad(o, n * 2 + 1), a, b[2], b[3]);
            }
        }
    }

    // The four accumulators of the n-th block of 8 columns.
    template <int n>
    static __device__ __forceinline__ float (&quad(float (&x)[n], int block))[4] {
        return reinterpret_cast<float (&)[4]>(x[block * 4]);
    }

    __device__ __forceinline__ void run() {
        load_q();
#pragma unroll
        for (int i = 0; i < Tile::stages - 1; ++i)
            issue();
        for (int stage = 0; !use.done(); use.advance(p.call.work)) {
            const Step step = use.current();
            next_tile();
            product_scores(tile(stage));
            stage = stage + 1 == Tile::stages ? 0 : stage + 1;
            softmax.template update<true>(p, item, kv_head, tile_row(), step);
            if (softmax.shrinks) {
#pragma unroll
                for (int i = 0; i < dim / 2; ++i)
                    o[i] *= softmax.shrink[i / 2 % 2];
            }
            softmax.template pack<T>(weights);
            next_tile();
            product_output(tile(stage));
            stage = stage + 1 == Tile::stages ? 0 : stage + 1;
        }
        ptx::copy_async_wait<0>();
        // No other warp reads this one's rows of Q.
        char* const own_q = smem + warp * 16 * Tile::row_bytes;
        store_tile<T, dim>(p, item, kv_head, tile_row(), softmax, o,
                           *reinterpret_cast<TurnedRows<dim>*>(own_q));
    }
};

}  // namespace relayattn::cuda::sm80
