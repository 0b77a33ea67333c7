#include "crew.h"

namespace relayattn::bench {

Crew::Crew(int64_t num_threads) {
    for (int64_t thread = 1; thread < num_threads; ++thread)
        workers_.emplace_back([this, thread] { work(thread); });
}

Crew::~Crew() {
    job_ = nullptr;
    epoch_.fetch_add(1, std::memory_order_release);
    epoch_.notify_all();
    for (std::thread& worker : workers_)
        worker.join();
}

void Crew::run(const Job& job) {
    job_ = &job;
    busy_.store(size() - 1, std::memory_order_relaxed);
    epoch_.fetch_add(1, std::memory_order_release);
    epoch_.notify_all();
    job(0);
    for (int64_t left; (left = busy_.load(std::memory_order_acquire)) > 0;)
        busy_.wait(left, std::memory_order_acquire);
}

void Crew::work(int64_t thread) {
    for (uint32_t seen = 0;; ++seen) {
        epoch_.wait(seen, std::memory_order_acquire);
        if (job_ == nullptr)
            return;
        (*job_)(thread);
        if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1)
            busy_.notify_one();
    }
}

}  // namespace relayattn::bench
