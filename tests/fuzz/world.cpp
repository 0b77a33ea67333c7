#include "world.h"

#include <cstdio>
#include <cstdlib>

namespace relayattn::fuzz {
namespace {

constexpr int64_t most_tokens = 24;  // new tokens of a row

void require(bool truth, const char* what) {
    if (truth)
        return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::abort();
}

template <class Struct>
Struct sized(Reader& reader) {
    Struct value{};
    value.struct_size = reader.one_in(64) ? reader.count(64) : static_cast<int64_t>(sizeof value);
    if (value.struct_size > static_cast<int64_t>(sizeof value) && value.struct_size < 4096)
        value.struct_size = sizeof value;  // a larger struct would be a lie about our own memory
    return value;
}

Memory& shared_memory() {
    static Memory memory;
    return memory;
}

}  // namespace

World::World(Reader& reader) : reader_(reader), memory_(shared_memory()) {
    ra_context_options options;
    require(ra_context_options_init(&options, sizeof options) == RA_OK, "context options");
    options.backend = RA_BACKEND_CPU;
    options.num_threads = 1;
    require(ra_context_create(&options, &context_) == RA_OK, "a context");
    draw_model();
    draw_cache();
}

World::~World() {
    for (ra_batch batch : batches_)
        ra_batch_release(batch);
    for (ra_sequence sequence : sequences_)
        ra_sequence_release(sequence);
    for (ra_prefix prefix : prefixes_)
        ra_prefix_release(prefix);
    for (int64_t group = 0; group < num_groups_; ++group) {
        int64_t total = -1, free = -2;
        require(ra_cache_pages(cache_, group, &total, &free) == RA_OK, "pages");
        require(total == free, "every page is free after all releases");
    }
    ra_model_release(model_);
    ra_context_release(context_);
    ra_cache_release(cache_);
}

ra_layer_options World::draw_layer(int64_t index) {
    ra_layer_options o;
    require(ra_layer_options_init(&o, sizeof o) == RA_OK, "layer options");
    o.num_kv_heads = 1 + reader_.below(2);
    o.num_q_heads = o.num_kv_heads * (1 + reader_.below(2));
    o.head_dim_k = reader_.one_in(32) ? reader_.count(40) : 32 + 8 * reader_.below(2);
    o.head_dim_v = 32 + 8 * reader_.below(2);
    o.q_dtype = 1 + static_cast<int32_t>(reader_.below(3));
    o.k_dtype = o.v_dtype = 1 + static_cast<int32_t>(reader_.below(3));
    o.out_dtype =
        reader_.one_in(32) ? reader_.choice(9) : 1 + static_cast<int32_t>(reader_.below(3));
    o.window_kind = reader_.one_in(2) ? reader_.choice(2) : RA_WINDOW_NONE;
    if (o.window_kind != RA_WINDOW_NONE) {
        o.window = reader_.one_in(32) ? reader_.count(12) : 1 + reader_.below(12);
        o.retain = reader_.one_in(3) ? reader_.count(20) : 0;
    }
    if (index > 0 && reader_.one_in(3))
        o.kv_layer = reader_.count(index);
    o.uses_sinks = reader_.one_in(4) ? 1 : 0;
    o.uses_alibi = reader_.one_in(4) ? 1 : 0;
    return o;
}

void World::draw_model() {
    num_layers_ = 1 + reader_.below(3);
    require(ra_model_create(num_layers_, &model_) == RA_OK, "a model");
    for (int64_t index = 0; index < num_layers_; ++index) {
        auto& layer = layers_[static_cast<size_t>(index)];
        layer = draw_layer(index);
        check(ra_model_set_layers(model_, index, 1, &layer));
    }
    for (int64_t index = 0; index < num_layers_; ++index) {
        int64_t group = -1;
        if (ra_model_layer_group(model_, index, &group) == RA_OK && group >= num_groups_)
            num_groups_ = group + 1;
    }
    check(ra_context_supports(context_, model_, reader_.count(8), reader_.choice(31)));
}

void World::draw_cache() {
    ra_cache_options options;
    require(ra_cache_options_init(&options, sizeof options) == RA_OK, "cache options");
    options.page_size = 1 + reader_.below(8);
    options.capacity_tokens = 16 + reader_.below(100);
    options.max_sequences = reader_.one_in(3) ? reader_.below(8) : 0;
    const ra_status status = ra_cache_create(context_, model_, &options, &cache_);
    check(status);
    if (status != RA_OK)
        num_groups_ = 0;  // no layer could be set: every call below meets a null cache
}

void World::act() {
    static constexpr Action actions[] = {&World::create_prefix,  &World::write_prefix,
                                         &World::read_prefix,    &World::seal_prefix,
                                         &World::split_prefix,   &World::freeze,
                                         &World::attach,         &World::attach,
                                         &World::fork,           &World::truncate,
                                         &World::list_pages,     &World::release_sequence,
                                         &World::create_batch,   &World::begin,
                                         &World::step,           &World::step,
                                         &World::begin_dummy,    &World::attend,
                                         &World::attend,         &World::attend_worker,
                                         &World::commit,         &World::commit,
                                         &World::abort,          &World::query,
                                         &World::release_batch,  &World::merge,
                                         &World::release_prefix, &World::release_anything};
    constexpr auto count = static_cast<int64_t>(sizeof actions / sizeof *actions);
    (this->*actions[reader_.below(count)])();
    check_pages();
}

void World::check(ra_status status) const {
    require(status <= RA_OK && status >= RA_ERROR_INTERNAL, "the status is a known one");
    require(status != RA_ERROR_INTERNAL, "nothing fails inside");
    require(status != RA_ERROR_MEMORY, "there is memory enough");
    char text[256];
    if (status != RA_OK)
        require(ra_last_error(text, sizeof text) > 0, "a failure has a message");
}

void World::check_pages() const {
    for (int64_t group = 0; group < num_groups_; ++group) {
        int64_t total = -1, free = -1;
        require(ra_cache_pages(cache_, group, &total, &free) == RA_OK, "pages");
        require(free >= 0 && free <= total, "free pages are within the total");
    }
}

void* World::any_handle() {
    switch (reader_.below(7)) {
        case 0:
            return context_;
        case 1:
            return model_;
        case 2:
            return cache_;
        case 3:
            return slot(prefixes_);
        case 4:
            return slot(sequences_);
        case 5:
            return slot(batches_);
        default:
            return reinterpret_cast<void*>(static_cast<uintptr_t>(reader_.byte()));
    }
}

ra_view World::view(std::vector<char>& memory) {
    ra_view view{};
    if (!reader_.one_in(64))
        view.data = memory.data();
    if (reader_.one_in(16))
        view.token_stride = 4 * (reader_.below(101) - 1);
    if (reader_.one_in(16))
        view.head_stride = 4 * (reader_.below(61) - 1);
    return view;
}

ra_kv World::draw_kv() {
    auto kv = sized<ra_kv>(reader_);
    kv.num_tokens = reader_.count(most_tokens);
    return kv;
}

void World::create_prefix() {
    ra_prefix& place = slot(prefixes_);
    ra_prefix_release(place);
    place = nullptr;
    const ra_prefix parent = reader_.one_in(2) ? pick(prefixes_) : nullptr;
    const ra_status status = ra_prefix_create(cache_, parent, reader_.count(most_tokens), &place);
    check(status);
    if (status == RA_OK && !reader_.one_in(4))
        check(ra_prefix_seal(place, nullptr));
}

void World::write_prefix() {
    auto kv = draw_kv();
    kv.k = view(memory_.in);
    kv.v = view(memory_.in);
    check(ra_prefix_write(pick(prefixes_), reader_.count(num_layers_), reader_.count(6), &kv,
                          nullptr));
}

void World::read_prefix() {
    auto kv = draw_kv();
    kv.k = view(memory_.out);
    kv.v = view(memory_.out);
    check(ra_prefix_read(pick(prefixes_), reader_.count(num_layers_), reader_.count(6), &kv,
                         nullptr));
}

void World::seal_prefix() {
    check(ra_prefix_seal(pick(prefixes_), nullptr));
}

void World::split_prefix() {
    const ra_prefix prefix = pick(prefixes_);
    ra_prefix head = nullptr;
    check(ra_prefix_split(prefix, reader_.count(most_tokens), &head));
    ra_prefix& place = slot(prefixes_);
    ra_prefix_release(place);
    place = head;
}

void World::freeze() {
    const ra_sequence sequence = pick(sequences_);
    ra_prefix prefix = nullptr;
    check(ra_prefix_from_sequence(sequence, reader_.count(40), &prefix));
    ra_prefix& place = slot(prefixes_);
    ra_prefix_release(place);
    place = prefix;
}

void World::release_prefix() {
    ra_prefix_release(pick(prefixes_));
}

void World::attach() {
    const ra_prefix prefix = reader_.one_in(4) ? nullptr : pick(prefixes_);
    ra_sequence& place = slot(sequences_);
    ra_sequence_release(place);
    check(ra_sequence_attach(cache_, prefix, &place));
}

void World::fork() {
    const ra_sequence sequence = pick(sequences_);
    ra_sequence twin = nullptr;
    check(ra_sequence_fork(sequence, &twin));
    ra_sequence& place = slot(sequences_);
    ra_sequence_release(place);
    place = twin;
}

void World::truncate() {
    check(ra_sequence_truncate(pick(sequences_), reader_.count(20)));
}

void World::list_pages() {
    int32_t pages[4];
    int64_t count = 0, length = 0, min = 0;
    const ra_sequence sequence = pick(sequences_);
    check(ra_sequence_pages(sequence, reader_.count(num_groups_), pages, reader_.below(5), &count));
    check(ra_sequence_length(sequence, &length, &min));
    require(min >= 0 && min <= length, "min is within the length");
}

void World::release_sequence() {
    ra_sequence_release(pick(sequences_));
}

void World::merge() {
    auto args = sized<ra_merge_args>(reader_);
    args.num_tokens = reader_.below(10) - 1;
    args.num_heads = reader_.below(6) - 1;
    args.head_dim = reader_.below(42) - 1;
    args.in_dtype = reader_.choice(4);
    args.out_dtype = reader_.choice(4);
    args.lse_base2 = reader_.choice(1);
    args.a = view(memory_.in);
    args.b = view(memory_.in);
    args.out = view(memory_.out);
    args.a_lse = memory_.floats.data();
    args.b_lse = memory_.floats.data();
    args.out_lse = reader_.one_in(2) ? memory_.lse.data() : nullptr;
    check(ra_merge_state(context_, &args, nullptr));
}

void World::release_anything() {
    void* handle = any_handle();
    if (handle == context_ || handle == model_ || handle == cache_)
        return;
    ra_prefix_release(static_cast<ra_prefix>(handle));
    ra_sequence_release(static_cast<ra_sequence>(handle));
    ra_batch_release(static_cast<ra_batch>(handle));
    ra_cache_release(static_cast<ra_cache>(handle));
}

}  // namespace relayattn::fuzz
