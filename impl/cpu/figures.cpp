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

}  // namespace

int64_t step_columns(const KvGeometry& kv) {
    const int64_t column_bytes = (kv.head_dim_k + kv.head_dim_v) * size_of(kv.dtype);
    const int64_t columns = l2_bytes() / 2 / column_bytes / 64 * 64;
    return std::clamp<int64_t>(columns, 64, k_max_columns);
}

DeviceFigures figures_of(const InstructionSet&, int64_t num_threads, const Layer&) {
    DeviceFigures f;
    f.num_workers = num_threads;
    return f;
}

}  // namespace relayattn::cpu
