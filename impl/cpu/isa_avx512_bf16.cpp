// AVX-512 with products of bf16 pairs.
#include "impl/cpu/kernels/avx512_bf16.h"
#include "impl/cpu/kernels/table.h"

namespace relayattn::cpu {

constexpr KernelTable k_avx512_bf16_kernels = kernels_of<Avx512Bf16>;

}  // namespace relayattn::cpu
