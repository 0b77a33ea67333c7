// How long work takes on a device: pure functions over the device's figures.
#pragma once

#include <algorithm>
#include <cstdint>

#include "impl/core/layer.h"
#include "impl/core/plan/device_figures.h"

namespace relayattn {

// The attention that is planned, as the cost model sees it.
struct CostShape {
    KvGeometry kv;
    int64_t rows_per_token = 1;  // query heads per KV head

    int64_t num_q_heads() const { return kv.num_kv_heads * rows_per_token; }
    int64_t token_bytes() const {  // K and V of one token and KV head
        return (kv.head_dim_k + kv.head_dim_v) * size_of(kv.dtype);
    }
};

// One worker's time for `kv_tokens` of one KV head against `rows` rows, when all workers are busy.
// Asked many times in a step, so the divisions are done once.
class UnitCost {
  public:
    UnitCost() = default;
    UnitCost(const DeviceFigures& figures, const CostShape& shape);

    // What it is for a number of rows.
    struct Rate {
        double token_ns, item_ns;

        double ns(int64_t kv_tokens) const {
            return static_cast<double>(kv_tokens) * token_ns + item_ns;
        }
    };
    Rate of(int64_t rows) const {
        const bool is_few = rows <= few_rows_;
        const int64_t paid =
            is_few ? rows : (rows + many_granule_ - 1) / many_granule_ * many_granule_;
        const double product = static_cast<double>(paid) * (is_few ? few_row_ns_ : many_row_ns_);
        return {std::max(read_ns_, product), is_few ? few_item_ns_ : many_item_ns_};
    }

  private:
    int64_t few_rows_ = 0, many_granule_ = 1;
    double read_ns_ = 0;                       // of one token
    double few_row_ns_ = 0, many_row_ns_ = 0;  // of one token and row
    double few_item_ns_ = 0, many_item_ns_ = 0;
};

// A run of kv_tokens that `sequences` sequences with `query_tokens` tokens in all share: the time
// of the whole device if it is read once for all, and once for each.
double relay_ns(const DeviceFigures& figures, const CostShape& shape, int64_t kv_tokens,
                int64_t query_tokens, bool adds_first_partial);
double flat_ns(const DeviceFigures& figures, const CostShape& shape, int64_t kv_tokens,
               int64_t query_tokens, int64_t sequences);

}  // namespace relayattn
