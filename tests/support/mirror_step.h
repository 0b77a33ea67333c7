// One step of a batch on both sides of a Mirror.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "compare.h"
#include "mirror.h"

namespace relayattn::test {

// What one sequence brings to a step; shared so that the same row can be run again elsewhere.
struct RowData {
    std::vector<TokenPtr> tokens;
    std::vector<std::vector<float>> q;  // per layer [q_len, q_heads, dim_k], rounded
};

struct StepRow {
    MirrorSequence* sequence = nullptr;
    int64_t q_len = 1;
    int64_t flags = 0;
    std::vector<Span> spans;
    std::shared_ptr<const RowData> data;  // drawn when null
    std::vector<std::vector<bool>> tree;  // drawn when empty and the step has a tree mask
};

struct StepSpec {
    std::vector<StepRow> rows;
    bool tree = false;
    int64_t padded = 0;
    float scale = 0, softcap = 0;  // of the call; 0 = the layer's
};

class MirrorStep {
  public:
    MirrorStep(Mirror& mirror, StepSpec spec);

    const ra_batch_input& input() const { return input_; }
    const StepSpec& spec() const { return spec_; }
    const StepRow& row(size_t index) const { return spec_.rows[index]; }
    int64_t num_tokens() const { return num_tokens_; }
    bool appends() const;

    // Begins, and checks the pages: needed ones go, or, on failure, none.
    ra_status begin(ra_batch batch);
    std::vector<int64_t> pages_needed(ra_batch batch) const;
    // For tests that call begin and commit themselves: the step runs on this open batch; the mirror
    // keeps what was committed.
    void adopt(ra_batch batch) { batch_ = batch; }
    void keep(const std::vector<int64_t>& kept, const std::vector<int64_t>& index);

    // One layer, with strides of its own; checks every output.
    void attend(int64_t layer);
    void attend_every_layer();
    // K and V alone, without queries.
    void append(int64_t layer);
    // The caller's threads; what the step appends is in the pages already.
    void attend_with_workers(int64_t layer, int64_t num_workers);

    // RA_OK changes the mirrored sequences too.
    ra_status commit();
    ra_status commit(const std::vector<int64_t>& kept);
    ra_status commit(const std::vector<int64_t>& kept, const std::vector<int64_t>& index);
    ra_status abort();

    // Bytes of the last output and log-sum-exp of a layer for the row: for bitwise comparison.
    std::vector<unsigned char> result_bytes(int64_t layer, size_t row) const;

  private:
    struct Arrays;
    struct LayerResult {
        std::vector<unsigned char> out;
        std::vector<float> lse;
    };

    void draw_row(StepRow& row);
    void build_input();
    void build_tree_mask();
    std::vector<float> layer_q(int64_t layer) const;
    std::vector<float> layer_kv(int64_t layer, bool values) const;
    ra_attend_args arguments(int64_t layer, Arrays& arrays);
    void check(int64_t layer, const Arrays& arrays);
    void check_padding(const Arrays& arrays, const std::string& where) const;
    ReferenceResult reference(int64_t layer) const;

    Mirror& mirror_;
    StepSpec spec_;
    ra_batch batch_ = nullptr;
    int64_t num_tokens_ = 0;
    std::vector<ReferenceRow> reference_rows_;
    std::vector<ra_sequence> handles_;
    std::vector<int64_t> q_lens_, flags_, spans_;
    std::vector<LayerResult> results_;
    DeviceBuffer tree_mask_;
    ra_batch_input input_{};
};

// begin, attend every layer, commit everything; throws on any failure.
void run_step(Mirror& mirror, ra_batch batch, const StepSpec& spec);

// A decode or prefill step with no extras.
StepSpec plain_step(const std::vector<MirrorSequence*>& sequences, int64_t q_len = 1);

}  // namespace relayattn::test
