// One step of many sequences: reserves pages, plans every layer group, attends, commits or aborts.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "impl/core/cache.h"
#include "impl/core/plan/planner.h"
#include "impl/core/sequence.h"

namespace relayattn {

struct BatchOptions {
    int64_t max_rows = 0;  // sequences; 0 here and below = grows as needed
    int64_t max_tokens = 0;
    int64_t max_runs = 0;
    int64_t max_kv_tokens = 0;
    PlanMode mode = PlanMode::automatic;
    bool graph = false;
    bool batch_invariant = false;
    bool tree = false;
    void* scratch = nullptr;
    int64_t scratch_size = 0;
    void* metadata = nullptr;
    int64_t metadata_size = 0;
};

enum RowFlags : int64_t { row_noncausal = 1, row_new_absent = 2 };

struct BatchInput {
    // Null: of another cache. They live as long as the cache's mutex is held, and those that come
    // into a step until that ends.
    std::vector<Sequence*> sequences;
    std::span<const int64_t> q_lens;
    std::span<const int64_t> row_flags;  // empty = all 0
    const uint8_t* tree_mask = nullptr;
    int64_t tree_stride = 0;
    std::span<const int64_t> spans;  // triples: row, begin, end
    int64_t padded_tokens = 0;

    int64_t flags(size_t row) const { return row_flags.empty() ? 0 : row_flags[row]; }
    int64_t appended(size_t row) const {
        return (flags(row) & row_new_absent) != 0 ? 0 : q_lens[row];
    }
};

struct BatchQuery {
    PlanSummary plan;
    int64_t launches = 0;
};

class Batch {
  public:
    static Result<std::shared_ptr<Batch>> create(std::shared_ptr<Cache> cache,
                                                 const BatchOptions& options);
    static Result<PlanMemory> memory_needed(const Cache& cache, const BatchOptions& options);
    ~Batch();
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    const std::shared_ptr<Cache>& cache() const { return cache_; }

    // Both with the cache's mutex held, since the input was taken.
    Result<int64_t> pages_needed(const BatchInput& input, size_t pool);
    Result<void> begin(const BatchInput& input, void* queue);
    Result<void> begin_dummy(int64_t rows, int64_t q_len, int64_t kv_len, void* queue);
    Result<void> attend(int64_t layer, const AttendCall& call, void* queue);
    Result<void> attend_worker(int64_t layer, const AttendCall& call, int64_t worker,
                               int64_t num_workers);
    // kept empty = all new tokens; index empty = each sequence's first ones.
    Result<void> commit(std::span<const int64_t> kept, bool keep_all,
                        std::span<const int64_t> index, bool has_index, void* queue);
    Result<void> abort(void* queue);
    Result<BatchQuery> query(int64_t group);

  private:
    // New pages that a row takes in one pool: entries [first, first + count) of Step::new_pages.
    struct PoolPages {
        int64_t first = 0;
        int64_t count = 0;
        bool copies_last = false;  // the first of them stands for the tail's last, shared page
    };
    struct StepRow {
        Sequence* sequence = nullptr;
        int64_t q_len = 0;
        int64_t flags = 0;
        int64_t start = 0;  // its length before the step

        int64_t appended() const { return (flags & row_new_absent) != 0 ? 0 : q_len; }
    };
    // A step in being: flat arrays that keep their room from step to step.
    struct Step {
        std::vector<StepRow> rows;
        std::vector<PoolPages> pools;  // [rows][pools]; all are zero but those of takers
        std::vector<size_t> takers;    // which of `pools` take any page
        std::vector<int64_t> needed;   // new pages of each pool, over all rows
        std::vector<int32_t> new_pages;
        int64_t num_tokens = 0;
        int64_t num_appended = 0;
        bool is_plain = false;  // one new token for each sequence, and no flags
        bool copies_pages = false;

        void clear() {
            rows.clear();
            for (const size_t at : takers)
                pools[at] = {};
            takers.clear();
            new_pages.clear();
            copies_pages = false;
        }
    };
    // What a row alone sees of a pool: a piece, and its pages.
    struct RowTail {
        Piece piece{};
        std::span<const int32_t> held, taken;  // by the sequence; by the step

        int64_t page(size_t index) const {
            return index < held.size() ? held[index] : taken[index - held.size()];
        }
    };
    struct GroupPlan {
        PlanShape shape;
        DeviceFigures figures;
        std::unique_ptr<DevicePlan> device;
        Planner planner;
        WorkList work;
        Forest forest;
        PlanSummary summary;         // of the last step that began
        PlanSummary next_summary;    // of the step that a begin is making
        std::vector<RowEnd> ends;    // per row; empty = the next step is planned from nothing
        std::vector<int32_t> paged;  // rows that a step going on from the last gave a new page
    };
    // A row of the last step that was planned from nothing.
    struct PlannedRow {
        uint64_t id;
        int64_t start;
    };
    class PageTable;
    class User;  // marks the batch as in use for one call

