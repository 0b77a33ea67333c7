#include <relayattn/relayattn.h>

#include "rates.h"
#include "vector_loops.h"

namespace relayattn::bench {

typedef float Floats __attribute__((vector_size(64)));
typedef uint64_t Words __attribute__((vector_size(64)));

const InstructionRate k_avx512_rate{"avx512",
                                    RA_ISA_AVX512,
                                    0,
                                    [] { return __builtin_cpu_supports("avx512f") != 0; },
                                    multiply_vectors<Floats>,
                                    read_vectors<Words>};

}  // namespace relayattn::bench
