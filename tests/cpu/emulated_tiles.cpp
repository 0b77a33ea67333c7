// The AMX kernels with their unit of tiles in software: Intel's description of the four
// instructions, for machines that have AVX-512 BF16 but no AMX.
#include "cpu/emulated_tiles.h"

#include "impl/cpu/kernels/avx512_bf16.h"
#include "impl/cpu/kernels/table.h"

namespace relayattn::cpu {
namespace {

struct TileData {
    alignas(64) unsigned char rows[16][64];
};

thread_local TileData tiles[8];
thread_local bool configured;

float float_at(const TileData& tile, int row, int column) {
    float value;
    __builtin_memcpy(&value, tile.rows[row] + 4 * column, sizeof value);
    return value;
}

float bf16_at(const TileData& tile, int row, int column) {
    uint16_t bits;
    __builtin_memcpy(&bits, tile.rows[row] + 2 * column, sizeof bits);
    return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16);
}

void multiply(TileData& c, const TileData& a, const TileData& b) {
    for (int m = 0; m < 16; ++m) {
        for (int n = 0; n < 16; ++n) {
            float sum = float_at(c, m, n);
            for (int k = 0; k < 16; ++k) {
                for (int u = 0; u < 2; ++u) {
                    sum += bf16_at(a, m, 2 * k + u) * bf16_at(b, k, 2 * n + u);
                }
            }
            __builtin_memcpy(c.rows[m] + 4 * n, &sum, sizeof sum);
        }
    }
}

struct EmulatedTiles {
    static void begin() { configured = true; }
    static void end() { configured = false; }
    template <int C>
    static void zero() {
        tiles[C] = {};
    }
    template <int T>
    static void load(const void* p, int64_t stride) {
        for (int row = 0; row < 16; ++row) {
            __builtin_memcpy(tiles[T].rows[row], static_cast<const char*>(p) + row * stride, 64);
        }
    }
    template <int C, int A, int B>
    static void dot() {
        if (!configured) {
            __builtin_trap();  // as the processor does
        }
        multiply(tiles[C], tiles[A], tiles[B]);
    }
    template <int C>
    static void store(void* p, int64_t stride) {
        for (int row = 0; row < 16; ++row) {
            __builtin_memcpy(static_cast<char*>(p) + row * stride, tiles[C].rows[row], 64);
        }
    }
};

struct EmulatedAmx : Avx512Bf16 {
    static constexpr bool has_tiles = true;
    using Tiles = EmulatedTiles;
};

}  // namespace

constexpr KernelTable k_emulated_amx_kernels = kernels_of<EmulatedAmx>;

}  // namespace relayattn::cpu
