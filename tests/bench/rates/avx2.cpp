#include <relayattn/relayattn.h>

#include "rates.h"
#include "vector_loops.h"

namespace relayattn::bench {

typedef float Floats __attribute__((vector_size(32)));
typedef uint64_t Words __attribute__((vector_size(32)));

const InstructionRate k_avx2_rate{
    "avx2",
    RA_ISA_AVX2,
    0,
    [] { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; },
    multiply_vectors<Floats>,
    read_vectors<Words>};

}  // namespace relayattn::bench
