// Thin owners over the C API: a handle that releases itself, and a status that throws its message.
#pragma once

#include <relayattn/relayattn.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace relayattn::test {

std::string last_error();

class ApiError : public std::runtime_error {
  public:
    explicit ApiError(ra_status status)
        : std::runtime_error(std::string(ra_status_name(status)) + ": " + last_error()),
          status_(status) {}
    ra_status status() const { return status_; }

  private:
    ra_status status_;
};

inline void ok(ra_status status) {
    if (status != RA_OK)
        throw ApiError(status);
}

template <class Raw, void (*release)(Raw)>
class Owned {
  public:
    Owned() = default;
    Owned(Owned&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    Owned& operator=(Owned&& other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~Owned() { release(raw_); }

    operator Raw() const { return raw_; }
    Raw get() const { return raw_; }
    Raw* out() {
        reset();
        return &raw_;
    }
    void reset() { release(std::exchange(raw_, nullptr)); }

  private:
    Raw raw_ = nullptr;
};

using Context = Owned<ra_context, ra_context_release>;
using Model = Owned<ra_model, ra_model_release>;
using Cache = Owned<ra_cache, ra_cache_release>;
using Prefix = Owned<ra_prefix, ra_prefix_release>;
using Sequence = Owned<ra_sequence, ra_sequence_release>;
using Batch = Owned<ra_batch, ra_batch_release>;

// Structs with struct_size and defaults in place.
ra_context_options context_options();
ra_layer_options layer_options();
ra_cache_options cache_options();
ra_plan_options plan_options();
ra_batch_input batch_input();
ra_attend_args attend_args();
ra_kv kv_args();
ra_merge_args merge_args();

// The device under test.
Context make_context(int64_t num_threads = 1);

int64_t free_pages(ra_cache cache, int64_t group);
int64_t total_pages(ra_cache cache, int64_t group);
int64_t length_of(ra_sequence sequence);
int64_t min_length_of(ra_sequence sequence);

}  // namespace relayattn::test
