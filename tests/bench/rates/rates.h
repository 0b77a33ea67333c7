// The loops that show what one core can do, one table entry for each instruction set. Each is
// compiled with its own flags and called only on a machine that has the set.
#pragma once

#include <cstdint>

namespace relayattn::bench {

struct InstructionRate {
    const char* name;
    int32_t isa;    // RA_ISA_*
    int32_t dtype;  // of the operands; 0 = float32 products, for any dtype
    bool (*is_usable)();
    // Multiplies and adds `rounds` times from registers and returns the flops done.
    double (*multiply)(int64_t rounds);
    // Reads all of it (a multiple of 4096 bytes, aligned to 64) and returns something that depends
    // on every byte; null = the entry before it is as good.
    uint64_t (*read)(const void* data, int64_t bytes);
};

extern const InstructionRate k_baseline_rate;
#if defined(__x86_64__)
extern const InstructionRate k_avx2_rate, k_avx512_rate, k_avx512_bf16_rate, k_amx_rate;
#endif

}  // namespace relayattn::bench
