// A shape in a cache of the library: its prefixes written and sealed, its sequences up to the step
// that is timed.
#pragma once

#include <relayattn/relayattn.h>

#include <cstdint>
#include <vector>

#include "device.h"
#include "inputs.h"
#include "shapes.h"
#include "support/api.h"

namespace relayattn::bench {

class Scene {
  public:
    // With `copies`, every sequence has a prefix of its own instead of the shared ones.
    Scene(Device& device, ra_context context, const Shape& shape, const Inputs& inputs,
          Dtypes dtypes, int64_t page_size, bool copies);

    const Shape& shape() const { return shape_; }
    ra_cache cache() const { return cache_; }
    int64_t num_tokens() const { return shape_.num_rows() * shape_.q_len; }

    // The step's input and arguments.
    ra_batch_input input() const;
    ra_attend_args args() const;
    const Buffer& out() const { return out_; }

    // What the step reads: the cache's pages, and its own arguments.
    std::vector<Range> memory() const;

    // Back to the lengths from which the step starts.
    void truncate();

    // How many steps may be committed in a row before truncate().
    static constexpr int64_t k_spare_steps = 32;

    // What a token is called in the inputs.
    static int64_t prefix_token(const Shape& shape, int64_t prefix, int64_t position);
    static int64_t tail_token(const Shape& shape, int64_t row, int64_t position);

  private:
    void make_cache(ra_context context, int64_t page_size, bool copies);
    void write_prefix(ra_prefix prefix, int64_t at, const std::vector<int64_t>& tokens);
    void attach_shared();
    void attach_copies();
    void append_tails();
    void append(ra_batch batch, const std::vector<int64_t>& done,
                const std::vector<int64_t>& counts);
    void fill_step();
    void upload_kv(const std::vector<int64_t>& tokens, Buffer& k, Buffer& v);
    int64_t committed(const Row& row) const { return row.tail - shape_.q_len; }

    Device& device_;
    const Shape& shape_;
    const Inputs& inputs_;
    Dtypes dtypes_;
    int64_t kv_width_;
    test::Model model_;
    test::Cache cache_;
    std::vector<test::Prefix> prefixes_;
    std::vector<test::Sequence> sequences_;
    std::vector<ra_sequence> handles_;
    std::vector<int64_t> q_lens_;
    Buffer stage_k_, stage_v_, q_, k_, v_, out_;
};

// One batch over a scene.
class Step {
  public:
    Step(Device& device, const Scene& scene, int32_t mode, bool graph);

    void begin();
    void attend(void* queue);
    void commit();
    void abort();
    int64_t query(int32_t property) const;

  private:
    Device& device_;
    ra_batch_input input_;
    ra_attend_args args_;
    test::Batch batch_;
};

}  // namespace relayattn::bench
