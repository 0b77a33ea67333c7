// AMX: tiles of bf16, beside AVX-512 with products of bf16 pairs.
#include "impl/cpu/kernels/avx512_bf16.h"
#include "impl/cpu/kernels/table.h"

namespace relayattn::cpu {
namespace {

// Palette 1: eight tiles of up to 16 rows of 64 bytes.
struct alignas(64) TileConfig {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

// GCC's intrinsics are macros that take a tile's number as a literal only.
struct AmxTiles {
    static void begin() {
        static constexpr TileConfig config;
        asm volatile("ldtilecfg %0" : : "m"(config));
    }
    static void end() { asm volatile("tilerelease"); }
    template <int C>
    [[gnu::always_inline]] static void zero() {
        asm volatile("tilezero %%tmm%c0" : : "i"(C));
    }
    template <int T>
    [[gnu::always_inline]] static void load(const void* p, int64_t stride) {
        asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(T) : "memory");
    }
    template <int C, int A, int B>
    [[gnu::always_inline]] static void dot() {
        asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
    }
    template <int C>
    [[gnu::always_inline]] static void store(void* p, int64_t stride) {
        asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(stride), "i"(C) : "memory");
    }
};

struct Amx : Avx512Bf16 {
    static constexpr bool has_tiles = true;
    using Tiles = AmxTiles;
};

}  // namespace

constexpr KernelTable k_amx_kernels = kernels_of<Amx>;

}  // namespace relayattn::cpu
