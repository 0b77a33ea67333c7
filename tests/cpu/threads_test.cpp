// The thread pool: every run is complete when run() returns, whoever did the work.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "impl/cpu/threads.h"

using relayattn::cpu::ThreadPool;

TEST_CASE("runs follow each other at once and after a sleep, and lose no work") {
    for (const int64_t threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        CHECK(pool.num_threads() == threads);
        for (int run = 0; run < 2000; ++run) {
            std::atomic<int> next{0};
            int done[50] = {};
            pool.run([&] {
                int i;
                while ((i = next.fetch_add(1)) < 50) {
                    ++done[i];
                }
            });
            int sum = 0;
            for (const int count : done) {
                sum += count;
            }
            REQUIRE(sum == 50);
            if (run % 500 == 0) {  // long enough for workers to fall asleep
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
        }
    }
}

TEST_CASE("a sleeping worker is woken to help") {
    ThreadPool pool(2);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> arrived{0};
    pool.run([&] {  // neither returns before both are there
        ++arrived;
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (arrived < 2 && std::chrono::steady_clock::now() < end) {
            std::this_thread::yield();
        }
    });
    CHECK(arrived == 2);
}

TEST_CASE("pools come and go without a run") {
    for (int i = 0; i < 50; ++i) {
        const ThreadPool pool(3);
    }
    CHECK(relayattn::cpu::cores_allowed() >= 1);
}
