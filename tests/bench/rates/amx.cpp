#include <cpuid.h>
#include <immintrin.h>
#include <relayattn/relayattn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rates.h"

namespace relayattn::bench {
namespace {

constexpr int k_tile_rows = 16, k_tile_row_bytes = 64;

// Intel's tile configuration, palette 1: eight tiles of 16 rows of 64 bytes.
struct alignas(64) TileConfig {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);

// Not _tile_loadconfig: GCC 12's names 8 bytes as read, and the others are then never stored.
void load_config() {
    static constexpr TileConfig config;
    asm volatile("ldtilecfg %0" : : "m"(config));
}

// The kernel grants the tiles' state to a process that asks for it.
bool is_granted() {
    constexpr long arch_req_xcomp_perm = 0x1023, xfeature_xtiledata = 18;
    return syscall(SYS_arch_prctl, arch_req_xcomp_perm, xfeature_xtiledata) == 0;
}

bool is_usable() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & amx_bf16) == 0 || (d & amx_tile) == 0)
        return false;
    static const bool granted = is_granted();
    return granted;
}

// Two by two tiles of sums: every loaded tile is used twice, as in a product of matrices.
double multiply_tiles(int64_t rounds) {
    load_config();
    alignas(64) static const uint8_t zeros[k_tile_rows * k_tile_row_bytes] = {};
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, zeros, k_tile_row_bytes);
    _tile_loadd(5, zeros, k_tile_row_bytes);
    _tile_loadd(6, zeros, k_tile_row_bytes);
    _tile_loadd(7, zeros, k_tile_row_bytes);
    for (int64_t round = 0; round < rounds; ++round) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
    return 4 * 2.0 * 16 * 16 * 32 * static_cast<double>(rounds);
}

}  // namespace

const InstructionRate k_amx_rate{"amx", RA_ISA_AMX, RA_BF16, is_usable, multiply_tiles, nullptr};

}  // namespace relayattn::bench
