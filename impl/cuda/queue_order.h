// Order between the queues that touch one cache: an event per queue that has marked work.
#pragma once

#include <mutex>
#include <vector>

#include "impl/cuda/memory.h"

namespace relayattn::cuda {

class CudaQueueOrder final : public QueueOrder {
  public:
    explicit CudaQueueOrder(SharedGpu gpu) : gpu_(std::move(gpu)) {}

    Result<void> before(void* queue) override;
    Result<void> after(void* queue) override;

  private:
    struct Mark {
        unsigned long long stream = 0;  // its id
        bool pending = false;           // its work may still run
        Event event;
    };
    Result<Mark*> mark_for(unsigned long long stream);

    SharedGpu gpu_;
    std::mutex mutex_;
    std::vector<Mark> marks_;
};

}  // namespace relayattn::cuda
