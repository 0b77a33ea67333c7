// The device that is measured: its memory, its clock, its ceilings. What is timed is a callable
// that enqueues work; the program knows nothing else of a device.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "floor.h"

namespace relayattn::bench {

struct Sample {
    double seconds;
    bool clean;  // nothing else is known to have disturbed it
};

struct Range {
    const void* data;
    int64_t bytes;
};

class Timed {
  public:
    virtual ~Timed() = default;
    virtual Sample run() = 0;
};

class Device {
  public:
    using Enqueue = std::function<void(void* queue)>;

    virtual ~Device() = default;

    virtual void* allocate(int64_t bytes) = 0;
    virtual void release(void* data) noexcept = 0;
    virtual void upload(void* to, const void* host, int64_t bytes) = 0;
    virtual void download(void* host, const void* from, int64_t bytes) = 0;

    // The queue that every call of the library is given.
    virtual void* queue() = 0;
    virtual void synchronise() = 0;

    // Makes `work` ready to be timed; with `graph` it is captured now and replayed by run().
    virtual std::unique_ptr<Timed> prepare(Enqueue work, bool graph) = 0;
    // A kernel that only reads so many bytes, timed in the same way.
    virtual std::unique_ptr<Timed> prepare_read(int64_t bytes, bool graph) = 0;
    // The memory of prepare_read(bytes).
    virtual Range read_range(int64_t bytes) = 0;

    // Makes the next sample, which reads these, a cold one.
    virtual void flush_caches(const std::vector<Range>& ranges) = 0;

    // The best that was measured since the start; each call measures once more.
    virtual const Ceilings& measure_ceilings() = 0;
    // Of what the floor and the fractions are taken: the minimum of the samples, or their median.
    virtual bool judged_by_minimum() const = 0;
    virtual nlohmann::json describe() const = 0;
};

std::unique_ptr<Device> make_cpu_device(int64_t num_threads);
// Throws when the program was built without CUDA or the GPU is not there.
std::unique_ptr<Device> make_cuda_device(int64_t ordinal);

// Device memory with an owner.
class Buffer {
  public:
    Buffer() = default;
    Buffer(Device& device, int64_t bytes)
        : device_(&device), data_(device.allocate(bytes)), size_(bytes) {}
    Buffer(Buffer&& other) noexcept
        : device_(other.device_),
          data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(device_, other.device_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Buffer() {
        if (data_ != nullptr)
            device_->release(data_);
    }

    void* data() const { return data_; }
    int64_t size() const { return size_; }

  private:
    Device* device_ = nullptr;
    void* data_ = nullptr;
    int64_t size_ = 0;
};

}  // namespace relayattn::bench
