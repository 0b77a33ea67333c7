#include "impl/cuda/upload_ring.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "impl/cuda/error.h"

namespace relayattn::cuda {
namespace {

Result<void> wait_for(const Event& event, bool& in_flight) {
    if (!in_flight)
        return {};
    const RelaxedCapture relaxed;
    if (is_complete(event.get())) {
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

Result<StagingRing::Place> StagingRing::next(cudaStream_t stream) {
    if (at_ % k_half == 0) {
        Slot& last = slots_[at_ + k_half - 1];
        const Result<void> waited = wait_for(last.event, last.in_flight);
        if (!waited)
            return waited.error();
    }
    const Result<void> follows = follow(stream);
    if (!follows)
        return follows.error();
    return Place{slots_[at_].memory.data(), &slots_[at_].note};
}

// Keeps the uploads in order when the caller changes queues.
Result<void> StagingRing::follow(cudaStream_t stream) {
    const Result<unsigned long long> id = id_of(stream);
    if (!id)
        return id.error();
    if (has_last_ && *id != last_stream_) {
        const Event& before = slots_[(at_ + slots_.size() - 1) % slots_.size()].event;
        const Result<void> waits =
            check(cudaStreamWaitEvent(stream, before.get(), 0), "cudaStreamWaitEvent");
        if (!waits)
            return waits;
    }
    last_stream_ = *id;
    return {};
}

Result<void> StagingRing::sent(cudaStream_t stream) {
    Slot& slot = slots_[at_];
    slot.in_flight = has_last_ = true;
    at_ = (at_ + 1) % slots_.size();
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
