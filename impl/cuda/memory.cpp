#include "impl/cuda/memory.h"

#include <algorithm>
#include <utility>

#include "impl/cuda/error.h"

namespace relayattn::cuda {
namespace {

size_t at_least_one(int64_t bytes) {
    return static_cast<size_t>(std::max<int64_t>(bytes, 1));
}

class PagesMemory final : public DeviceMemory {
  public:
    explicit PagesMemory(DeviceBlock block) : block_(std::move(block)) {}
    void* data() override { return block_.data(); }

  private:
    DeviceBlock block_;
};

}  // namespace

Result<DeviceBlock> DeviceBlock::make(const SharedGpu& gpu, int64_t bytes) {
    const Gpu::Current current(*gpu);
    const RelaxedCapture relaxed;
    DeviceBlock block;
    void* data = nullptr;
    const Result<void> made = check(cudaMalloc(&data, at_least_one(bytes)), "cudaMalloc");
    if (!made)
        return error(made.error().code, bytes, " bytes of GPU memory: ", made.error().text);
    block.gpu_ = gpu;
    block.data_ = static_cast<char*>(data);
    block.size_ = bytes;
    return block;
}

DeviceBlock::~DeviceBlock() {
    if (data_ == nullptr)
        return;
    const Gpu::Current current(*gpu_);
    const RelaxedCapture relaxed;
    cudaFree(data_);
}

void DeviceBlock::swap(DeviceBlock& other) noexcept {
    std::swap(gpu_, other.gpu_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
}

Result<PinnedBlock> PinnedBlock::make(const SharedGpu& gpu, int64_t bytes) {
    const Gpu::Current current(*gpu);
    const RelaxedCapture relaxed;
    PinnedBlock block;
    void* data = nullptr;
    const Result<void> made =
        check(cudaHostAlloc(&data, at_least_one(bytes), cudaHostAllocPortable), "cudaHostAlloc");
    if (!made)
        return error(made.error().code, bytes, " bytes of pinned memory: ", made.error().text);
    block.gpu_ = gpu;
    block.data_ = static_cast<char*>(data);
    block.size_ = bytes;
    return block;
}

PinnedBlock::~PinnedBlock() {
    if (data_ == nullptr)
        return;
    const Gpu::Current current(*gpu_);
    const RelaxedCapture relaxed;
    cudaFreeHost(data_);
}

void PinnedBlock::swap(PinnedBlock& other) noexcept {
    std::swap(gpu_, other.gpu_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
}

Result<Event> Event::make(const SharedGpu& gpu) {
    const Gpu::Current current(*gpu);
    Event event;
    const Result<void> made =
        check(cudaEventCreateWithFlags(&event.event_, cudaEventDisableTiming), "cudaEventCreate");
    if (!made)
        return made.error();
    event.gpu_ = gpu;
    return event;
}

Event::~Event() {
    if (event_ == nullptr)
        return;
    const Gpu::Current current(*gpu_);
    const RelaxedCapture relaxed;
    cudaEventSynchronize(event_);
    cudaEventDestroy(event_);
}

void Event::swap(Event& other) noexcept {
    std::swap(gpu_, other.gpu_);
    std::swap(event_, other.event_);
}

Result<std::unique_ptr<DeviceMemory>> allocate_pages(const SharedGpu& gpu, int64_t bytes) {
    Result<DeviceBlock> block = DeviceBlock::make(gpu, bytes);
    if (!block)
        return block.error();
    return std::unique_ptr<DeviceMemory>(std::make_unique<PagesMemory>(std::move(*block)));
}

}  // namespace relayattn::cuda
