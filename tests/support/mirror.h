// A cache of the library and, beside it, the same thing as plain lists of tokens. Every operation
// goes to both; every result is checked against the lists.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "api.h"
#include "compare.h"
#include "device.h"
#include "random.h"
#include "reference.h"
#include "shapes.h"
#include "strided.h"

namespace relayattn::test {

// The library and the lists disagree.
class Mismatch : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

void expect(bool truth, const std::string& otherwise);

struct MirrorPrefix {
    Prefix handle;
    Chain tokens;  // from the root on
};

struct MirrorSequence {
    Sequence handle;
    Chain tokens;
};

class Mirror {
  public:
    // The cache lives in the test's memory, which holds NaN before its first use.
    Mirror(const CacheSpec& spec, uint64_t seed);

    const CacheSpec& spec() const { return spec_; }
    const LayerSpec& layer(int64_t index) const { return spec_.layers[static_cast<size_t>(index)]; }
    int64_t num_layers() const { return static_cast<int64_t>(spec_.layers.size()); }
    ra_context context() const { return context_; }
    ra_cache cache() const { return cache_; }
    Random& random() { return random_; }
    int64_t isa() const { return isa_; }
    int64_t page_size() const { return page_size_; }
    const std::vector<float>& sinks(int64_t layer) const {
        return sinks_[static_cast<size_t>(layer)];
    }
    const std::vector<float>& slopes(int64_t layer) const {
        return slopes_[static_cast<size_t>(layer)];
    }

    // Layer groups in order; a group's number is its index.
    int64_t num_groups() const { return num_groups_; }
    std::vector<int64_t> free_pages() const;
    std::vector<int64_t> total_pages() const;

    Batch batch(const PlanSpec& plan = {}) const;
    MirrorPrefix open_prefix(const MirrorPrefix* parent, int64_t num_tokens);
    MirrorPrefix prefix(const MirrorPrefix* parent, int64_t num_tokens);  // written and sealed
    void write(const MirrorPrefix& prefix, int64_t layer, int64_t pos, int64_t num_tokens);
    void write_everything(const MirrorPrefix& prefix);

    MirrorSequence attach(const MirrorPrefix* prefix) const;
    MirrorSequence fork(const MirrorSequence& sequence) const;
    void truncate(MirrorSequence& sequence, int64_t length) const;
    MirrorPrefix split(MirrorPrefix& prefix, int64_t num_tokens) const;
    MirrorPrefix freeze(MirrorSequence& sequence, int64_t num_tokens) const;

    int64_t own_length(const MirrorPrefix& prefix) const;  // checks the total beside it
    void check_length(const MirrorSequence& sequence) const;
    // Reads own tokens [pos, pos + num_tokens) back and compares them bit by bit.
    ra_status read_back(const MirrorPrefix& prefix, int64_t layer, int64_t pos, int64_t num_tokens);

    TokenPtr new_token();
    std::vector<float> values(int64_t count, int32_t dtype);  // N(0, 1), rounded
    Layout any_layout();

    // The errors of every output so far, by its dtype (index RA_F32, RA_F16, RA_BF16), apart for
    // layers whose probabilities are rounded.
    ErrorRecord& errors(int32_t dtype, Precision precision) {
        return errors_[precision.rounded_to][dtype];
    }

  private:
    void create_model();
    void create_cache();

    CacheSpec spec_;
    Random random_;
    DeviceBuffer memory_;  // outlives the cache
    Context context_;
    Model model_;
    Cache cache_;
    std::vector<std::vector<float>> sinks_, slopes_;
    int64_t num_groups_ = 0;
    int64_t isa_ = 0;
    int64_t page_size_ = 0;
    ErrorRecord errors_[RA_BF16 + 1][RA_BF16 + 1];  // by rounded_to, dtype of out
};

}  // namespace relayattn::test
