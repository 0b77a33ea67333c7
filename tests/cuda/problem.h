// One attend, complete and made up: a layer, a random work list, its tensors. No planner is behind
// it, so that a list may be odder than any that a planner would make.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "impl/backend.h"
#include "support/random.h"

namespace relayattn::test {

struct ProblemOptions {
    Layer layer;
    int64_t page_size = 16;
    int64_t num_sequences = 6;
    int64_t max_prefix = 90;  // tokens of each node of the prefix tree
    int64_t num_nodes = 3;    // of the prefix tree; 0 = no sharing
    int64_t max_tail = 60;    // own tokens of a sequence before the step
    int64_t max_q_len = 3;
    int64_t max_item_tokens = 50;  // KV tokens after which an item may be cut
    int64_t padded_tokens = 0;
    bool tree = false;
    bool odd_rows = false;  // non-causal rows, spans, rows whose new tokens are absent
    bool append = true;

    // What the device's figures promise to its kernels: items with more rows per KV head than
    // few_rows are in the many-row part, and none has more than tile_rows.
    int64_t few_rows = 8;
    int64_t tile_rows = 128;
    void set_limits(const Backend& backend);
};

Layer layer_of(int64_t q_heads, int64_t kv_heads, int64_t dim_k, int64_t dim_v, Dtype q, Dtype kv,
               Dtype out);
std::string describe(const ProblemOptions& options);

struct Problem {
    ProblemOptions options;
    WorkList work;
    int64_t num_pages = 0;
    std::vector<int64_t> written_slots;  // tokens [0, n) of stored_k, stored_v lie there
    std::vector<float> stored_k, stored_v;
    std::vector<float> q, k, v;  // of the step's tokens; exact in their dtypes
    std::vector<float> sinks, slopes;
    std::vector<uint8_t> tree_mask;
    int64_t tree_stride = 0;

    int64_t num_tokens() const { return work.num_tokens(); }
    int64_t num_rows() const { return num_tokens() + work.padded_tokens; }
};

Problem make_problem(const ProblemOptions& options, Random& random);

// The least shape that holds all the problems.
PlanShape shape_for(const std::vector<Problem>& problems, bool graph);

struct Expected {
    std::vector<double> out;  // [rows, q_heads, dim_v]
    std::vector<double> lse;  // [rows, q_heads]
};

// In float64, straight from the items and the masks.
Expected expected_of(const Problem& problem);

}  // namespace relayattn::test
