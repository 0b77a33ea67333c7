#include "mirror.h"

#include <algorithm>
#include <cmath>

#include "dtype.h"

namespace relayattn::test {

void expect(bool truth, const std::string& otherwise) {
    if (!truth)
        throw Mismatch(otherwise);
}

Mirror::Mirror(const CacheSpec& spec, uint64_t seed)
    : spec_(spec), random_(seed), context_(make_context(spec.threads)) {
    ok(ra_context_query(context_, RA_CONTEXT_INFO_ISA, &isa_));
    create_model();
    create_cache();
    for (const LayerSpec& layer : spec_.layers) {
        sinks_.push_back(random_.normals(layer.q_heads));
        slopes_.emplace_back();
        for (int64_t head = 0; head < layer.q_heads; ++head)
            slopes_.back().push_back(std::exp2(-0.5F * static_cast<float>(head + 1)));
    }
}

void Mirror::create_model() {
    ok(ra_model_create(num_layers(), model_.out()));
    for (int64_t index = 0; index < num_layers(); ++index) {
        if (layer(index).unset)
            continue;
        const auto options = options_of(layer(index));
        ok(ra_model_set_layers(model_, index, 1, &options));
    }
    for (int64_t index = 0; index < num_layers(); ++index) {
        int64_t group = -1;
        if (!layer(index).unset)
            ok(ra_model_layer_group(model_, index, &group));
        num_groups_ = std::max(num_groups_, group + 1);
    }
}

void Mirror::create_cache() {
    auto options = cache_options();
    options.page_size = spec_.page_size;
    options.capacity_tokens = spec_.capacity;
    options.max_sequences = spec_.max_sequences;
    ok(ra_cache_memory(context_, model_, &options, &options.memory_size));
    memory_ = DeviceBuffer(options.memory_size);
    options.memory = memory_.data();
    ok(ra_cache_create(context_, model_, &options, cache_.out()));
    page_size_ = spec_.page_size;
    if (page_size_ == 0)
        ok(ra_context_query(context_, RA_CONTEXT_INFO_PAGE_SIZE, &page_size_));
}

std::vector<int64_t> Mirror::free_pages() const {
    std::vector<int64_t> pages;
    for (int64_t group = 0; group < num_groups_; ++group)
        pages.push_back(test::free_pages(cache_, group));
    return pages;
}

std::vector<int64_t> Mirror::total_pages() const {
    std::vector<int64_t> pages;
    for (int64_t group = 0; group < num_groups_; ++group)
        pages.push_back(test::total_pages(cache_, group));
    return pages;
}

Batch Mirror::batch(const PlanSpec& plan) const {
    const auto options = options_of(plan);
    Batch batch;
    ok(ra_batch_create(cache_, &options, batch.out()));
    return batch;
}

std::vector<float> Mirror::values(int64_t count, int32_t dtype) {
    auto values = random_.normals(count);
    for (float& value : values)
        value = rounded(value, dtype);
    return values;
}

Layout Mirror::any_layout() {
    return random_.pick({Layout::dense, Layout::padded, Layout::heads_first});
}

TokenPtr Mirror::new_token() {
    auto token = std::make_shared<Token>();
    for (const LayerSpec& layer : spec_.layers) {
        const int64_t heads = layer.owns_kv() ? layer.kv_heads : 0;
        token->k.push_back(values(heads * layer.dim_k, layer.kv));
        token->v.push_back(values(heads * layer.dim_v, layer.kv));
    }
    return token;
}

MirrorPrefix Mirror::open_prefix(const MirrorPrefix* parent, int64_t num_tokens) {
    MirrorPrefix prefix;
    const ra_prefix above = parent != nullptr ? parent->handle.get() : nullptr;
    ok(ra_prefix_create(cache_, above, num_tokens, prefix.handle.out()));
    if (parent != nullptr)
        prefix.tokens = parent->tokens;
    for (int64_t i = 0; i < num_tokens; ++i)
        prefix.tokens.push_back(new_token());
    return prefix;
}

void Mirror::write(const MirrorPrefix& prefix, int64_t index, int64_t pos, int64_t num_tokens) {
    const LayerSpec& spec = layer(index);
    const int64_t before = static_cast<int64_t>(prefix.tokens.size()) - own_length(prefix);
    StridedArray k({num_tokens, spec.kv_heads, spec.dim_k, spec.kv}, any_layout());
    StridedArray v({num_tokens, spec.kv_heads, spec.dim_v, spec.kv}, any_layout());
    std::vector<float> all_k, all_v;
    for (int64_t i = 0; i < num_tokens; ++i) {
        const Token& token = *prefix.tokens[static_cast<size_t>(before + pos + i)];
        const auto& key = token.k[static_cast<size_t>(index)];
        const auto& value = token.v[static_cast<size_t>(index)];
        all_k.insert(all_k.end(), key.begin(), key.end());
        all_v.insert(all_v.end(), value.begin(), value.end());
    }
    k.write(all_k);
    v.write(all_v);
    auto kv = kv_args();
    kv.k = k.view();
    kv.v = v.view();
    kv.num_tokens = num_tokens;
    ok(ra_prefix_write(prefix.handle, index, pos, &kv, nullptr));
}

void Mirror::write_everything(const MirrorPrefix& prefix) {
    const int64_t own = own_length(prefix);
    for (int64_t index = 0; index < num_layers(); ++index) {
        if (!layer(index).owns_kv())
            continue;
        const int64_t cut = random_.integer(0, own);  // the later half first
        if (cut < own)
            write(prefix, index, cut, own - cut);
        if (cut > 0)
            write(prefix, index, 0, cut);
    }
}

MirrorPrefix Mirror::prefix(const MirrorPrefix* parent, int64_t num_tokens) {
    auto prefix = open_prefix(parent, num_tokens);
    write_everything(prefix);
    ok(ra_prefix_seal(prefix.handle, nullptr));
    return prefix;
}

MirrorSequence Mirror::attach(const MirrorPrefix* prefix) const {
    MirrorSequence sequence;
    const ra_prefix above = prefix != nullptr ? prefix->handle.get() : nullptr;
    ok(ra_sequence_attach(cache_, above, sequence.handle.out()));
    if (prefix != nullptr)
        sequence.tokens = prefix->tokens;
    check_length(sequence);
    return sequence;
}

MirrorSequence Mirror::fork(const MirrorSequence& sequence) const {
    MirrorSequence twin;
    ok(ra_sequence_fork(sequence.handle, twin.handle.out()));
    twin.tokens = sequence.tokens;
    check_length(twin);
    return twin;
}

void Mirror::truncate(MirrorSequence& sequence, int64_t length) const {
    ok(ra_sequence_truncate(sequence.handle, length));
    sequence.tokens.resize(static_cast<size_t>(length));
    check_length(sequence);
}

MirrorPrefix Mirror::split(MirrorPrefix& prefix, int64_t num_tokens) const {
    const int64_t own = own_length(prefix);
    const auto total = static_cast<int64_t>(prefix.tokens.size());
    MirrorPrefix head;
    ok(ra_prefix_split(prefix.handle, num_tokens, head.handle.out()));
    head.tokens.assign(prefix.tokens.begin(), prefix.tokens.begin() + total - own + num_tokens);
    expect(own_length(head) == num_tokens, "ra_prefix_split: the head has another length");
    expect(own_length(prefix) == own - num_tokens, "ra_prefix_split: the rest has another length");
    return head;
}

MirrorPrefix Mirror::freeze(MirrorSequence& sequence, int64_t num_tokens) const {
    MirrorPrefix prefix;
    ok(ra_prefix_from_sequence(sequence.handle, num_tokens, prefix.handle.out()));
    const auto all = static_cast<int64_t>(sequence.tokens.size());
    prefix.tokens.assign(sequence.tokens.begin(),
                         sequence.tokens.begin() + (num_tokens < 0 ? all : num_tokens));
    own_length(prefix);
    check_length(sequence);
    return prefix;
}

int64_t Mirror::own_length(const MirrorPrefix& prefix) const {
    int64_t own = 0, total = 0;
    ok(ra_prefix_length(prefix.handle, &own, &total));
    expect(total == static_cast<int64_t>(prefix.tokens.size()),
           "ra_prefix_length: total is " + std::to_string(total) + ", want " +
               std::to_string(prefix.tokens.size()));
    expect(own >= 1 && own <= total, "ra_prefix_length: own is " + std::to_string(own));
    return own;
}

void Mirror::check_length(const MirrorSequence& sequence) const {
    int64_t length = 0, min = 0;
    ok(ra_sequence_length(sequence.handle, &length, &min));
    expect(length == static_cast<int64_t>(sequence.tokens.size()),
           "ra_sequence_length: got " + std::to_string(length) + ", want " +
               std::to_string(sequence.tokens.size()));
    expect(min >= 0 && min <= length, "ra_sequence_length: min is " + std::to_string(min));
}

ra_status Mirror::read_back(const MirrorPrefix& prefix, int64_t index, int64_t pos,
                            int64_t num_tokens) {
    const LayerSpec& spec = layer(index);
    StridedArray k({num_tokens, spec.kv_heads, spec.dim_k, spec.kv}, any_layout());
    StridedArray v({num_tokens, spec.kv_heads, spec.dim_v, spec.kv}, any_layout());
    auto kv = kv_args();
    kv.k = k.view();
    kv.v = v.view();
    kv.num_tokens = num_tokens;
    const ra_status status = ra_prefix_read(prefix.handle, index, pos, &kv, nullptr);
    if (status != RA_OK)
        return status;
    const int64_t first = static_cast<int64_t>(prefix.tokens.size()) - own_length(prefix) + pos;
    const auto got_k = k.read(), got_v = v.read();
    for (int64_t i = 0; i < num_tokens; ++i) {
        const Token& token = *prefix.tokens[static_cast<size_t>(first + i)];
        const auto& want_k = token.k[static_cast<size_t>(index)];
        const auto& want_v = token.v[static_cast<size_t>(index)];
        const auto nth = static_cast<std::ptrdiff_t>(i);
        const auto size_k = static_cast<std::ptrdiff_t>(want_k.size());
        const auto size_v = static_cast<std::ptrdiff_t>(want_v.size());
        expect(std::equal(want_k.begin(), want_k.end(), got_k.begin() + nth * size_k),
               "ra_prefix_read: K of token " + std::to_string(pos + i) + " differs");
        expect(std::equal(want_v.begin(), want_v.end(), got_v.begin() + nth * size_v),
               "ra_prefix_read: V of token " + std::to_string(pos + i) + " differs");
    }
    expect(k.gaps_are_untouched() && v.gaps_are_untouched(), "ra_prefix_read wrote into a gap");
    return RA_OK;
}

}  // namespace relayattn::test
