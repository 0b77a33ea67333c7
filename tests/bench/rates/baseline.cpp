#include <relayattn/relayattn.h>

#include "rates.h"
#include "vector_loops.h"

namespace relayattn::bench {

typedef float Floats __attribute__((vector_size(16)));
typedef uint64_t Words __attribute__((vector_size(16)));

// What the compiler may use on any machine of this architecture: SSE2, NEON.
#if defined(__aarch64__)
const InstructionRate k_baseline_rate{
    "neon", RA_ISA_SCALAR, 0, [] { return true; }, multiply_vectors<Floats>, read_vectors<Words>};
#else
const InstructionRate k_baseline_rate{
    "scalar", RA_ISA_SCALAR, 0, [] { return true; }, multiply_vectors<Floats>, read_vectors<Words>};
#endif

}  // namespace relayattn::bench
