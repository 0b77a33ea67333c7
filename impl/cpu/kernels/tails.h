// Tails between the steps of a unit of many rows: some are claimed, fetched during steps, and
// attended when their KV is in the caches.
#pragma once

#include "impl/cpu/kernels/fetch.h"
#include "impl/cpu/kernels/stream.h"

namespace relayattn::cpu {
namespace {

// K and V of a piece's tokens in one page. False if `ahead` has no room for them.
template <class T>
inline bool list_page(const PackedLayout& p, const T* k, const T* v, int64_t slot, int64_t tokens,
                      Ahead& ahead) {
    const auto bytes = [](int64_t elements) { return elements * static_cast<int64_t>(sizeof(T)); };
    const int64_t block = slot / k_lane;
    const int64_t end_block = (slot + tokens + k_lane - 1) / k_lane;
    // Of few tokens, each panel holds a few lines only, far apart.
    const bool few = tokens < p.page_size / 4;
    return ahead.add(k + block * p.k_block, bytes((end_block - block) * p.k_block)) &&
           (few || ahead.add(v, bytes(p.v_head)));
}

template <class T>
inline bool list_unit(const AttendJob& job, WorkUnit unit, Ahead& ahead) {
    const PackedLayout& p = job.layout;
    const T* k = reinterpret_cast<const T*>(job.k_pages) + unit.head * p.k_head;
    const T* v = reinterpret_cast<const T*>(job.v_pages) + unit.head * p.v_head;
    bool room = true;
    Cursor at = pieces_of(job, job.items[unit.item]);
    for (; at.piece != at.end; ++at.piece) {
        const int64_t first = at.piece->first_slot;
        const int64_t end = first + at.piece->num_tokens;
        int64_t next = 0;
        for (int64_t slot = first; slot < end && room; slot = next) {
            const int64_t in_run = slot / p.page_size;
            next = (in_run + 1) * p.page_size < end ? (in_run + 1) * p.page_size : end;
            const int64_t page = job.page_table[at.piece->table_offset + in_run];
            room = list_page(p, k + page * p.k_page, v + page * p.v_page, slot % p.page_size,
                             next - slot, ahead);
        }
    }
    return room;
}

using AttendUnit = void (*)(const AttendJob& job, WorkUnit unit, WorkUnit upcoming, bool cached,
                            const Beside* beside, void* memory);

template <class T>
class Tails {
  public:
    // `beside` may be null: then there are none.
    Tails(const AttendJob& job, const Beside* beside, AttendUnit attend)
        : job_(job), beside_(beside), attend_(attend) {
        claim();
    }

    // What the next step is to fetch. Not before the step after which they are due: L2 would lose
    // it.
    Ahead* ahead() { return count_ > 0 && due_ + beside_->per_step >= count() ? &ahead_ : nullptr; }

    // What the next step is to fetch of them, for an even pace.
    void add_share(Stream& stream) {
        if (count_ > 0) {
            const double steps = (count() - due_) / beside_->per_step;
            ahead_.move(steps > 1 ? 1 / steps : 1, stream);
        }
    }

    void after_step() {
        if (count_ == 0) {
            return;
        }
        due_ += beside_->per_step;
        if (ahead_.empty() && due_ >= count()) {
            attend_all();
            claim();
        }
    }

    void finish() { attend_all(); }

  private:
    static constexpr int64_t most = 4;

    const AttendJob& job_;
    const Beside* beside_;
    AttendUnit attend_;
    WorkUnit units_[most];
    bool listed_[most];
    int64_t count_ = 0;
    double due_ = 0;
    Ahead ahead_;

    double count() const { return static_cast<double>(count_); }

    // As many as belong to a step, or one. Of units of one size, as many as there is room for.
    void claim() {
        ahead_.clear();
        bool more = beside_ != nullptr;
        while (more && count_ < most) {
            units_[count_] = beside_->next(beside_->self);
            if (units_[count_].item < 0) {
                return;
            }
            listed_[count_] = list_unit<T>(job_, units_[count_], ahead_);
            ++count_;
            more = count() < beside_->per_step && ahead_.has_room_for_more(count_);
        }
    }

    void attend_all() {
        for (int64_t i = 0; i < count_; ++i) {
            attend_(job_, units_[i], {-1, 0}, listed_[i] && ahead_.empty(), nullptr,
                    beside_->scratch);
            beside_->done(beside_->self, units_[i]);
            due_ -= 1;
        }
        count_ = 0;
    }
};

}  // namespace
}  // namespace relayattn::cpu
