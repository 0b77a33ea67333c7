// A random life of one cache: every call also happens to plain lists, every output is compared.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "draw.h"

namespace relayattn::test {

class Scenario {
  public:
    explicit Scenario(uint64_t seed);

    // Throws where the library and the lists disagree.
    void run();

    // What was drawn and done so far, for the report of a failure.
    std::string story() const;
    Mirror& mirror() { return mirror_; }
    int64_t steps() const { return steps_; }

  private:
    using Sequences = std::vector<MirrorSequence*>;
    struct OpenStep {
        size_t batch = 0;
        std::unique_ptr<MirrorStep> step;
    };

    void act();
    void add_prefix();
    void add_sequence();
    void fork_one();
    void truncate_one();
    void split_one();
    void freeze_one();
    void read_one();
    void release_one();
    void release_prefix(size_t index);
    void release_sequence(size_t index);
    void step();
    void decode_on();
    size_t any_batch();

    Sequences idle_sequences() const;
    OpenStep open(size_t batch, StepSpec spec);
    void meddle(const OpenStep& open);
    void expect_busy(const OpenStep& open);
    void compare_with_each_row_alone(OpenStep& open);
    void attend(OpenStep& open);
    void attend_with_workers(MirrorStep& step);
    void close(OpenStep& open);
    void tell(const std::string& what) { story_.push_back(what); }
    void check_everything_is_free();

    bool window_groups_forget() const;
    MirrorPrefix* any_prefix();
    MirrorSequence* any_sequence();

    Random random_;
    Mirror mirror_;
    std::vector<PlanSpec> plans_;
    std::vector<Batch> batches_;
    std::vector<std::unique_ptr<MirrorPrefix>> prefixes_;
    std::vector<std::unique_ptr<MirrorSequence>> sequences_;
    std::vector<std::unique_ptr<MirrorSequence>> dying_;  // released in an open batch
    Sequences busy_;
    std::vector<std::string> story_;
    int64_t steps_ = 0;
};

}  // namespace relayattn::test
