#include "impl/core/batch.h"

#include <algorithm>
#include <utility>

namespace relayattn {

// One call's use of a batch: exclusive, or shared with other attend workers.
class Batch::User {
  public:
    enum Kind { exclusive, worker };

    User(std::atomic<int32_t>& users, Kind kind) : users_(users), kind_(kind) {
        int32_t seen = users_.load(std::memory_order_relaxed);
        do {
            if (seen < 0 || (kind == exclusive && seen != 0))
                return;
        } while (!users_.compare_exchange_weak(seen, kind == exclusive ? -1 : seen + 1,
                                               std::memory_order_acquire));
        entered_ = true;
    }
    ~User() {
        if (entered_)
            users_.fetch_add(kind_ == exclusive ? 1 : -1, std::memory_order_release);
    }
    User(const User&) = delete;
    User& operator=(const User&) = delete;

    Result<void> check() const {
        if (entered_)
            return {};
        return error(Code::busy,
                     "batch is in use by another call; one thread at a time may use it");
    }

  private:
    std::atomic<int32_t>& users_;
    Kind kind_;
    bool entered_ = false;
};

namespace {

Result<void> not_open(const char* what) {
    return error(Code::state, "batch has no open step; begin one before ", what);
}

}  // namespace

Batch::Batch(std::shared_ptr<Cache> cache, const BatchOptions& options)
    : cache_(std::move(cache)),
      options_(options),
      plans_(cache_->model().groups().size()),
      layer_slot_(static_cast<size_t>(cache_->model().num_layers()), 0) {
    for (const LayerGroup& group : cache_->model().groups()) {
        for (size_t i = 0; i < group.layers.size(); ++i)
            layer_slot_[static_cast<size_t>(group.layers[i])] = static_cast<int64_t>(i);
    }
}

Batch::~Batch() {
    if (!open_)
        return;
    cache_->context().log(Context::warning, "a batch was released with its step open: aborted");
    const std::lock_guard lock(cache_->mutex);
    // The queue of the last call holds all the work that may still touch the step's pages. If
    // marking it fails the device is lost, and no reuse of a page can make that worse.
    (void)static_cast<bool>(cache_->order().after(last_queue_));
    give_back(step_);
    close();
}

void Batch::open() noexcept {
    for (GroupPlan& plan : plans_)
        plan.summary = plan.next_summary;
    open_ = was_begun_ = true;
}

void Batch::close() noexcept {
    for (const StepRow& row : step_.rows)
        row.sequence->leave_step();
    step_.clear();
    open_ = false;
}

Result<int64_t> Batch::pages_needed(const BatchInput& input, size_t pool) {
    const User user(users_, User::exclusive);
    if (Result<void> ok = user.check(); !ok)
        return ok.error();
    if (Result<void> ok = check(input); !ok)
        return ok.error();
    int64_t needed = 0;
    for (size_t i = 0; i < input.sequences.size(); ++i)
        needed += pages_for(*input.sequences[i], pool, input.appended(i), cache_->page_size());
    return needed;
}

Result<void> Batch::begin(const BatchInput& input, void* queue) {
    const User user(users_, User::exclusive);
    if (Result<void> ok = user.check(); !ok)
        return ok;
    if (open_)
        return error(Code::state,
                     "batch has an open step; commit or abort it before the next begin");
    if (Result<void> ok = check(input); !ok)
        return ok;
    // A failure from here on forgets the rows and gives the pages back, whether it is returned or
    // thrown.
    struct Undo {
        Batch* batch;
        ~Undo() {
            if (batch == nullptr)
                return;
            batch->give_back(batch->next_);
            batch->next_.clear();
        }
    } undo{this};
    make_rows(input, next_);
    if (Result<void> ok = check_free_pages(next_); !ok)
        return ok;
    if (Result<void> ok = cache_->order().before(queue); !ok)
        return ok;
    make_room(next_);
    take_pages(next_);
    if (Result<void> ok = copy_shared_pages(next_, queue); !ok)
        return ok;
    if (Result<void> ok = plan_step(next_, input, queue); !ok)
        return ok;
    // The end of the step marks its queue, and until then it holds all its pages: only copies are
    // worth a mark of their own, since the caller may end the step on another queue.
    if (next_.copies_pages) {
        if (Result<void> ok = cache_->order().after(queue); !ok)
            return ok;
    }
    undo.batch = nullptr;
    std::swap(step_, next_);
    num_appended_ = step_.num_appended;
    for (const StepRow& row : step_.rows)
        row.sequence->enter_step();
    num_out_rows_ = plans_.front().work.num_tokens() + input.padded_tokens;
    open();
    last_queue_ = queue;
    return {};
}

Result<void> Batch::begin_dummy(int64_t rows, int64_t q_len, int64_t kv_len, void* queue) {
    const User user(users_, User::exclusive);
    if (Result<void> ok = user.check(); !ok)
        return ok;
    const std::lock_guard lock(cache_->mutex);
    if (open_)
        return error(Code::state,
                     "batch has an open step; commit or abort it before the next begin");
    constexpr int64_t most = (int64_t{1} << 31) - 1;
    if (rows < 0 || rows > most)
        return error(Code::argument, "rows is ", rows, "; it must be from 0 to ", most);
    if (q_len < 0 || q_len > most / std::max<int64_t>(rows, 1))
        return error(Code::argument, "q_len is ", q_len, "; it must be from 0 to ",
                     most / std::max<int64_t>(rows, 1), " at ", rows, " rows");
    if (kv_len < q_len || kv_len > most / std::max<int64_t>(rows, 1))
        return error(Code::argument, "kv_len is ", kv_len, "; it must be from q_len = ", q_len,
                     " to ", most / std::max<int64_t>(rows, 1), " at ", rows, " rows");
    if (Result<void> ok = check_bounds(rows, rows * q_len); !ok)
        return ok;
    // The plan's memory may still be read by the last step's work, on whatever queue that was.
    if (Result<void> ok = cache_->order().before(queue); !ok)
        return ok;
    planned_.clear();
    for (size_t g = 0; g < plans_.size(); ++g) {
        build_dummy(plans_[g], cache_->pool_of(static_cast<int64_t>(g)), rows, q_len, kv_len);
        if (Result<void> ok = plan_group(g, queue); !ok)
            return ok;
    }
    num_appended_ = 0;
    num_out_rows_ = rows * q_len;
    open();
    last_queue_ = queue;
    return {};
}

Result<void> Batch::attend(int64_t layer, const AttendCall& call, void* queue) {
    const User user(users_, User::exclusive);
    if (Result<void> ok = user.check(); !ok)
        return ok;
    if (!open_)
        return not_open("attend");
    AttendCall full = call;
    full.layer = &cache_->model().layer(layer);
    full.store = cache_->store(layer);
    if (Result<void> ok = check_call(full, false); !ok)
        return ok;
    last_queue_ = queue;
    return plans_[static_cast<size_t>(full.layer->group)].device->attend(full, queue);
}

Result<void> Batch::attend_worker(int64_t layer, const AttendCall& call, int64_t worker,
                                  int64_t num_workers) {
    const User user(users_, User::worker);
    if (Result<void> ok = user.check(); !ok)
        return ok;
    if (!open_)
        return not_open("attend_worker");
    AttendCall full = call;
    full.layer = &cache_->model().layer(layer);
    full.store = cache_->store(layer);
    if (call.k.data != nullptr)
        return error(Code::argument,
                     "k and v are given; a worker's must be null, since nobody could wait for them "
                     "to be written");
    if (Result<void> ok = check_call(full, true); !ok)
        return ok;
    return plans_[static_cast<size_t>(full.layer->group)].device->attend_worker(
        full, layer_slot_[static_cast<size_t>(layer)], worker, num_workers);
}

Result<void> Batch::move_kept(std::span<const int64_t> kept, std::span<const int64_t> index,
                              void* queue) {
    std::vector<int64_t> from, to;
    for (size_t pool = 0; pool < cache_->pools.size(); ++pool) {
        from.clear();
        to.clear();
        size_t next = 0;
        for (size_t i = 0; i < step_.rows.size(); ++i) {
            const int64_t start = step_.rows[i].start;
            for (int64_t j = 0; j < kept[i]; ++j) {
                const int64_t token = index[next++];
                if (token == j)
                    continue;
                from.push_back(slot_of(step_, i, pool, start + token));
                to.push_back(slot_of(step_, i, pool, start + j));
            }
        }
        if (from.empty())
            continue;
        Result<void> ok = cache_->backend().copy(cache_->pool_stores(pool), from, to, queue);
        if (!ok)
            return ok;
    }
    return {};
}

Result<void> Batch::commit(std::span<const int64_t> kept, bool keep_all,
                           std::span<const int64_t> index, bool has_index, void* queue) {
    const User user(users_, User::exclusive);
    if (Result<void> ok = user.check(); !ok)
        return ok;
    const std::lock_guard lock(cache_->mutex);
    if (!open_)
        return not_open("commit");
    if (Result<void> ok = check_kept(kept, keep_all, index, has_index); !ok)
        return ok;
    if (has_index) {
        if (Result<void> ok = cache_->order().before(queue); !ok)
            return ok;
        if (Result<void> ok = move_kept(kept, index, queue); !ok)
            return ok;
    }
    if (Result<void> ok = cache_->order().after(queue); !ok)
        return ok;
    for (size_t i = 0; i < step_.rows.size(); ++i) {
        const StepRow& row = step_.rows[i];
        if (row.appended() == 0)
            continue;
        const int64_t length = row.start + (keep_all ? row.appended() : kept[i]);
        const bool keeps_all = length == row.start + row.appended();
        if (!keeps_all)
            planned_.clear();  // a page in the plan may be given back
        for (size_t pool = 0; pool < cache_->pools.size(); ++pool) {
            const PoolPages& pages = pages_of(step_, i, pool);
            const bool may_lose = !keeps_all || kept_tokens(cache_->pool_window(pool)) >= 0;
            if (pages.count == 0 && !may_lose)
                continue;
            row.sequence->adopt(
                pool,
                std::span(step_.new_pages)
                    .subspan(static_cast<size_t>(pages.first), static_cast<size_t>(pages.count)),
                pages.copies_last, length);
        }
        row.sequence->set_end(length);
    }
    close();
    return {};
}

Result<void> Batch::abort(void* queue) {
    const User user(users_, User::exclusive);
    if (Result<void> ok = user.check(); !ok)
        return ok;
    const std::lock_guard lock(cache_->mutex);
    if (!open_)
        return not_open("abort");
    if (Result<void> ok = cache_->order().after(queue); !ok)
        return ok;
    give_back(step_);
    planned_.clear();  // their pages are in the plan
    close();
    return {};
}

Result<BatchQuery> Batch::query(int64_t group) {
    const User user(users_, User::exclusive);
    if (Result<void> ok = user.check(); !ok)
        return ok.error();
    if (!was_begun_)
        return error(Code::state, "batch has not been begun; there is no plan to ask about");
    const GroupPlan& plan = plans_[static_cast<size_t>(group)];
    return BatchQuery{plan.summary, plan.device->num_launches()};
}

}  // namespace relayattn
