// One layer group's work on a GPU.
#pragma once

#include <memory>
#include <vector>

#include "impl/backend.h"
#include "impl/cuda/attend_params.h"
#include "impl/cuda/kernels.h"
#include "impl/cuda/upload_ring.h"
#include "impl/cuda/work_layout.h"

namespace relayattn::cuda {

PlanMemory memory_of(const PlanShape& shape);

// Most query tokens that an item has, in each part of a work list.
struct ItemTokens {
    int64_t few = 0, many = 0;
};

class CudaPlan final : public DevicePlan {
  public:
    static Result<std::unique_ptr<DevicePlan>> make(const SharedGpu& gpu, const Kernels& kernels,
                                                    const PlanShape& shape,
                                                    const PlanBuffers& buffers);

    Result<void> set(const WorkList& work, void* queue) override;
    Result<void> advance(const WorkList& work, std::span<const RowEnd> ends,
                         std::span<const int32_t> paged, void* queue) override;
    Result<void> attend(const AttendCall& call, void* queue) override;
    Result<void> attend_worker(const AttendCall& call, int64_t slot, int64_t worker,
                               int64_t num_workers) override;
    int64_t num_launches() const override { return num_launches_; }

  private:
    CudaPlan(SharedGpu gpu, const Kernels& kernels, const PlanShape& shape);
    Result<void> allocate(const PlanBuffers& buffers);
    Result<void> send(const char* from, cudaStream_t stream);
    AttendParams params_of(const AttendCall& call) const;
    LaunchBounds bounds(const Layer& layer) const;
    Result<void> check_rows(const KernelFamily& family, const Layer& layer) const;

    SharedGpu gpu_;
    Kernels kernels_;
    PlanShape shape_;
    WorkLayout layout_;
    DeviceBlock own_scratch_, own_metadata_;
    char* scratch_ = nullptr;
    char* metadata_ = nullptr;
    StagingRing staging_;
    Stretches parts_;  // what the list that is set takes of a block
    // The lists so far are numbered; a block's note is the number of the one that it holds.
    uint64_t version_ = 0, last_set_ = 0;
    // Rows that took a page since the last set, and in which lists.
    std::vector<int32_t> paged_;
    std::vector<uint64_t> paged_in_;
    WorkCounts counts_{};
    ItemTokens item_tokens_;
    int32_t merged_partials_ = 0;
    int64_t num_launches_ = 0;
};

}  // namespace relayattn::cuda
