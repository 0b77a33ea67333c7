#include "impl/core/plan/cost_model.h"

namespace relayattn {

UnitCost::UnitCost(const DeviceFigures& figures, const CostShape& shape)
    : few_rows_(figures.few_rows),
      many_granule_(figures.many_row_granule),
      few_item_ns_(figures.item_ns),
      many_item_ns_(figures.item_ns + figures.many_item_ns) {
    const auto workers = static_cast<double>(figures.num_workers);
    const double flops = 2.0 * static_cast<double>(shape.kv.head_dim_k + shape.kv.head_dim_v);
    read_ns_ = workers * static_cast<double>(shape.token_bytes()) / figures.read_bytes_per_ns;
    few_row_ns_ = workers * flops / figures.few_flops_per_ns;
    many_row_ns_ = workers * flops / figures.many_flops_per_ns;
}

double relay_ns(const DeviceFigures& figures, const CostShape& shape, int64_t kv_tokens,
                int64_t query_tokens, bool adds_first_partial) {
    const int64_t rows = query_tokens * shape.rows_per_token;
    const int64_t tiles = (rows + figures.tile_rows - 1) / figures.tile_rows;
    const double product =
        static_cast<double>(tiles) *
        UnitCost(figures, shape).of(std::min(rows, figures.tile_rows)).ns(kv_tokens);
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
    const double each = static_cast<double>(kv_tokens) * UnitCost(figures, shape).of(rows).token_ns;
    const int64_t units = shape.kv.num_kv_heads * sequences;
    // Too few for the workers, they are cut, and then there are partials to merge here, too.
    const bool cut = units < figures.num_workers && kv_tokens >= 2 * figures.min_chunk;
    return static_cast<double>(units) * each / static_cast<double>(figures.num_workers) +
           (cut ? figures.launch_ns : 0);
}

}  // namespace relayattn
