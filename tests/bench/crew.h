// Threads of the program's own, for the ceilings and the cache flush. They sleep between jobs: a
// thread that spins would take a core from the library's.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace relayattn::bench {

class Crew {
  public:
    using Job = std::function<void(int64_t thread)>;

    explicit Crew(int64_t num_threads);
    ~Crew();
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    int64_t size() const { return static_cast<int64_t>(workers_.size()) + 1; }
    void run(const Job& job);  // on every thread, the caller's is 0; returns when all have

  private:
    void work(int64_t thread);

    const Job* job_ = nullptr;  // null = leave
    std::atomic<uint32_t> epoch_{0};
    std::atomic<int64_t> busy_{0};
    std::vector<std::thread> workers_;
};

}  // namespace relayattn::bench
