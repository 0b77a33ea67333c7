// The choice of an instruction set: the best that the machine has, or the one that the environment
// variable RELAYATTN_ISA names.
#pragma once

#include <cstdint>

#include "impl/core/result.h"
#include "impl/cpu/job.h"

namespace relayattn::cpu {

struct InstructionSet {
    const char* name;
    int64_t id;          // BackendInfo::isa
    uint32_t required;   // bits of machine_features()
    uint32_t preferred;  // more of them, without which it runs only when asked for by name
    const KernelTable* kernels;
};

enum Feature : uint32_t {
    k_feature_avx2 = 1,
    k_feature_fma = 2,
    k_feature_f16c = 4,
    k_feature_avx512f = 8,
    k_feature_avx512bw = 16,
    k_feature_avx512vl = 32,
    k_feature_avx512dq = 64,
    k_feature_avx512bf16 = 128,
    // vdpbf16ps is as fast as a multiply-add of float32: half the work, not double the time.
    k_feature_fast_dot = 256,
    // Tiles of bf16, and the system's leave to use them.
    k_feature_amx = 512,
};

// What processor and operating system offer together.
uint32_t machine_features();

// `name` is the variable's value; null or empty leaves the choice to the machine.
Result<const InstructionSet*> choose_instruction_set(const char* name, uint32_t features);

}  // namespace relayattn::cpu
