// A step's sequences as the planner and the backends see them: query tokens, slots for their K and
// V, pages, and the tree of runs.
#include <algorithm>
#include <cstring>
#include <limits>
#include <span>

#include "impl/core/batch.h"

namespace relayattn {
namespace {

// A tail has few pages as a rule: to copy them takes less time than a call.
inline int32_t* copy_few(const int32_t* from, size_t count, int32_t* to) {
    constexpr size_t at_once = 4;
    for (; count >= at_once; count -= at_once, from += at_once, to += at_once)
        std::memcpy(to, from, at_once * sizeof *to);
    for (; count > 0; --count)
        *to++ = *from++;
    return to;
}

}  // namespace

// Fills a page table, over what it held before. Nothing but its own functions sees its address, so
// that compilers can keep it in registers.
class Batch::PageTable {
  public:
    PageTable(std::vector<int32_t>& entries, size_t used)
        : entries_(&entries),
          first_(entries.data()),
          next_(first_ + used),
          end_(first_ + entries.size()) {}

    size_t used() const { return static_cast<size_t>(next_ - first_); }
    // And room for a spare entry.
    void add(std::span<const int32_t> pages) {
        make_room(pages.size() + 1);
        next_ = copy_few(pages.data(), pages.size(), next_);
    }
    // The last page again: whoever reads too far finds a page.
    void add_spare() {
        *next_ = next_[-1];
        ++next_;
    }

  private:
    void make_room(size_t count) {
        if (count <= static_cast<size_t>(end_ - next_))
            return;
        const size_t used = this->used();
        grow(*entries_, used + count);
        *this = PageTable(*entries_, used);
    }
    // By a quarter: a table that is a little longer than the last step's clears little.
    [[gnu::noinline]] static void grow(std::vector<int32_t>& entries, size_t least) {
        entries.resize(least + least / 4);
    }

