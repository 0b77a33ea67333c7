// One layer group's plan on the CPU.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "impl/cpu/dispatch.h"
#include "impl/cpu/plan_storage.h"
#include "impl/cpu/threads.h"

namespace relayattn::cpu {

// What all plans of a backend share.
struct Engine {
    Engine(const InstructionSet& chosen, int64_t num_threads) : set(chosen), pool(num_threads) {}

    const InstructionSet& set;
    ThreadPool pool;
    std::mutex pool_mutex;  // one run at a time
};

class CpuPlan final : public DevicePlan {
  public:
    CpuPlan(Engine& engine, const PlanShape& shape, const PlanBuffers& buffers, int64_t num_layers);

    // Workers that can run at once; plans' scratch is sized for them.
    static int64_t max_workers(const Engine& engine);

    Result<void> set(const WorkList& work, void* queue) override;
    Result<void> attend(const AttendCall& call, void* queue) override;
    Result<void> attend_worker(const AttendCall& call, int64_t slot, int64_t worker,
                               int64_t num_workers) override;
    int64_t num_launches() const override { return 1; }

  private:
    // The next unit of many rows, and the next tail.
    struct alignas(k_cache_line) Tickets {
        std::atomic<int64_t> many{0}, tail{0};

        void reset() {
            many.store(0, std::memory_order_relaxed);
            tail.store(0, std::memory_order_relaxed);
        }
    };
    struct alignas(k_cache_line) Lease {
        std::atomic<bool> taken{false};
    };

    Result<void> check(const AttendCall& call) const;
    AttendJob job_for(const AttendCall& call) const;
    void append(const AttendCall& call);
    int64_t num_units() const;
    WorkUnit unit_at(int64_t first_item, int64_t ticket) const;
    bool is_small(const AttendCall& call) const;
    void draw(const AttendJob& job, Tickets& tickets);
    void draw_units(const AttendJob& job, Tickets& tickets, void* scratch) const;
    void draw_each(const AttendJob& job, int64_t first_item, int64_t units,
                   std::atomic<int64_t>& next, const Beside* beside, void* scratch) const;
    double tails_per_step(const AttendJob& job) const;
    void finish_unit(const AttendJob& job, WorkUnit unit) const;
    void run_blanks(const AttendJob& job) const;
    void count_partials(const AttendJob& job, const Item& item, int64_t head) const;

    Engine& engine_;
    PlanStorage storage_;

    int64_t num_items_ = 0, num_many_ = 0, num_tokens_ = 0, num_merged_ = 0, padded_tokens_ = 0;
    int64_t row_products_ = 0;  // sum over items of KV tokens x query tokens
    int64_t many_tokens_ = 0;   // KV tokens of the items of many rows
    const uint8_t* tree_mask_ = nullptr;
    int64_t tree_stride_ = 0;

    int64_t num_slots_, num_leases_;
    std::unique_ptr<Tickets[]> tickets_;  // per slot; the last is attend's
    std::unique_ptr<Lease[]> leases_;     // of worker scratch
    int64_t num_strands_;                 // see unit_at
    // Of attend_worker: how many are inside and for which slot (inside | slot << 32).
    std::atomic<int64_t> inside_{0};
};

}  // namespace relayattn::cpu
