#include "impl/cuda/queue_order.h"

#include "impl/cuda/error.h"

namespace relayattn::cuda {
Result<void> CudaQueueOrder::before(void* queue) {
    const Gpu::Current current(*gpu_);
    const Result<unsigned long long> id = id_of(stream_of(queue));
    if (!id)
        return id.error();
    const std::lock_guard lock(mutex_);
    for (Mark& mark : marks_) {
        if (!mark.pending || mark.stream == *id)
            continue;
        const RelaxedCapture relaxed;
        if (is_complete(mark.event.get())) {
            mark.pending = false;
            continue;
        }
        const Result<void> waits = check(cudaStreamWaitEvent(stream_of(queue), mark.event.get(), 0),
                                         "cudaStreamWaitEvent");
        if (!waits)
            return waits;
    }
    return {};
}

Result<void> CudaQueueOrder::after(void* queue) {
    const Gpu::Current current(*gpu_);
    const Result<unsigned long long> id = id_of(stream_of(queue));
    if (!id)
        return id.error();
    const std::lock_guard lock(mutex_);
    const Result<Mark*> found = mark_for(*id);
    if (!found)
        return found.error();
    Mark& mark = **found;
    const Result<void> recorded =
        check(cudaEventRecord(mark.event.get(), stream_of(queue)), "cudaEventRecord");
    if (!recorded)
        return recorded;
    mark.stream = *id;
    mark.pending = true;
    return {};
}

// The queue's own mark, else one whose work is over, else a new one.
Result<CudaQueueOrder::Mark*> CudaQueueOrder::mark_for(unsigned long long stream) {
    for (Mark& mark : marks_)
        if (mark.stream == stream)
            return &mark;
    const RelaxedCapture relaxed;
    for (Mark& mark : marks_)
        if (!mark.pending || is_complete(mark.event.get()))
            return &mark;
    Result<Event> event = Event::make(gpu_);
    if (!event)
        return event.error();
    marks_.push_back({stream, false, std::move(*event)});
    return &marks_.back();
}

}  // namespace relayattn::cuda
