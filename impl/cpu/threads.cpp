#include "impl/cpu/threads.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>

namespace relayattn::cpu {
namespace {

constexpr auto k_spin = std::chrono::microseconds(50);

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Waits until value differs from old: spinning first, then asleep.
void wait_while_equal(const std::atomic<uint32_t>& value, uint32_t old) {
    const auto end = std::chrono::steady_clock::now() + k_spin;
    while (value.load(std::memory_order_acquire) == old) {
        for (int i = 0; i < 16; ++i) {
            pause();
            if (value.load(std::memory_order_acquire) != old) {
                return;
            }
        }
        if (std::chrono::steady_clock::now() > end) {
            value.wait(old, std::memory_order_acquire);
        }
    }
}

// Quota of the cgroup that a container sees as its root, in cores; 0 = none.
int64_t cgroup_quota() {
    std::ifstream file("/sys/fs/cgroup/cpu.max");
    std::string quota;
    double period = 0;
    if (!(file >> quota >> period) || quota == "max" || period <= 0) {
        return 0;
    }
    const double cores = std::strtod(quota.c_str(), nullptr) / period;
    return cores > 0 ? static_cast<int64_t>(cores + 0.999) : 0;
}

}  // namespace

int64_t cores_allowed() {
    cpu_set_t sets[8];  // 8192 processors
    int64_t cores = static_cast<int64_t>(std::thread::hardware_concurrency());
    if (sched_getaffinity(0, sizeof sets, sets) == 0) {
        cores = CPU_COUNT_S(sizeof sets, sets);
    }
    if (const int64_t quota = cgroup_quota(); quota > 0) {
        cores = std::min(cores, quota);
    }
    return std::max<int64_t>(cores, 1);
}

ThreadPool::ThreadPool(int64_t num_threads) {
    workers_.reserve(static_cast<std::size_t>(num_threads - 1));
    try {
        for (int64_t i = 1; i < num_threads; ++i) {
            workers_.emplace_back([this] { work(); });
        }
    } catch (...) {
        stop();
        throw;
    }
}

ThreadPool::~ThreadPool() {
    stop();
}

void ThreadPool::stop() {
    stopping_.store(true, std::memory_order_release);
    epoch_.fetch_add(1, std::memory_order_release);
    epoch_.notify_all();
    for (std::thread& worker : workers_) {
        worker.join();
    }
}

void ThreadPool::work() {
    uint32_t seen = 0;
    for (;;) {
        wait_while_equal(epoch_, seen);
        seen = epoch_.load(std::memory_order_acquire);
        if (stopping_.load(std::memory_order_acquire)) {
            return;
        }
        join_run();
    }
}

void ThreadPool::join_run() {
    if ((gate_.fetch_add(1, std::memory_order_acq_rel) & k_open) != 0) {
        call_(body_);
    }
    if (gate_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        gate_.notify_one();  // closed, and the last one out
    }
}

void ThreadPool::run_erased(Call call, const void* body) {
    if (workers_.empty()) {
        return call(body);
    }
    call_ = call;
    body_ = body;
    gate_.fetch_or(k_open, std::memory_order_acq_rel);
    epoch_.fetch_add(1, std::memory_order_acq_rel);
    epoch_.notify_all();
    call(body);
    uint32_t inside = gate_.fetch_and(~k_open, std::memory_order_acq_rel) & ~k_open;
    while (inside != 0) {
        wait_while_equal(gate_, inside);
        inside = gate_.load(std::memory_order_acquire);
    }
}

}  // namespace relayattn::cpu
