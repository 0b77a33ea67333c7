// A CUDA GPU as a Backend.
#pragma once

#include <memory>

#include "impl/backend.h"
#include "impl/cuda/kernels.h"
#include "impl/cuda/page_copy.h"
#include "impl/cuda/upload_ring.h"

namespace relayattn::cuda {

Result<std::unique_ptr<Backend>> create_backend(int64_t ordinal);

class CudaBackend final : public Backend {
  public:
    CudaBackend(SharedGpu gpu, const Kernels& kernels);

    BackendInfo info() const override;
    DeviceFigures figures(const Layer& layer) const override;
    Result<void> supports(const Layer& layer, int64_t page_size, bool graph) const override;
    PageLayout page_layout(const KvGeometry& geometry, int64_t page_size) const override;
    Result<std::unique_ptr<DeviceMemory>> allocate(int64_t bytes) override;
    Result<std::unique_ptr<QueueOrder>> create_order() override;
    Result<void> write(const LayerStore& store, const View& k, const View& v,
                       std::span<const int64_t> slots, void* queue) override;
    Result<void> read(const LayerStore& store, const View& k, const View& v,
                      std::span<const int64_t> slots, void* queue) override;
    Result<void> copy(std::span<const LayerStore> stores, std::span<const int64_t> from,
                      std::span<const int64_t> to, void* queue) override;
    PlanMemory plan_memory(const PlanShape& shape) const override;
    Result<std::unique_ptr<DevicePlan>> create_plan(const PlanShape& shape,
                                                    const PlanBuffers& buffers,
                                                    int64_t num_layers) override;
    Result<void> merge(const MergeCall& call, void* queue) override;

  private:
    Result<void> transfer(bool into_pages, const LayerStore& store, const View& k, const View& v,
                          std::span<const int64_t> slots, void* queue);

    SharedGpu gpu_;
    Kernels kernels_;
    UploadRing uploads_;
    PageCopy page_copy_;
};

}  // namespace relayattn::cuda
