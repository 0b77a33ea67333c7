// What a prefix handle stands for: the end of a chain of nodes, and how much of it is its own.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "impl/core/cache.h"

namespace relayattn {

class Prefix {
  public:
    Prefix(std::shared_ptr<Cache> cache, std::shared_ptr<Node> tail, int64_t own_begin);
    ~Prefix();
    Prefix(const Prefix&) = delete;
    Prefix& operator=(const Prefix&) = delete;

    const std::shared_ptr<Cache>& cache() const { return cache_; }

    // An open prefix of num_tokens under `parent` (null: a root), its pages taken at once.
    static Result<std::shared_ptr<Prefix>> create(const std::shared_ptr<Cache>& cache,
                                                  const Prefix* parent, int64_t num_tokens);

    Result<void> write(int64_t layer, int64_t pos, const View& k, const View& v, int64_t num_tokens,
                       void* queue);
    Result<void> read(int64_t layer, int64_t pos, const View& k, const View& v, int64_t num_tokens,
                      void* queue);
    Result<void> seal(void* queue);

    // Makes the first num_tokens of its own a prefix of their own, which this one then goes on
    // from.
    Result<std::shared_ptr<Prefix>> split(int64_t num_tokens);

    struct Length {
        int64_t own, total;
    };
    Length length() const;

    // What follows, with the cache's mutex held. The node to attach to, unless it is still open.
    Result<std::shared_ptr<Node>> sealed_tail() const;
    void hang(std::shared_ptr<Node> tail) noexcept { tail_ = std::move(tail); }

  private:
    struct Stretch {
        int64_t layer, pos, num_tokens;  // of its own tokens
    };
    using Transfer = decltype(&Backend::write);  // or read
    Result<std::vector<int64_t>> slots(const Stretch& tokens, bool must_be_held) const;
    // Lets the backend move K and V between the views and the tokens' slots, in the queues' order.
    Result<void> transfer(Transfer operation, const Stretch& tokens, bool must_be_held,
                          const View& k, const View& v, void* queue) const;

    std::shared_ptr<Cache> cache_;
    std::shared_ptr<Node> tail_;
    int64_t own_begin_;
};

}  // namespace relayattn
