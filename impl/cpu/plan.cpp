#include "impl/cpu/plan.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "impl/cpu/figures.h"
#include "impl/cpu/slots.h"

namespace relayattn::cpu {
namespace {

// KV tokens x query tokens of a unit that takes some 10 us at most.
constexpr int64_t k_short_unit = 1024;

constexpr float k_log2_e = 1.44269504088896340736f;

template <class T>
void copy_array(T* to, const std::vector<T>& from) {
    if (!from.empty()) {
        std::memcpy(to, from.data(), from.size() * sizeof(T));
    }
}

// The largest divisor of `heads` that is not above `threads`.
int64_t strands(int64_t heads, int64_t threads) {
    int64_t count = std::min(heads, threads);
    while (heads % count != 0) {
        --count;
    }
    return count;
}

Rows rows_of(const View& view) {
    return {static_cast<char*>(view.data), view.token_stride, view.head_stride};
}

}  // namespace

int64_t CpuPlan::max_workers(const Engine& engine) {
    return std::max(engine.pool.num_threads(), cores_allowed());
}

CpuPlan::CpuPlan(Engine& engine, const PlanShape& shape, const PlanBuffers& buffers,
                 int64_t num_layers)
    : engine_(engine),
      storage_(shape, max_workers(engine), buffers),
      num_slots_(num_layers),
      num_leases_(max_workers(engine)),
      tickets_(new Tickets[static_cast<std::size_t>(num_layers + 1)]),
      leases_(new Lease[static_cast<std::size_t>(num_leases_)]),
      num_strands_(strands(shape.geometry.num_kv_heads, engine.pool.num_threads())) {}

Result<void> CpuPlan::set(const WorkList& work, void*) {
    if (Result<void> fits = check_fits(work, storage_.shape()); !fits) {
        return fits;
    }
    const PlanArrays& a = storage_.arrays();
    copy_array(a.items, work.items);
    copy_array(a.pieces, work.pieces);
    copy_array(a.page_table, work.page_table);
    copy_array(a.item_tokens, work.item_tokens);
    copy_array(a.tokens, work.tokens);
    copy_array(a.partial_index, work.partial_index);
    copy_array(a.merged_tokens, work.merged_tokens);
    copy_array(a.slots, work.slots);
    num_items_ = static_cast<int64_t>(work.items.size());
    num_many_ = work.num_many;
    num_tokens_ = work.num_tokens();
    num_merged_ = static_cast<int64_t>(work.merged_tokens.size());
    padded_tokens_ = work.padded_tokens;
    tree_mask_ = work.tree_mask;
    tree_stride_ = work.tree_stride;
    row_products_ = 0;
    many_tokens_ = 0;
    for (const Item& item : work.items) {
        row_products_ += int64_t{item.num_kv_tokens} * item.num_tokens;
    }
    for (const Item& item : std::span(work.items).first(static_cast<std::size_t>(num_many_))) {
        many_tokens_ += item.num_kv_tokens;
    }
    for (int64_t head = 0; head < storage_.shape().geometry.num_kv_heads; ++head) {
        for (const int32_t token : work.merged_tokens) {
            a.missing[head * num_tokens_ + token] =
                work.tokens[static_cast<std::size_t>(token)].num_partials;
        }
    }
    for (int64_t slot = 0; slot <= num_slots_; ++slot) {
        tickets_[static_cast<std::size_t>(slot)].reset();
    }
    inside_.store(0, std::memory_order_release);
    return {};
}

Result<void> CpuPlan::check(const AttendCall& call) const {
    if (!call.store.layout.packed) {
        return error(Code::unsupported, "the CPU backend reads packed pages only");
    }
    const PlanShape& shape = storage_.shape();
    if (!(call.store.geometry == shape.geometry) ||
        call.store.layout.page_size != shape.page_size ||
        call.layer->num_q_heads > shape.max_q_heads) {
        return error(Code::internal, "the layer is not one of the plan's group");
    }
    return {};
}

AttendJob CpuPlan::job_for(const AttendCall& call) const {
    const PlanArrays& a = storage_.arrays();
    const KvGeometry& kv = call.store.geometry;
    AttendJob job{};
    job.items = a.items;
    job.pieces = a.pieces;
    job.page_table = a.page_table;
    job.item_tokens = a.item_tokens;
    job.tokens = a.tokens;
    job.partial_index = a.partial_index;
    job.tree_mask = tree_mask_;
    job.tree_stride = tree_stride_;
    job.partials = a.partials;
    job.layout = packed_layout(kv, call.store.layout.page_size);
    job.kv_dtype = kv.dtype;
    job.q_dtype = call.layer->q_dtype;
    job.out_dtype = call.layer->out_dtype;
    job.k_pages = static_cast<const char*>(call.store.pages.k);
    job.v_pages = static_cast<const char*>(call.store.pages.v);
    job.q = rows_of(call.q);
    job.out = rows_of(call.out);
    job.lse = call.lse;
    job.lse_token_stride = call.lse_token_stride;
    job.lse_head_stride = call.lse_head_stride;
    job.sink_logits = call.sink_logits;
    job.alibi_slopes = call.alibi_slopes;
    job.num_q_heads = call.layer->num_q_heads;
    job.group_size = call.layer->group_size();
    const bool capped = call.logit_softcap > 0;
    job.q_scale = call.softmax_scale * (capped ? 1 / call.logit_softcap : k_log2_e);
    job.score_cap = capped ? call.logit_softcap * k_log2_e : 0;
    job.step_columns = step_columns(kv);
    job.idle_rows = rows_that_leave_memory_idle(engine_.set, *call.layer);
    return job;
}

void CpuPlan::append(const AttendCall& call) {
    const std::span slots(storage_.arrays().slots, static_cast<std::size_t>(num_tokens_));
    write_all(engine_.pool, call.store, call.k, call.v, slots);
}

int64_t CpuPlan::num_units() const {
    // The last unit writes the rows that see nothing.
    return num_items_ * storage_.shape().geometry.num_kv_heads + 1;
}

// Heads lie side by side in a page. Threads draw in turns, so tickets take turns between as many
// strands of heads: what a thread draws next mostly follows in memory what it had.
WorkUnit CpuPlan::unit_at(int64_t first_item, int64_t ticket) const {
    const int64_t heads = storage_.shape().geometry.num_kv_heads;
    const int64_t item = first_item + ticket / heads;
    const int64_t place = ticket % heads;
    const int64_t head = place % num_strands_ * (heads / num_strands_) + place / num_strands_;
    return item < num_items_ ? WorkUnit{item, head} : WorkUnit{-1, 0};
}

// An eighth of the tails is left for the end, where short units even out the threads.
double CpuPlan::tails_per_step(const AttendJob& job) const {
    const auto tails = static_cast<double>(num_items_ - num_many_);
    const auto steps = static_cast<double>(many_tokens_) / static_cast<double>(job.step_columns);
    return 7.0 / 8 * tails / std::max(steps, 1.0);
}

// Work so short that waking a thread for it would cost more than it saves.
bool CpuPlan::is_small(const AttendCall& call) const {
    const KvGeometry& kv = call.store.geometry;
    const int64_t products =
        row_products_ * call.layer->num_q_heads * (kv.head_dim_k + kv.head_dim_v);
    return num_units() <= 2 || products < k_small_products;
}

Result<void> CpuPlan::attend(const AttendCall& call, void*) {
    if (Result<void> fine = check(call); !fine) {
        return fine;
    }
    const AttendJob job = job_for(call);
    const std::lock_guard lock(engine_.pool_mutex);
    if (call.k.data != nullptr) {
        append(call);
    }
    if (call.q.data == nullptr) {  // the new tokens are in the pages; nothing is asked
        return {};
    }
    Tickets& tickets = tickets_[static_cast<std::size_t>(num_slots_)];
    tickets.reset();
    if (is_small(call)) {
        draw(job, tickets);
    } else {
        engine_.pool.run([this, &job, &tickets] { draw(job, tickets); });
    }
    return {};
}

Result<void> CpuPlan::attend_worker(const AttendCall& call, int64_t slot, int64_t worker,
                                    int64_t num_workers) {
    if (Result<void> fine = check(call); !fine) {
        return fine;
    }
    if (worker < 0 || worker >= num_workers) {
        return error(Code::argument, "worker is ", worker, "; it must be from 0 to ",
                     num_workers - 1);
    }
    if (slot < 0 || slot >= num_slots_) {
        return error(Code::internal, "slot is ", slot, "; the plan has ", num_slots_);
    }
    // Partials of one layer at a time: a worker of the next layer must not overwrite them.
    int64_t seen = inside_.load(std::memory_order_acquire);
    do {
        if ((seen & 0xffffffff) != 0 && seen >> 32 != slot) {
            return error(Code::state,
                         "workers of another layer of this batch have not returned yet");
        }
    } while (!inside_.compare_exchange_weak(seen, (slot << 32 | (seen & 0xffffffff)) + 1,
                                            std::memory_order_acq_rel));
    draw(job_for(call), tickets_[static_cast<std::size_t>(slot)]);
    inside_.fetch_sub(1, std::memory_order_acq_rel);
    return {};
}

// Runs units until none is left. A thread that finds all scratch in use leaves: those who use it
// go on until none is left, so the work is done without it.
void CpuPlan::draw(const AttendJob& job, Tickets& tickets) {
    const PlanArrays& a = storage_.arrays();
    for (int64_t i = 0; i < num_leases_; ++i) {
        std::atomic<bool>& taken = leases_[static_cast<std::size_t>(i)].taken;
        if (taken.exchange(true, std::memory_order_acquire)) {
            continue;
        }
        void* scratch = a.worker_scratch + i * a.worker_scratch_bytes;
        draw_units(job, tickets, scratch);
        taken.store(false, std::memory_order_release);
        return;
    }
}

// Units of many rows first, with tails between their steps, then the other tails; the last ticket
// of these stands for the rows that see nothing.
void CpuPlan::draw_units(const AttendJob& job, Tickets& tickets, void* scratch) const {
    struct Context {
        const CpuPlan& plan;
        const AttendJob& job;
        std::atomic<int64_t>& next;
    } context{*this, job, tickets.tail};
    const int64_t heads = storage_.shape().geometry.num_kv_heads;
    const Beside beside{[](void* self) {
                            const Context& c = *static_cast<Context*>(self);
                            const int64_t tails = (c.plan.num_items_ - c.plan.num_many_) *
                                                  c.plan.storage_.shape().geometry.num_kv_heads;
                            // Not drawn past the end: the last ticket is for draw_each.
                            int64_t at = c.next.load(std::memory_order_relaxed);
                            while (at < tails && !c.next.compare_exchange_weak(
                                                     at, at + 1, std::memory_order_relaxed)) {
                            }
                            return at < tails ? c.plan.unit_at(c.plan.num_many_, at)
                                              : WorkUnit{-1, 0};
                        },
                        [](void* self, WorkUnit unit) {
                            const Context& c = *static_cast<Context*>(self);
                            c.plan.finish_unit(c.job, unit);
                        },
                        &context, tails_per_step(job),
                        static_cast<char*>(scratch) + storage_.arrays().worker_scratch_bytes / 2};
    draw_each(job, 0, num_many_ * heads, tickets.many, num_items_ > num_many_ ? &beside : nullptr,
              scratch);
    draw_each(job, num_many_, (num_items_ - num_many_) * heads + 1, tickets.tail, nullptr, scratch);
}

// A thread at a short unit claims its next one early, to have it prefetched. Long ones are not
// claimed before their time: they might wait while another thread is idle.
void CpuPlan::draw_each(const AttendJob& job, int64_t first_item, int64_t units,
                        std::atomic<int64_t>& next, const Beside* beside, void* scratch) const {
    const auto claim = [&next] { return next.fetch_add(1, std::memory_order_relaxed); };
    int64_t at = claim();
    while (at < units) {
        const WorkUnit unit = unit_at(first_item, at);
        if (unit.item < 0) {
            run_blanks(job);
            at = claim();
            continue;
        }
        const Item& item = job.items[unit.item];
        const bool is_short = item.num_kv_tokens * item.num_tokens <= k_short_unit;
        at = is_short ? claim() : units;
        const WorkUnit upcoming = at < units ? unit_at(first_item, at) : WorkUnit{-1, 0};
        const bool idle = item.num_tokens * job.group_size >= job.idle_rows;
        engine_.set.kernels->attend(job, unit, upcoming, idle ? beside : nullptr, scratch);
        finish_unit(job, unit);
        at = is_short ? at : claim();
    }
}

void CpuPlan::finish_unit(const AttendJob& job, WorkUnit unit) const {
    const Item& item = job.items[unit.item];
    if (item.partial >= 0) {
        count_partials(job, item, unit.head);
    }
}

void CpuPlan::run_blanks(const AttendJob& job) const {
    const int32_t* merged = storage_.arrays().merged_tokens;
    for (int64_t i = 0; i < num_merged_; ++i) {
        if (job.tokens[merged[i]].num_partials == 0) {
            engine_.set.kernels->blank(job, merged[i], false);
        }
    }
    for (int64_t i = 0; i < padded_tokens_; ++i) {
        engine_.set.kernels->blank(job, num_tokens_ + i, true);
    }
}

// Whoever writes a token's last partial merges them all, and rearms the count for the next layer.
void CpuPlan::count_partials(const AttendJob& job, const Item& item, int64_t head) const {
    int32_t* missing = storage_.arrays().missing + head * num_tokens_;
    for (int32_t i = 0; i < item.num_tokens; ++i) {
        const int32_t token = job.item_tokens[item.first_token + i];
        std::atomic_ref<int32_t> left(missing[token]);
        if (left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            left.store(job.tokens[token].num_partials, std::memory_order_relaxed);
            engine_.set.kernels->finish(job, token, head);
        }
    }
}

}  // namespace relayattn::cpu
