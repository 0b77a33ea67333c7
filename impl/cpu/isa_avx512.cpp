// AVX-512 F, BW, VL, DQ.
#include "impl/cpu/kernels/avx512.h"
#include "impl/cpu/kernels/table.h"

namespace relayattn::cpu {

constexpr KernelTable k_avx512_kernels = kernels_of<Avx512>;

}  // namespace relayattn::cpu
