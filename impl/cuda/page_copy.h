// Copies of slots inside the pages, as if all were read before any is written.
#pragma once

#include <mutex>
#include <span>

#include "impl/backend.h"
#include "impl/cuda/memory.h"
#include "impl/cuda/pages.h"

namespace relayattn::cuda {

// Slots as the host and the device see them.
struct SlotList {
    std::span<const int64_t> host;
    const int64_t* device;
};

class PageCopy {
  public:
    explicit PageCopy(SharedGpu gpu) : gpu_(std::move(gpu)) {}

    Result<void> run(std::span<const LayerStore> stores, const SlotList& from, const SlotList& to,
                     cudaStream_t stream);

  private:
    Result<void> run_staged(std::span<const Move> moves, const SlotList& from, const SlotList& to,
                            cudaStream_t stream);
    Result<void> reserve(int64_t bytes, cudaStream_t stream);

    SharedGpu gpu_;
    std::mutex mutex_;
    DeviceBlock staging_;
    Event last_use_;
};

}  // namespace relayattn::cuda
