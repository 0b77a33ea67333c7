#include "impl/core/plan/cost_model.h"

#include <algorithm>

namespace relayattn {

double unit_ns(const DeviceFigures& figures, const CostShape& shape, int64_t kv_tokens,
               int64_t rows) {
    const auto workers = static_cast<double>(figures.num_workers);
    const double bytes = static_cast<double>(kv_tokens * shape.token_bytes());
    const double flops = 2.0 * static_cast<double>(rows * kv_tokens) *
                         static_cast<double>(shape.kv.head_dim_k + shape.kv.head_dim_v);
    const double rate =
        rows <= figures.few_rows ? figures.few_flops_per_ns : figures.many_flops_per_ns;
    return workers * std::max(bytes / figures.read_bytes_per_ns, flops / rate) + figures.item_ns;
}

double relay_ns(const DeviceFigures& figures, const CostShape& shape, int64_t kv_tokens,
                int64_t query_tokens, bool adds_first_partial) {
    const int64_t rows = query_tokens * shape.rows_per_token;
    const int64_t tiles = (rows + figures.tile_rows - 1) / figures.tile_rows;
    const double product = static_cast<double>(tiles) *
                           unit_ns(figures, shape, kv_tokens, std::min(rows, figures.tile_rows));
    const double partials = static_cast<double>(query_tokens * (adds_first_partial ? 2 : 1)) *
                            static_cast<double>(shape.rows_per_token) * figures.partial_ns;
    const auto heads = static_cast<double>(shape.kv.num_kv_heads);
    return heads * (product + partials) / static_cast<double>(figures.num_workers) +
           (adds_first_partial ? figures.launch_ns : 0);
}

double flat_ns(const DeviceFigures& figures, const CostShape& shape, int64_t kv_tokens,
               int64_t query_tokens, int64_t sequences) {
    const int64_t rows = (query_tokens + sequences - 1) / sequences * shape.rows_per_token;
    // The run is one more piece of an item that the sequence has anyway: no fixed cost.
    const double each = unit_ns(figures, shape, kv_tokens, rows) - figures.item_ns;
    return static_cast<double>(shape.kv.num_kv_heads * sequences) * each /
           static_cast<double>(figures.num_workers);
}

}  // namespace relayattn
