// A request stream: a chain of shared nodes, and a growing tail of its own tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "impl/core/cache.h"
#include "impl/core/prefix.h"

namespace relayattn {

class Sequence {
  public:
    Sequence(std::shared_ptr<Cache> cache, std::shared_ptr<Node> parent);
    ~Sequence();
    Sequence(const Sequence&) = delete;
    Sequence& operator=(const Sequence&) = delete;

    static Result<std::shared_ptr<Sequence>> attach(const std::shared_ptr<Cache>& cache,
                                                    const Prefix* prefix);

    const std::shared_ptr<Cache>& cache() const { return cache_; }

    // What becomes of it when its handle is given up: a step that it is in keeps it to its end.
    static void release(std::shared_ptr<Sequence> sequence) noexcept;

    Result<std::shared_ptr<Sequence>> fork();
    Result<void> truncate(int64_t length);
    // Freezes its first num_tokens (-1 = all) as a prefix that this sequence goes on from.
    Result<std::shared_ptr<Prefix>> freeze(int64_t num_tokens);

    struct Length {
        int64_t length, min;
    };
    Length length() const;

    // Indexes of the pages that hold its tokens in a pool, in order of position.
    std::vector<int32_t> pages(size_t pool) const;

    // What follows is the batch's: all of it with the cache's mutex held.
    struct Tail {
        Extent extent;
        bool may_share_last = false;  // a fork holds the same partial page: copy before writing
    };
    const Node* parent() const { return parent_.get(); }
    int64_t base() const { return base_; }  // position of its first own token
    int64_t end() const { return length_; }
    const Tail& tail(size_t pool) const { return tails_[pool]; }
    // Names this sequence with what it holds: changes whenever something but a commit changes that.
    uint64_t id() const { return id_; }
    bool in_batch() const { return in_batch_; }
    void enter_step() { in_batch_ = true; }
    // May be its end.
    void leave_step() {
        in_batch_ = false;
        const std::shared_ptr<Sequence> released = std::move(released_);
    }

    // Whether the page that the next token goes to must be copied first.
    bool must_copy_last(size_t pool) const {
        return tails_[pool].may_share_last && shares_last(pool);
    }
    // Room for so many pages more, so that adopt cannot fail.
    void make_room(size_t pool, int64_t pages);
    // Takes over new pages after a step that kept tokens up to `length`.
    void adopt(size_t pool, std::span<const int32_t> pages, bool replaces_last,
               int64_t length) noexcept;
    // False if it carries this mark already.
    bool mark(uint64_t id) { return std::exchange(mark_, id) != id; }
    void set_end(int64_t length) noexcept { length_ = length; }

  private:
    Result<void> check_free(const char* what) const;
    bool shares_last(size_t pool) const;
    // Moves its own tokens before `position` into a node that it then hangs under.
    void freeze_tail(int64_t position);
    std::vector<Extent> extents() const;

    std::shared_ptr<Cache> cache_;
    std::shared_ptr<Node> parent_;
    int64_t base_ = 0;
    int64_t length_ = 0;
    int64_t attached_at_ = 0;  // length of the prefix that it was last attached to
    std::vector<Tail> tails_;  // per pool
    bool in_batch_ = false;
    std::shared_ptr<Sequence> released_;  // itself, from its handle's end to its step's
    uint64_t id_ = next_mark();
    uint64_t mark_ = 0;  // of the last input that was checked for doubles
};

}  // namespace relayattn
