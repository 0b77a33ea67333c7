// Owners of device memory, pinned host memory and events. Making and freeing any of them needs the
// GPU's context current; the objects themselves see to it when they free.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

#include "impl/backend.h"
#include "impl/cuda/driver.h"

namespace relayattn::cuda {

using SharedGpu = std::shared_ptr<const Gpu>;

class DeviceBlock {
  public:
    static Result<DeviceBlock> make(const SharedGpu& gpu, int64_t bytes);
    DeviceBlock() = default;
    DeviceBlock(DeviceBlock&& other) noexcept { swap(other); }
    DeviceBlock& operator=(DeviceBlock&& other) noexcept {
        swap(other);
        return *this;
    }
    ~DeviceBlock();

    char* data() const { return data_; }
    int64_t size() const { return size_; }

  private:
    void swap(DeviceBlock& other) noexcept;

    SharedGpu gpu_;
    char* data_ = nullptr;
    int64_t size_ = 0;
};

class PinnedBlock {
  public:
    static Result<PinnedBlock> make(const SharedGpu& gpu, int64_t bytes);
    PinnedBlock() = default;
    PinnedBlock(PinnedBlock&& other) noexcept { swap(other); }
    PinnedBlock& operator=(PinnedBlock&& other) noexcept {
        swap(other);
        return *this;
    }
    ~PinnedBlock();

    char* data() const { return data_; }
    int64_t size() const { return size_; }

  private:
    void swap(PinnedBlock& other) noexcept;

    SharedGpu gpu_;
    char* data_ = nullptr;
    int64_t size_ = 0;
};

// Waits at its end for the work that it marks: what is destroyed after it is in use no longer.
class Event {
  public:
    static Result<Event> make(const SharedGpu& gpu);
    Event() = default;
    Event(Event&& other) noexcept { swap(other); }
    Event& operator=(Event&& other) noexcept {
        swap(other);
        return *this;
    }
    ~Event();

    cudaEvent_t get() const { return event_; }

  private:
    void swap(Event& other) noexcept;

    SharedGpu gpu_;
    cudaEvent_t event_ = nullptr;
};

// Pages' memory.
Result<std::unique_ptr<DeviceMemory>> allocate_pages(const SharedGpu& gpu, int64_t bytes);

}  // namespace relayattn::cuda
