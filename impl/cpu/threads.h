// The backend's threads. Own code and not a library: an ABI-stable .so should bring no dependency
// of its own into every host, the calling thread has to work too, and workers must wait in a known
// way (they spin for at most 50 us after a run, which catches the next layer's, then sleep).
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "impl/cpu/memory.h"

namespace relayattn::cpu {

// Cores that this process may use: its affinity mask, cut by a cgroup's quota.
int64_t cores_allowed();

class ThreadPool {
  public:
    // Throws std::system_error when a thread cannot be started.
    explicit ThreadPool(int64_t num_threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int64_t num_threads() const { return static_cast<int64_t>(workers_.size()) + 1; }

    // Calls body on the calling thread and on every worker that wakes before the caller's call
    // returns; ends when all calls have. Each call has to draw its work from what is left, and the
    // caller's alone has to be enough. One run at a time; body must not throw.
    template <class Body>
    void run(const Body& body) {
        run_erased([](const void* b) { (*static_cast<const Body*>(b))(); }, &body);
    }

  private:
    using Call = void (*)(const void*);

    void run_erased(Call call, const void* body);
    void work();
    void join_run();
    void stop();

    // A run's gate: the open bit, and how many workers are inside. A worker that finds it closed
    // leaves without touching the run; the caller closes it and waits for it to be empty.
    static constexpr uint32_t k_open = 1u << 31;
    alignas(k_cache_line) std::atomic<uint32_t> gate_{0};
    Call call_ = nullptr;
    const void* body_ = nullptr;

    alignas(k_cache_line) std::atomic<uint32_t> epoch_{0};  // counts runs
    std::atomic<bool> stopping_{false};
    std::vector<std::thread> workers_;
};

}  // namespace relayattn::cpu
