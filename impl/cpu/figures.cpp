#include "impl/cpu/figures.h"

#include <unistd.h>

#include <algorithm>

#include "impl/cpu/job.h"

namespace relayattn::cpu {
namespace {

int64_t l2_bytes() {
    static const int64_t bytes = [] {
#if defined(_SC_LEVEL2_CACHE_SIZE)
        const int64_t known = sysconf(_SC_LEVEL2_CACHE_SIZE);
        return known > 0 ? known : 512 * 1024;
#else
        return int64_t{512 * 1024};
#endif
    }();
    return bytes;
}

// Flops per ns of one thread: the few-row rate at 4 rows with K and V in L3, the many-row rate at
// llama3-8b (32, 8192, 128). Measured on a Zen 5 EPYC (2 cores, L2 1 MiB; fp32 FMA peak of a core
// 144 with AVX2 and 288 with AVX-512). Those of NEON are derived, not measured: four lanes, two
// multiply-adds a cycle at 2.5 GHz, of which 3/4 and 7/8. AMX was measured on a Xeon (family 6,
// model 207) with 2 threads; there its few-row rate is taken to be AVX-512's many-row rate.
struct Rates {
    int64_t isa;
    Dtype dtype;
    double few, many;
};

constexpr Rates k_rates[] = {
    {0, Dtype::f32, 8, 17},    {0, Dtype::f16, 3, 5},     {0, Dtype::bf16, 13, 15},
    {1, Dtype::f32, 105, 110}, {1, Dtype::f16, 99, 117},  {1, Dtype::bf16, 100, 117},
    {2, Dtype::f32, 127, 193}, {2, Dtype::f16, 195, 215}, {2, Dtype::bf16, 200, 215},
    {3, Dtype::f32, 127, 193}, {3, Dtype::f16, 195, 215}, {3, Dtype::bf16, 165, 375},
    {4, Dtype::f32, 127, 193}, {4, Dtype::f16, 195, 215}, {4, Dtype::bf16, 100, 425},
    {5, Dtype::f32, 30, 35},   {5, Dtype::f16, 30, 35},   {5, Dtype::bf16, 30, 35},
};

// Bytes per ns of one thread when all read: 19 to 25 on that machine; 16 on a Xeon with AVX-512 and
// 25 on a Zen 3 EPYC.
constexpr double k_read_rate = 20;

const Rates& rates_of(int64_t isa, Dtype dtype) {
    for (const Rates& rates : k_rates) {
        if (rates.isa == isa && rates.dtype == dtype) {
            return rates;
        }
    }
    return k_rates[0];
}

}  // namespace

int64_t step_columns(const KvGeometry& kv) {
    const int64_t column_bytes = (kv.head_dim_k + kv.head_dim_v) * size_of(kv.dtype);
    const int64_t columns = l2_bytes() / 2 / column_bytes / 64 * 64;
    return std::clamp<int64_t>(columns, 64, k_max_columns);
}

int64_t rows_that_leave_memory_idle(const InstructionSet& set, const Layer& layer) {
    const double read_ns = static_cast<double>(size_of(layer.kv.dtype)) / k_read_rate;
    const double row_ns = 2 / rates_of(set.id, layer.kv.dtype).many;  // of an element
    return static_cast<int64_t>(1.25 * read_ns / row_ns) + 1;
}

DeviceFigures figures_of(const InstructionSet& set, int64_t num_threads, const Layer& layer) {
    const auto threads = static_cast<double>(num_threads);
    const Rates& rates = rates_of(set.id, layer.kv.dtype);
    DeviceFigures f;
    f.num_workers = num_threads;
    f.few_rows = 8;
    f.tile_rows = 128;  // 64 and 256 were 2 to 4 % slower at 256 rows
    f.chunk_granule = 64;
    f.min_chunk = 128;
    f.read_bytes_per_ns = k_read_rate * threads;
    f.few_flops_per_ns = rates.few * threads;
    f.many_flops_per_ns = rates.many * threads;
    f.item_ns = 300;
    f.partial_ns = 0.7 * static_cast<double>(layer.kv.head_dim_v);
    return f;
}

}  // namespace relayattn::cpu