    std::vector<int32_t>* entries_;
    int32_t* first_;
    int32_t* next_;
    int32_t* end_;
};

// Which keys each new token may see.
void Batch::start_work(size_t group, const Step& step, const BatchInput& input) {
    WorkList& work = plans_[group].work;
    const Window& window = cache_->model().groups()[group].window;
    const bool sees_far = window.kind == WindowKind::none;
    work.padded_tokens = input.padded_tokens;
    work.tree_mask = input.tree_mask;
    work.tree_stride = input.tree_stride;
    work.tokens.resize(static_cast<size_t>(step.num_tokens));
    QueryToken* token = work.tokens.data();
    if (step.is_plain && sees_far && input.tree_mask == nullptr && input.spans.empty()) {
        for (const StepRow& row : step.rows) {
            const auto start = static_cast<int32_t>(row.start);
            *token++ = {start, 0, start + 1, start, 0, 0};
        }
        return;
    }
    for (const StepRow& row : step.rows) {
        const bool sees_all = row.flags != 0 || input.tree_mask != nullptr;
        const auto start = static_cast<int32_t>(row.start);
        const auto end = static_cast<int32_t>(row.start + row.appended());
        for (int32_t j = 0; j < static_cast<int32_t>(row.q_len); ++j, ++token) {
            const int32_t position = start + j;
            token->position = position;
            token->visible_begin =
                sees_far ? 0 : static_cast<int32_t>(first_visible(window, position));
            token->visible_end = sees_all ? end : position + 1;
            token->new_begin = start;
        }
    }
    widen_spans(step, input, work);
    if (window.kind == WindowKind::chunked) {
        for (QueryToken& each : work.tokens)
            each.visible_end = static_cast<int32_t>(
                std::min<int64_t>(each.visible_end, each.visible_begin + window.size));
    }
}

// The tokens of a span see all of it.
void Batch::widen_spans(const Step& step, const BatchInput& input, WorkList& work) {
    if (input.spans.empty())
        return;
    std::vector<int64_t> first_of_row(step.rows.size());
    int64_t first = 0;
    for (size_t i = 0; i < step.rows.size(); ++i) {
        first_of_row[i] = first;
        first += step.rows[i].q_len;
    }
    for (size_t s = 0; s + 2 < input.spans.size(); s += 3) {
        const auto row = static_cast<size_t>(input.spans[s]);
        const auto end = static_cast<int32_t>(step.rows[row].start + input.spans[s + 2]);
        for (int64_t j = input.spans[s + 1]; j < input.spans[s + 2]; ++j) {
            QueryToken& token = work.tokens[static_cast<size_t>(first_of_row[row] + j)];
            token.visible_end = std::max(token.visible_end, end);
        }
    }
}

int32_t Batch::run_of(const Node* node, Forest& forest, size_t pool, int64_t needed_from,
                      PageTable& table) {
    std::vector<const Node*>& fresh = fresh_nodes_;
    fresh.clear();
    while (node != nullptr && node->mark != step_id_) {
        fresh.push_back(node);
        node = node->parent.get();
    }
    int32_t parent = node == nullptr ? -1 : node->run;
    for (size_t i = fresh.size(); i-- > 0;) {
        const Node& next = *fresh[i];
        const Extent& extent = next.extents[pool];
        const int64_t begin = std::max(extent.begin, needed_from);
        if (begin < next.end) {
            const int64_t page = extent.page_index(begin, cache_->page_size());
            const auto offset = static_cast<int32_t>(table.used());
            table.add(std::span(extent.pages).subspan(static_cast<size_t>(page)));
            forest.runs.push_back(
                {parent, offset,
                 static_cast<int32_t>(extent.slot_in_page(begin, cache_->page_size())),
                 static_cast<int32_t>(next.end - begin), static_cast<int32_t>(begin)});
            parent = static_cast<int32_t>(forest.runs.size()) - 1;
        }
        next.mark = step_id_;
        next.run = parent;
    }
    return parent;
}

// Tokens that a row whose new tokens begin at `start` does not see make no run. The batch-invariant
// mode cuts by position alone.
int64_t Batch::needed_from(const GroupPlan& plan, const Window& window, int64_t start) const {
    if (window.kind == WindowKind::none)
        return 0;
    const int64_t seen = first_visible(window, start);
    const int64_t chunk = plan.figures.invariant_chunk;
    return options_.batch_invariant ? seen / chunk * chunk : seen;
}

// What a row alone sees, new tokens included, as far as it is needed. table_offset is left open.
Batch::RowTail Batch::tail_of(const Step& step, const StepRow& row, const PoolPages& pages,
                              size_t pool, int64_t needed_from) const {
    const Extent& tail = row.sequence->tail(pool).extent;
    const int64_t begin = std::max(tail.begin, needed_from);
    const int64_t end = row.start + row.appended();
    if (begin >= end)
        return {};
    const auto from = static_cast<size_t>(tail.page_index(begin, cache_->page_size()));
    const size_t old = tail.pages.size() - (pages.copies_last ? 1 : 0);
    const size_t kept_from = std::min(from, old);
    RowTail result;
    result.held = std::span(tail.pages).first(old).subspan(kept_from);
    result.taken = std::span(step.new_pages)
                       .subspan(static_cast<size_t>(pages.first))
                       .first(static_cast<size_t>(pages.count))
                       .subspan(from - kept_from);
    result.piece = {0, static_cast<int32_t>(tail.slot_in_page(begin, cache_->page_size())),
                    static_cast<int32_t>(end - begin), static_cast<int32_t>(begin)};
    return result;
}

// Where K, V of the row's new tokens go.
void Batch::fill_slots(const StepRow& row, const RowTail& tail, int64_t page_size, int64_t* slots) {
    if (row.appended() == 0) {
        std::fill_n(slots, row.q_len, int64_t{-1});
        return;
    }
    for (int64_t j = 0; j < row.q_len; ++j) {
        const int64_t place = tail.piece.first_slot + row.start + j - tail.piece.position;
        const auto page = static_cast<size_t>(place / page_size);
        slots[j] = tail.page(page) * page_size + place % page_size;
    }
}

void Batch::build_forest(size_t group, const Step& step) {
    GroupPlan& plan = plans_[group];
    const size_t pool = cache_->pool_of(static_cast<int64_t>(group));
    const Window& window = cache_->model().groups()[group].window;
    size_t used = hang_rows(plan, step, pool, shared_from(plan, step, window));
    plan.ends.resize(step.rows.size());
    plan.work.slots.resize(plan.work.tokens.size());
    if (step.is_plain && window.kind == WindowKind::none) {
        used = add_plain_tails(plan, step, pool, used);
    } else {
        for (size_t i = 0; i < step.rows.size(); ++i)
            used =
                add_tail(plan, step, i, pool, needed_from(plan, window, step.rows[i].start), used);
    }
    plan.work.page_table.resize(used);  // never more than it has
}

// The first position that any row sees.
int64_t Batch::shared_from(const GroupPlan& plan, const Step& step, const Window& window) const {
    if (window.kind == WindowKind::none)
        return 0;
    int64_t from = std::numeric_limits<int64_t>::max();
    for (const StepRow& row : step.rows)
        from = std::min(from, needed_from(plan, window, row.start));
    return from;
}

// The runs of all nodes above the step's sequences, and each row's last one. Returns how many
// entries of the page table they take.
size_t Batch::hang_rows(GroupPlan& plan, const Step& step, size_t pool, int64_t needed_from) {
    Forest& forest = plan.forest;
    forest.runs.clear();
    forest.rows.resize(step.rows.size());
    step_id_ = next_mark();
    PageTable table(plan.work.page_table, 0);
    const Node* above = nullptr;  // of the last row, and its run: brothers follow each other
    int32_t run = -1, first_token = 0;
    Row* out = forest.rows.data();
    for (const StepRow& row : step.rows) {
        const Node* parent = row.sequence->parent();
        if (parent != above) {
            above = parent;
            run = run_of(parent, forest, pool, needed_from, table);
        }
        out->run = run;
        out->first_token = first_token;
        out->num_tokens = static_cast<int32_t>(row.q_len);
        first_token += out->num_tokens;
        ++out;
    }
    return table.used();
}

// A row's own KV, and where its new tokens go. Both of these take and return how many entries of
// the page table are in use; a spare one follows each row's pages, so that the next steps can go on
// without a new plan.
size_t Batch::add_tail(GroupPlan& plan, const Step& step, size_t i, size_t pool,
                       int64_t needed_from, size_t used) const {
    const StepRow& row = step.rows[i];
    Row& out = plan.forest.rows[i];
    const RowTail tail = tail_of(step, row, pages_of(step, i, pool), pool, needed_from);
    out.tail = tail.piece;
    out.tail.table_offset = static_cast<int32_t>(used);
    fill_slots(row, tail, cache_->page_size(), plan.work.slots.data() + out.first_token);
    if (tail.piece.num_tokens == 0)
        return used;
    PageTable table(plan.work.page_table, used);
    table.add(tail.held);
    table.add(tail.taken);
    plan.ends[i].table = static_cast<int32_t>(table.used());
    table.add_spare();
    return table.used();
}

// The same for a decode step in which all is seen. Nearly all its tokens go to the last page that
// their sequences have: these take no division, and a third of the time.
size_t Batch::add_plain_tails(GroupPlan& plan, const Step& step, size_t pool, size_t used) const {
    PageTable table(plan.work.page_table, used);
    const int64_t page_size = cache_->page_size();
    const size_t num_rows = step.rows.size();
    for (size_t i = 0; i < num_rows; ++i) {
        const StepRow& row = step.rows[i];
        const Sequence::Tail& own = row.sequence->tail(pool);
        const Extent& held = own.extent;
        const int64_t last = static_cast<int64_t>(held.pages.size()) - 1;
        const int64_t in_page = held.first_slot + row.start - held.begin - last * page_size;
        if (own.may_share_last || in_page < 0 || in_page >= page_size) {
            table = PageTable(plan.work.page_table, add_tail(plan, step, i, pool, 0, table.used()));
            continue;
        }
        plan.work.slots[i] = held.pages.back() * page_size + in_page;
        Piece& tail = plan.forest.rows[i].tail;
        tail.table_offset = static_cast<int32_t>(table.used());
        tail.first_slot = static_cast<int32_t>(held.first_slot);
        tail.num_tokens = static_cast<int32_t>(row.start - held.begin) + 1;
        tail.position = static_cast<int32_t>(held.begin);
        table.add(held.pages);
        plan.ends[i].table = static_cast<int32_t>(table.used());
        table.add_spare();
    }
    return table.used();
}

void Batch::build_dummy(GroupPlan& plan, size_t pool, int64_t rows, int64_t q_len, int64_t kv_len) {
    WorkList& work = plan.work;
    const int64_t total = cache_->pools[pool].total();
    const int64_t pages = (kv_len + cache_->page_size() - 1) / cache_->page_size();
    work.tokens.clear();
    work.page_table.clear();
    work.padded_tokens = 0;
    work.tree_mask = nullptr;
    work.slots.assign(static_cast<size_t>(rows * q_len), -1);  // no real token is overwritten
    plan.forest.clear();
    for (int64_t r = 0; r < rows; ++r) {
        int32_t run = -1;
        if (kv_len > 0) {
            plan.forest.runs.push_back({-1, static_cast<int32_t>(work.page_table.size()), 0,
                                        static_cast<int32_t>(kv_len), 0});
            run = static_cast<int32_t>(plan.forest.runs.size()) - 1;
        }
        for (int64_t i = 0; i < pages; ++i)
            work.page_table.push_back(static_cast<int32_t>((r * pages + i) % total));
        plan.forest.rows.push_back(
            {run, static_cast<int32_t>(work.tokens.size()), static_cast<int32_t>(q_len)});
        for (int64_t j = 0; j < q_len; ++j) {
            const auto position = static_cast<int32_t>(kv_len - q_len + j);
            work.tokens.push_back(
                {position, 0, position + 1, static_cast<int32_t>(kv_len - q_len), 0, 0});
        }
    }
}

}  // namespace relayattn
