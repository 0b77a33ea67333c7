#include "impl/cuda/upload_ring.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "impl/cuda/error.h"

namespace relayattn::cuda {
namespace {

Result<void> wait_for(const Event& event, bool& in_flight) {
    if (!in_flight || is_complete(event.get())) {
        in_flight = false;
        return {};
    }
    const Result<void> waited = check(cudaEventSynchronize(event.get()), "cudaEventSynchronize");
    if (waited)
        in_flight = false;
    return waited;
}

}  // namespace

Result<StagingRing> StagingRing::make(const SharedGpu& gpu, int64_t bytes) {
    StagingRing ring;
    for (Slot& slot : ring.slots_) {
        Result<PinnedBlock> memory = PinnedBlock::make(gpu, bytes);
        if (!memory)
            return memory.error();
        Result<Event> event = Event::make(gpu);
        if (!event)
            return event.error();
        slot.memory = std::move(*memory);
        slot.event = std::move(*event);
    }
    return ring;
}

Result<char*> StagingRing::next() {
    Slot& slot = slots_[static_cast<size_t>(at_)];
    const Result<void> waited = wait_for(slot.event, slot.in_flight);
    if (!waited)
        return waited.error();
    return slot.memory.data();
}

Result<void> StagingRing::sent(cudaStream_t stream) {
    Slot& slot = slots_[static_cast<size_t>(at_)];
    slot.in_flight = true;
    at_ = (at_ + 1) % k_uploads_in_flight;
    return check(cudaEventRecord(slot.event.get(), stream), "cudaEventRecord");
}

Result<char*> UploadRing::upload(const void* data, int64_t bytes, cudaStream_t stream) {
    Slot& slot = slots_[static_cast<size_t>(at_)];
    Result<void> done = wait_for(slot.event, slot.in_flight);
    if (done && slot.host.size() < bytes)
        done = grow(slot, bytes);
    if (!done)
        return done.error();
    std::memcpy(slot.host.data(), data, static_cast<size_t>(bytes));
    const Result<void> copied =
        check(cudaMemcpyAsync(slot.device.data(), slot.host.data(), static_cast<size_t>(bytes),
                              cudaMemcpyHostToDevice, stream),
              "cudaMemcpyAsync");
    if (!copied)
        return copied.error();
    return slot.device.data();
}

Result<void> UploadRing::mark(cudaStream_t stream) {
    Slot& slot = slots_[static_cast<size_t>(at_)];
    slot.in_flight = true;
    at_ = (at_ + 1) % k_uploads_in_flight;
    return check(cudaEventRecord(slot.event.get(), stream), "cudaEventRecord");
}

Result<void> UploadRing::grow(Slot& slot, int64_t bytes) {
    const int64_t size = std::max<int64_t>(2 * bytes, 1 << 14);
    Result<PinnedBlock> host = PinnedBlock::make(gpu_, size);
    if (!host)
        return host.error();
    Result<DeviceBlock> device = DeviceBlock::make(gpu_, size);
    if (!device)
        return device.error();
    if (slot.event.get() == nullptr) {
        Result<Event> event = Event::make(gpu_);
        if (!event)
            return event.error();
        slot.event = std::move(*event);
    }
    slot.host = std::move(*host);
    slot.device = std::move(*device);
    return {};
}

}  // namespace relayattn::cuda
