// A made-up step for a backend: one shared prefix, sequences with tails of their own under it, and
// a work list made by hand; and what attention over it is in float64. Pages are shuffled, runs
// start anywhere in a page, and every slot that holds no token holds NaN.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cpu/tensor.h"
#include "impl/backend.h"
#include "support/random.h"

namespace relayattn::test {

struct StepOptions {
    KvGeometry kv{2, 64, 64, Dtype::f32};
    int64_t num_q_heads = 4;
    Dtype q_dtype = Dtype::f32, out_dtype = Dtype::f32;
    int64_t page_size = 16;

    int64_t prefix = 100;        // tokens of the shared prefix
    std::vector<int64_t> tails;  // per sequence: tokens of its own before this step
    std::vector<int64_t> q_lens;
    int64_t padded = 0;

    bool relay = true;            // prefix items over all tokens, else one chain per sequence
    int64_t chunk = 64;           // KV tokens per item, by position
    int64_t tokens_per_item = 8;  // query tokens of a prefix item, at most

    int64_t window = 0;  // sees its last `window` keys; 0 = all
    bool blind = false;  // the last sequence sees nothing
    bool tree = false;   // random tree masks over the new tokens
    bool sinks = false, alibi = false, lse = true;
    float softcap = 0;
    float scale = 0.125f;
    float first_sink = 0;  // of query head 0, instead of a random one
};

struct StepResult {
    std::vector<float> out;  // [tokens + padded][num_q_heads][head_dim_v]
    std::vector<float> lse;  // [tokens + padded][num_q_heads]
};

class Step {
  public:
    Step(const StepOptions& options, uint64_t seed);

    // Writes the pages through the backend, sets once and attends twice; the new tokens' K and V go
    // in with the attend. `workers` > 0: by attend_worker, on so many threads, k and v written
    // before.
    StepResult run(Backend& backend, int64_t workers = 0) const;

    // The same in float64: out, lse.
    struct Exact {
        std::vector<double> out, lse;
    };
    Exact exact() const;

    const WorkList& work() const { return work_; }
    int64_t num_tokens() const { return static_cast<int64_t>(work_.tokens.size()); }

  private:
    struct Run {
        int64_t first_slot, table_offset, length;
        int64_t first_row;  // of its tokens in k_ and v_
    };
    struct Row {  // one query token
        int64_t sequence, index;
    };

    void place_run(int64_t length, Random& random);
    void draw_values(Random& random);
    void make_tokens(Random& random);
    void make_items();
    void add_item(const std::vector<int64_t>& tokens, int64_t tail_run, int64_t begin, int64_t end);
    void assign_partials();
    int64_t slot_of(const Run& run, int64_t i) const;
    int64_t start_of(int64_t sequence) const;  // position of its first new token
    bool sees(int64_t token, int64_t position) const;
    double score(int64_t token, int64_t head, int64_t key_row, int64_t position) const;
    void exact_row(int64_t token, int64_t head, double* out, double& lse) const;
    void write_pages(Backend& backend, const LayerStore& store, bool with_new, Tensor& new_k,
                     Tensor& new_v) const;
    Layer layer() const;
    PlanShape shape() const;

    StepOptions options_;
    std::vector<Run> runs_;  // the prefix, then each sequence's
    std::vector<Row> rows_;  // per query token
    std::vector<int32_t> page_order_;
    int64_t num_pages_ = 0;
    std::vector<float> q_, k_, v_;  // rounded to their dtypes; k_, v_ by run
    std::vector<float> sinks_, slopes_;
    std::vector<uint8_t> tree_mask_;
    static constexpr int64_t k_tree_stride = 8;
    WorkList work_;
};

// ||got - want|| / ||want||, and infinity when infinities or NaN differ.
double relative_error(const std::vector<float>& got, const std::vector<double>& want);
// Largest difference, relative to values beyond 1.
double largest_error(const std::vector<float>& got, const std::vector<double>& want);

// A backend on `isa` ("scalar", ...) with so many threads; null when the machine lacks it.
std::unique_ptr<Backend> backend_on(const char* isa, int64_t num_threads);

}  // namespace relayattn::test