    Batch(std::shared_ptr<Cache> cache, const BatchOptions& options);

    Result<void> check(const BatchInput& input) const;
    static Error row_error(const BatchInput& input, size_t i, bool stands_twice);
    Result<void> check_spans(const BatchInput& input) const;
    Result<void> check_call(const AttendCall& call, bool kv_in_pages) const;
    Result<void> check_bounds(int64_t rows, int64_t tokens) const;
    static int64_t pages_for(const Sequence& sequence, size_t pool, int64_t appended,
                             int64_t page_size);
    Result<void> check_free_pages(const Step& step) const;
    const PoolPages& pages_of(const Step& step, size_t row, size_t pool) const {
        return step.pools[row * cache_->pools.size() + pool];
    }
    // The slot that holds or will hold a row's own token.
    int64_t slot_of(const Step& step, size_t row, size_t pool, int64_t position) const;
    void make_rows(const BatchInput& input, Step& step) const;
    void count_pages(Step& step, size_t pool) const;
    void make_room(Step& step) const;
    void take_pages(Step& step) const noexcept;
    void give_back(const Step& step) noexcept;
    Result<void> copy_shared_pages(const Step& step, void* queue);
    Result<void> plan_step(const Step& step, const BatchInput& input, void* queue);
    Result<void> plan_group(size_t group, void* queue);
    bool is_next_step(const Step& step, const BatchInput& input) const;
    Result<void> advance_step(const Step& step, void* queue);
    void advance_group(size_t group, const Step& step);
    bool has_spare_table(const Step& step) const;
    void remember_step(const Step& step, const BatchInput& input);
    bool find_ends(size_t group, const Step& step);
    void start_work(size_t group, const Step& step, const BatchInput& input);
    static void widen_spans(const Step& step, const BatchInput& input, WorkList& work);
    void build_forest(size_t group, const Step& step);
    RowTail tail_of(const Step& step, const StepRow& row, const PoolPages& pages, size_t pool,
                    int64_t needed_from) const;
    static void fill_slots(const StepRow& row, const RowTail& tail, int64_t page_size,
                           int64_t* slots);
    int32_t run_of(const Node* node, Forest& forest, size_t pool, int64_t needed_from,
                   PageTable& table);
    size_t hang_rows(GroupPlan& plan, const Step& step, size_t pool, int64_t needed_from);
    size_t add_plain_tails(GroupPlan& plan, const Step& step, size_t pool, size_t used) const;
    size_t add_tail(GroupPlan& plan, const Step& step, size_t i, size_t pool, int64_t needed_from,
                    size_t used) const;
    int64_t shared_from(const GroupPlan& plan, const Step& step, const Window& window) const;
    int64_t needed_from(const GroupPlan& plan, const Window& window, int64_t start) const;
    void build_dummy(GroupPlan& plan, size_t pool, int64_t rows, int64_t q_len, int64_t kv_len);
    bool is_fixed() const;
    Result<void> fit(GroupPlan& plan, size_t group);
    Result<void> move_kept(std::span<const int64_t> kept, std::span<const int64_t> index,
                           void* queue);
    Result<void> check_kept(std::span<const int64_t> kept, bool keep_all,
                            std::span<const int64_t> index, bool has_index) const;
    void open() noexcept;
    void close() noexcept;

    std::shared_ptr<Cache> cache_;
    BatchOptions options_;
    std::vector<GroupPlan> plans_;     // per layer group
    std::vector<int64_t> layer_slot_;  // per layer: its place in its group
    Step step_;                        // the open step
    Step next_;                        // the step that a begin is making
    std::vector<PlannedRow> planned_;  // empty = the next step is planned from nothing
    int64_t planned_padding_ = 0;
    int64_t steps_since_ = 0;        // that went on from it, with one more token a row each
    std::atomic<int32_t> users_{0};  // -1 = one exclusive, n = n attend workers
    bool open_ = false;
    bool was_begun_ = false;
    int64_t num_appended_ = 0;  // new tokens of the open step that go into pages
    int64_t num_out_rows_ = 0;  // rows of out, padded ones included
    uint64_t step_id_ = 0;
    std::vector<const Node*> fresh_nodes_;  // scratch of run_of
    void* last_queue_ = nullptr;
};

}  // namespace relayattn
