#include "impl/cpu/dispatch.h"

#include <string>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace relayattn::cpu {
namespace {

constexpr uint32_t k_avx2_features = k_feature_avx2 | k_feature_fma | k_feature_f16c;
constexpr uint32_t k_avx512_features = k_avx2_features | k_feature_avx512f | k_feature_avx512bw |
                                       k_feature_avx512vl | k_feature_avx512dq;

// Best first; the last needs nothing.
constexpr InstructionSet k_sets[] = {
#if defined(__x86_64__)
    {"avx512", 2, k_avx512_features, &k_avx512_kernels},
    {"avx2", 1, k_avx2_features, &k_avx2_kernels},
#endif
    {"scalar", 0, 0, &k_scalar_kernels},
};

bool has(uint32_t features, const InstructionSet& set) {
    return (set.required & ~features) == 0;
}

// "avx512, avx2, scalar", of those whose features are among the given.
std::string names(uint32_t features) {
    std::string text;
    for (const InstructionSet& set : k_sets) {
        if (has(features, set)) {
            text += text.empty() ? "" : ", ";
            text += set.name;
        }
    }
    return text;
}

#if defined(__x86_64__)
// clang 14's __builtin_cpu_supports does not know it.
bool has_f16c() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

}  // namespace

uint32_t machine_features() {
    uint32_t features = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const auto add = [&features](bool present, Feature feature) {
        features |= present ? feature : 0u;
    };
    add(__builtin_cpu_supports("avx2"), k_feature_avx2);
    add(__builtin_cpu_supports("fma"), k_feature_fma);
    add(has_f16c(), k_feature_f16c);
    add(__builtin_cpu_supports("avx512f"), k_feature_avx512f);
    add(__builtin_cpu_supports("avx512bw"), k_feature_avx512bw);
    add(__builtin_cpu_supports("avx512vl"), k_feature_avx512vl);
    add(__builtin_cpu_supports("avx512dq"), k_feature_avx512dq);
#endif
    return features;
}

Result<const InstructionSet*> choose_instruction_set(const char* name, uint32_t features) {
    const std::string_view wanted = name == nullptr ? "" : name;
    for (const InstructionSet& set : k_sets) {
        if (wanted.empty() ? has(features, set) : wanted == set.name) {
            if (has(features, set)) {
                return &set;
            }
            return error(Code::unsupported, "RELAYATTN_ISA is \"", wanted,
                         "\", which this machine lacks; it has: ", names(features));
        }
    }
    return error(Code::argument, "RELAYATTN_ISA is \"", wanted,
                 "\"; it must be one of: ", names(~0u));
}

}  // namespace relayattn::cpu
