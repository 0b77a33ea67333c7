#pragma once

#include <relayattn/relayattn.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config.h"

namespace serve {

// A library handle that is released at the end of its scope.
template <typename T, void (*release)(T)>
class Handle {
  public:
    Handle() = default;
    explicit Handle(T handle) : handle_(handle) {}
    Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Handle& operator=(Handle&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Handle() { release(handle_); }
    T get() const { return handle_; }

  private:
    T handle_ = nullptr;
};

// A run of tokens whose keys and values many requests may share.
struct Prefix {
    Handle<ra_prefix, ra_prefix_release> handle;
    std::shared_ptr<const Prefix> parent;
    int64_t own_length = 0, length = 0;  // without and with its ancestors
};

// One request's stream of tokens.
struct Sequence {
    Handle<ra_sequence, ra_sequence_release> handle;
    std::shared_ptr<const Prefix> prefix;
    int64_t length = 0;  // prefix included
};

struct AttentionSettings {
    int64_t threads = 1;
    int32_t kv_dtype = RA_F32;
    int64_t page_size = 0;  // 0 = the library's choice
    int64_t capacity_tokens = 0, max_sequences = 0, max_step_tokens = 0;
    int32_t mode = RA_MODE_AUTO;
    bool keep_all =
        false;  // window layers keep tokens out of reach, so that a prefix can be copied
};

// All that the demo asks of relayattn: one cache and one batch, used step after step. Every failure
// of the library becomes a std::runtime_error with its own sentence.
class Attention {
  public:
    Attention(const ModelConfig& config, const AttentionSettings& settings);

    Sequence start(std::shared_ptr<const Prefix> prefix);      // null = an empty sequence
    std::shared_ptr<const Prefix> freeze(Sequence& sequence);  // its own tokens become a prefix
    // A prefix of the same tokens that shares nothing: what serving without sharing holds per
    // request.
    std::shared_ptr<const Prefix> copy(const Prefix& prefix);

    // One step: begin, then attend for each layer in order, then commit. begin() returns false and
    // changes nothing when the cache has too few free pages.
    bool begin(const std::vector<Sequence*>& sequences, const std::vector<int64_t>& new_tokens);
    // qkv: [tokens][q | k | v] with RoPE applied, out: [tokens][query heads][head_dim].
    void attend(int64_t layer, const float* qkv, float* out);
    void commit();

    double seconds() const { return seconds_; }  // in attend calls so far
    int64_t kv_bytes_per_step() const;           // that the last begin planned, over all layers
    int64_t bytes_in_use() const;                // pages in use, over all layers
    int64_t page_size() const { return page_size_; }

  private:
    struct Group {
        int64_t layers = 0, page_bytes = 0;
    };
    void create_model(const AttentionSettings& settings);
    void create_cache(const AttentionSettings& settings);
    void create_batch(const AttentionSettings& settings);
    void copy_level(const Prefix& from, ra_prefix to, int64_t to_position);

    ModelConfig config_;
    int32_t kv_dtype_;
    Handle<ra_context, ra_context_release> context_;
    Handle<ra_model, ra_model_release> model_;
    Handle<ra_cache, ra_cache_release> cache_;
    Handle<ra_batch, ra_batch_release> batch_;
    std::vector<Group> groups_;
    int64_t page_size_ = 0;
    double seconds_ = 0;
    std::vector<Sequence*> step_sequences_;
    std::vector<int64_t> step_tokens_;
    int64_t step_total_ = 0;
    std::vector<uint16_t> narrow_;  // k and v of a step, where the cache holds 16-bit values
};

}  // namespace serve
