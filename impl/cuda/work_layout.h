// Where a step's work list lies in one block of device memory.
//
// A captured graph keeps the pointers, so they never move. What kernels index directly (counts,
// tokens, slots, merged tokens, items) has fixed places; everything that is reached by an index
// from there follows the step's last item without gaps, in one arena, with the indexes rebased to
// the arena's start. So a step uploads little more than it uses, in one copy as a rule.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "impl/backend.h"
#include "impl/cuda/attend_params.h"

namespace relayattn::cuda {

// Bytes [begin, end) of the block.
struct Stretch {
    int64_t begin, end;
};

class Stretches {
  public:
    // Joins the stretch to the last one where the gap costs less than another copy.
    void add(int64_t begin, int64_t bytes);
    std::span<const Stretch> list() const { return {list_.data(), count_}; }

  private:
    std::array<Stretch, 5> list_{};
    size_t count_ = 0;
};

class WorkLayout {
  public:
    WorkLayout() = default;
    explicit WorkLayout(const PlanShape& shape);

    int64_t size() const { return size_; }

    // Pointers into a block at `base`.
    DeviceWork at(const char* base) const;

    // Writes the work list to a block in host memory; says which bytes are to be copied.
    Stretches pack(const WorkList& work, char* base) const;

    // Brings a block up to date into which an earlier list was packed that has grown since, a token
    // a step at every row's end; `paged`: the rows that took
    // pages since then, or more of them.
    void patch(const WorkList& work, std::span<const RowEnd> ends, std::span<const int32_t> paged,
               char* base) const;

  private:
    int64_t page_size_ = 1;
    int64_t tokens_ = 0, slots_ = 0, merged_tokens_ = 0, arena_ = 0, size_ = 0;
};

WorkCounts counts_of(const WorkList& work);

}  // namespace relayattn::cuda
