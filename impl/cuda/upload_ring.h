// Pinned staging memory for host-to-device copies: a few slots used in turn, so that a caller waits
// only when many uploads are in flight.
#pragma once

#include <array>
#include <mutex>

#include "impl/cuda/memory.h"

namespace relayattn::cuda {

inline constexpr int k_uploads_in_flight = 4;

// One user at a time. Its uploads happen in the order in which they are given, whatever the
// streams.
//
// The ring has two halves. Entering one asks for its last upload only: those before it are done,
// too. So most uploads ask for nothing, and up to half of the ring is in flight without a wait.
class StagingRing {
  public:
    static Result<StagingRing> make(const SharedGpu& gpu, int64_t bytes);
    // A slot's memory, and whatever its user noted of what he wrote there last.
    struct Place {
        char* data;
        uint64_t* note;  // 0 in a new ring
    };
    // The next slot, once its last upload is done; `stream` waits for the upload before.
    Result<Place> next(cudaStream_t stream);
    // Call after the copies out of the slot that next() gave were given to `stream`.
    Result<void> sent(cudaStream_t stream);

  private:
    struct Slot {
        PinnedBlock memory;
        Event event;
        bool in_flight = false;
        uint64_t note = 0;
    };
    Result<void> follow(cudaStream_t stream);

    static constexpr size_t k_half = k_uploads_in_flight;
    std::array<Slot, 2 * k_half> slots_;
    size_t at_ = 0;
    unsigned long long last_stream_ = 0;  // of the last upload; an id, no handle
    bool has_last_ = false;
};

// Arrays that a kernel of any queue reads once. Shared by all threads of a backend.
class UploadRing {
  public:
    explicit UploadRing(SharedGpu gpu) : gpu_(std::move(gpu)) {}

    // Copies `bytes` of `data` to the device on `stream`, and calls use(device copy) to enqueue the
    // work there that reads it. Returns what `use` returns.
    template <class Use>
    Result<void> with(const void* data, int64_t bytes, cudaStream_t stream, const Use& use) {
        const std::lock_guard lock(mutex_);
        Result<char*> copy = upload(data, bytes, stream);
        if (!copy)
            return copy.error();
        const Result<void> used = use(static_cast<const char*>(*copy));
        const Result<void> marked = mark(stream);
        return used ? marked : used;
    }

  private:
    struct Slot {
        PinnedBlock host;
        DeviceBlock device;
        Event event;
        bool in_flight = false;
    };
    Result<char*> upload(const void* data, int64_t bytes, cudaStream_t stream);
    Result<void> mark(cudaStream_t stream);
    Result<void> grow(Slot& slot, int64_t bytes);

    SharedGpu gpu_;
    std::mutex mutex_;
    std::array<Slot, k_uploads_in_flight> slots_;
    int at_ = 0;
};

}  // namespace relayattn::cuda
