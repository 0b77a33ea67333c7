#include "attention.h"

#include <chrono>
#include <numeric>
#include <stdexcept>

#include "half.h"

namespace serve {
namespace {

void check(ra_status status, const char* doing) {
    if (status == RA_OK)
        return;
    std::string text(static_cast<size_t>(ra_last_error(nullptr, 0)) + 1, '\0');
    ra_last_error(text.data(), static_cast<int64_t>(text.size()));
    throw std::runtime_error(std::string(doing) + ": " + ra_status_name(status) + ": " +
                             text.c_str());
}

int64_t value_size(int32_t dtype) {
    return dtype == RA_F32 ? 4 : 2;
}

}  // namespace

Attention::Attention(const ModelConfig& config, const AttentionSettings& settings)
    : config_(config), kv_dtype_(settings.kv_dtype) {
    ra_context_options options;
    check(ra_context_options_init(&options, sizeof options), "context options");
    options.backend = RA_BACKEND_CPU;
    options.num_threads = settings.threads;
    ra_context context = nullptr;
    check(ra_context_create(&options, &context), "create the context");
    context_ = Handle<ra_context, ra_context_release>(context);
    create_model(settings);
    create_cache(settings);
    create_batch(settings);
}

void Attention::create_model(const AttentionSettings& settings) {
    ra_model model = nullptr;
    check(ra_model_create(config_.num_layers, &model), "create the model");
    model_ = Handle<ra_model, ra_model_release>(model);
    ra_layer_options layer;
    check(ra_layer_options_init(&layer, sizeof layer), "layer options");
    layer.num_q_heads = config_.num_heads;
    layer.num_kv_heads = config_.num_kv_heads;
    layer.head_dim_k = layer.head_dim_v = config_.head_dim;
    layer.q_dtype = layer.out_dtype = RA_F32;
    layer.k_dtype = layer.v_dtype = kv_dtype_;
    for (int64_t i = 0; i < config_.num_layers; ++i) {
        const int64_t window = config_.layer_window[static_cast<size_t>(i)];
        layer.window_kind = window > 0 ? RA_WINDOW_SLIDING : RA_WINDOW_NONE;
        layer.window = window;
        layer.retain = window > 0 && settings.keep_all ? -1 : 0;
        check(ra_model_set_layers(model, i, 1, &layer), "describe a layer");
    }
}

void Attention::create_cache(const AttentionSettings& settings) {
    page_size_ = settings.page_size;
    if (page_size_ == 0)
        check(ra_context_query(context_.get(), RA_CONTEXT_INFO_PAGE_SIZE, &page_size_),
              "ask for the best page size");
    check(ra_context_supports(context_.get(), model_.get(), page_size_, 0),
          "this model's attention");
    ra_cache_options options;
    check(ra_cache_options_init(&options, sizeof options), "cache options");
    options.page_size = page_size_;
    options.capacity_tokens = settings.capacity_tokens;
    options.max_sequences = settings.max_sequences;
    ra_cache cache = nullptr;
    check(ra_cache_create(context_.get(), model_.get(), &options, &cache), "create the cache");
    cache_ = Handle<ra_cache, ra_cache_release>(cache);
    for (int64_t i = 0; i < config_.num_layers; ++i) {
        int64_t group = 0;
        check(ra_model_layer_group(model_.get(), i, &group), "ask for a layer's group");
        groups_.resize(std::max(groups_.size(), static_cast<size_t>(group) + 1));
        Group& entry = groups_[static_cast<size_t>(group)];
        ++entry.layers;
        entry.page_bytes = page_size_ * config_.num_kv_heads * 2 * config_.head_dim *
                           value_size(kv_dtype_) * entry.layers;
    }
}

void Attention::create_batch(const AttentionSettings& settings) {
    ra_plan_options options;
    check(ra_plan_options_init(&options, sizeof options), "plan options");
    options.max_rows = settings.max_sequences;
    options.max_tokens = settings.max_step_tokens;
    options.mode = settings.mode;
    ra_batch batch = nullptr;
    check(ra_batch_create(cache_.get(), &options, &batch), "create the batch");
    batch_ = Handle<ra_batch, ra_batch_release>(batch);
}

Sequence Attention::start(std::shared_ptr<const Prefix> prefix) {
    ra_sequence handle = nullptr;
    check(ra_sequence_attach(cache_.get(), prefix ? prefix->handle.get() : nullptr, &handle),
          "attach a sequence");
    Sequence sequence;
    sequence.handle = Handle<ra_sequence, ra_sequence_release>(handle);
    sequence.length = prefix ? prefix->length : 0;
    sequence.prefix = std::move(prefix);
    return sequence;
}

std::shared_ptr<const Prefix> Attention::freeze(Sequence& sequence) {
    ra_prefix handle = nullptr;
    check(ra_prefix_from_sequence(sequence.handle.get(), -1, &handle), "freeze a prefix");
    auto prefix = std::make_shared<Prefix>();
    prefix->handle = Handle<ra_prefix, ra_prefix_release>(handle);
    prefix->parent = sequence.prefix;
    prefix->length = sequence.length;
    prefix->own_length = sequence.length - (sequence.prefix ? sequence.prefix->length : 0);
    return prefix;
}

std::shared_ptr<const Prefix> Attention::copy(const Prefix& prefix) {
    ra_prefix handle = nullptr;
    check(ra_prefix_create(cache_.get(), nullptr, prefix.length, &handle), "create a prefix");
    auto whole = std::make_shared<Prefix>();
    whole->handle = Handle<ra_prefix, ra_prefix_release>(handle);
    whole->own_length = whole->length = prefix.length;
    for (const Prefix* level = &prefix; level != nullptr; level = level->parent.get())
        copy_level(*level, handle, level->length - level->own_length);
    check(ra_prefix_seal(handle, nullptr), "seal a prefix");
    return whole;
}

void Attention::copy_level(const Prefix& from, ra_prefix to, int64_t to_position) {
    const auto half = static_cast<size_t>(from.own_length * config_.num_kv_heads *
                                          config_.head_dim * value_size(kv_dtype_));
    std::vector<unsigned char> values(2 * half);
    ra_kv kv{};
    kv.struct_size = sizeof kv;
    kv.k.data = values.data();
    kv.v.data = values.data() + half;
    kv.num_tokens = from.own_length;
    for (int64_t layer = 0; layer < config_.num_layers; ++layer) {
        check(ra_prefix_read(from.handle.get(), layer, 0, &kv, nullptr), "read a prefix");
        check(ra_prefix_write(to, layer, to_position, &kv, nullptr), "write a prefix");
    }
}

bool Attention::begin(const std::vector<Sequence*>& sequences,
                      const std::vector<int64_t>& new_tokens) {
    std::vector<ra_sequence> handles;
    handles.reserve(sequences.size());
    for (const Sequence* sequence : sequences)
        handles.push_back(sequence->handle.get());
    ra_batch_input input{};
    input.struct_size = sizeof input;
    input.sequences = handles.data();
    input.q_lens = new_tokens.data();
    input.num_sequences = input.num_q_lens = static_cast<int64_t>(handles.size());
    const ra_status status = ra_batch_begin(batch_.get(), &input, nullptr);
    if (status == RA_ERROR_PAGES)
        return false;
    check(status, "begin a step");
    step_sequences_ = sequences;
    step_tokens_ = new_tokens;
    step_total_ = std::accumulate(new_tokens.begin(), new_tokens.end(), int64_t{0});
    return true;
}

void Attention::attend(int64_t layer, const float* qkv, float* out) {
    const int64_t q_width = config_.num_heads * config_.head_dim;
    const int64_t kv_width = config_.num_kv_heads * config_.head_dim;
    const int64_t row = q_width + 2 * kv_width;
    const int64_t head = config_.head_dim * 4;
    const ra_view packed{const_cast<float*>(qkv), row * 4, head};
    ra_attend_args args{};
    args.struct_size = sizeof args;
    args.q = args.k = args.v = packed;
    args.k.data = const_cast<float*>(qkv + q_width);
    args.v.data = const_cast<float*>(qkv + q_width + kv_width);
    args.out.data = out;
    if (kv_dtype_ != RA_F32) {
        narrow_.resize(static_cast<size_t>(step_total_ * 2 * kv_width));
        for (int64_t token = 0; token < step_total_; ++token)
            narrow_values(qkv + token * row + q_width, 2 * kv_width, kv_dtype_ == RA_BF16,
                          narrow_.data() + token * 2 * kv_width);
        args.k = {narrow_.data(), 4 * kv_width, head / 2};
        args.v = {narrow_.data() + kv_width, 4 * kv_width, head / 2};
    }
    const auto before = std::chrono::steady_clock::now();
    check(ra_batch_attend(batch_.get(), layer, &args, nullptr), "attend");
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
}

void Attention::commit() {
    check(ra_batch_commit(batch_.get(), nullptr, 0, nullptr, 0, nullptr), "commit a step");
    for (size_t i = 0; i < step_sequences_.size(); ++i)
        step_sequences_[i]->length += step_tokens_[i];
}

int64_t Attention::kv_bytes_per_step() const {
    int64_t bytes = 0;
    for (size_t i = 0; i < groups_.size(); ++i) {
        int64_t once = 0;
        check(ra_batch_query(batch_.get(), static_cast<int64_t>(i), RA_PLAN_INFO_KV_BYTES, &once),
              "ask for the bytes of a step");
        bytes += once * groups_[i].layers;
    }
    return bytes;
}

int64_t Attention::bytes_in_use() const {
    int64_t bytes = 0;
    for (size_t i = 0; i < groups_.size(); ++i) {
        int64_t total = 0, free = 0;
        check(ra_cache_pages(cache_.get(), static_cast<int64_t>(i), &total, &free),
              "ask for the pages in use");
        bytes += (total - free) * groups_[i].page_bytes;
    }
    return bytes;
}

}  // namespace serve
