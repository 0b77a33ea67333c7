// Caches, prefixes and sequences: bad arguments, by name and value.
#include <doctest/doctest.h>

#include <functional>

#include "fixture.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

void check_cache_option(const std::function<void(ra_cache_options&)>& change,
                        std::initializer_list<const char*> words,
                        ra_status status = RA_ERROR_ARGUMENT) {
    Fixture fixture;
    auto options = cache_options();
    options.capacity_tokens = 64;
    change(options);
    Cache cache;
    check_refused(ra_cache_create(fixture.context, fixture.model, &options, cache.out()), status,
                  words);
    CHECK(last_error().find("ra_cache_create") != std::string::npos);
}

ra_kv one_token(const StridedArray& k, const StridedArray& v) {
    auto kv = kv_args();
    kv.k = k.view();
    kv.v = v.view();
    kv.num_tokens = 1;
    return kv;
}

}  // namespace

TEST_CASE("cache options out of bounds are refused") {
    check_cache_option([](auto& o) { o.capacity_tokens = 0; }, {"capacity_tokens", "0"});
    check_cache_option([](auto& o) { o.capacity_tokens = -1; }, {"capacity_tokens", "-1"});
    check_cache_option([](auto& o) { o.capacity_tokens = INT64_MAX; },
                       {"capacity_tokens", "9223372036854775807"});
    check_cache_option([](auto& o) { o.page_size = -1; }, {"page_size", "-1"});
    check_cache_option([](auto& o) { o.page_size = INT64_MAX; },
                       {"page_size", "9223372036854775807"});
    check_cache_option([](auto& o) { o.max_sequences = -1; }, {"max_sequences", "-1"});
    char byte = 0;
    check_cache_option(
        [&](auto& o) {
            o.memory = &byte;
            o.memory_size = 1;
        },
        {"memory_size", "1"});
    check_cache_option([](auto& o) { o.memory_size = 1 << 20; }, {"memory_size", "1048576"});
}

TEST_CASE("a model without layers has no cache") {
    const auto context = make_context();
    Model model;
    ok(ra_model_create(2, model.out()));
    auto options = cache_options();
    options.capacity_tokens = 64;
    Cache cache;
    CHECK(ra_cache_create(context, model, &options, cache.out()) == RA_ERROR_STATE);
    CHECK(last_error().find("ra_cache_create") != std::string::npos);
}

TEST_CASE("null outs and unknown indices of a cache") {
    Fixture f;
    int64_t total = 0, free = 0;
    check_refused(ra_cache_pages(f.cache, 1, &total, &free), RA_ERROR_ARGUMENT,
                  {"ra_cache_pages", "group", "1"});
    check_refused(ra_cache_pages(f.cache, -1, &total, &free), RA_ERROR_ARGUMENT,
                  {"ra_cache_pages", "group", "-1"});
    check_refused(ra_cache_pages(f.cache, 0, nullptr, &free), RA_ERROR_ARGUMENT,
                  {"ra_cache_pages", "total_out", "null"});
    check_refused(ra_cache_pages(f.cache, 0, &total, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_cache_pages", "free_out", "null"});
    const auto options = cache_options();
    check_refused(ra_cache_create(f.context, f.model, &options, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_cache_create"});
    auto good = options;
    good.capacity_tokens = 64;
    check_refused(ra_cache_memory(f.context, f.model, &good, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_cache_memory", "bytes_out", "null"});
    ra_page_layout layout{};
    ra_layer_memory memory{};
    layout.struct_size = sizeof layout;
    memory.struct_size = sizeof memory;
    check_refused(ra_cache_layer(f.cache, 1, &layout, &memory), RA_ERROR_ARGUMENT,
                  {"ra_cache_layer", "layer", "1"});
    check_refused(ra_cache_layer(f.cache, 0, nullptr, &memory), RA_ERROR_ARGUMENT,
                  {"ra_cache_layer", "layout_out", "null"});
    check_refused(ra_cache_layer(f.cache, 0, &layout, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_cache_layer", "memory_out", "null"});
}

TEST_CASE("prefixes have tokens, and parents of the same cache") {
    Fixture f, other;
    Prefix out;
    const auto create = [&](ra_prefix parent, int64_t num_tokens) {
        return ra_prefix_create(f.cache, parent, num_tokens, out.out());
    };
    check_refused(create(nullptr, 0), RA_ERROR_ARGUMENT, {"ra_prefix_create", "num_tokens", "0"});
    check_refused(create(nullptr, -3), RA_ERROR_ARGUMENT, {"ra_prefix_create", "num_tokens", "-3"});
    check_refused(create(nullptr, INT64_MAX), RA_ERROR_ARGUMENT,
                  {"ra_prefix_create", "num_tokens", "9223372036854775807"});
    check_refused(create(f.prefix, INT64_MAX - 4), RA_ERROR_ARGUMENT,
                  {"ra_prefix_create", "num_tokens"});
    check_refused(create(other.prefix, 4), RA_ERROR_ARGUMENT, {"ra_prefix_create", "parent"});
    check_refused(create(nullptr, 257), RA_ERROR_PAGES, {"ra_prefix_create", "17", "15"});
    check_refused(ra_prefix_create(f.cache, nullptr, 4, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_prefix_create", "out", "null"});
    CHECK(free_pages(f.cache, 0) == 15);
}

TEST_CASE("writing and reading stay inside the prefix's own tokens") {
    Fixture f;
    Prefix open;
    ok(ra_prefix_create(f.cache, f.prefix, 4, open.out()));
    StridedArray k({4, 2, 32, RA_F32}, Layout::dense), v({4, 2, 32, RA_F32}, Layout::dense);
    k.write(std::vector<float>(256));
    v.write(std::vector<float>(256));
    auto kv = one_token(k, v);
    for (const bool writes : {true, false}) {
        const char* name = writes ? "ra_prefix_write" : "ra_prefix_read";
        const auto call = [&](int64_t layer, int64_t pos, const ra_kv& args,
                              void* queue = nullptr) {
            return writes ? ra_prefix_write(open, layer, pos, &args, queue)
                          : ra_prefix_read(open, layer, pos, &args, queue);
        };
        ok(call(0, 3, kv));
        check_refused(call(1, 0, kv), RA_ERROR_ARGUMENT, {name, "layer", "1"});
        check_refused(call(-1, 0, kv), RA_ERROR_ARGUMENT, {name, "layer", "-1"});
        check_refused(call(0, -1, kv), RA_ERROR_ARGUMENT, {name, "pos", "-1"});
        check_refused(call(0, 4, kv), RA_ERROR_ARGUMENT, {name, "pos", "4"});
        check_refused(call(0, INT64_MAX, kv), RA_ERROR_ARGUMENT, {name, "pos"});
        auto bad = kv;
        bad.num_tokens = -1;
        check_refused(call(0, 0, bad), RA_ERROR_ARGUMENT, {name, "num_tokens", "-1"});
        bad.num_tokens = 5;
        check_refused(call(0, 0, bad), RA_ERROR_ARGUMENT, {name, "num_tokens", "5"});
        bad.num_tokens = INT64_MAX;
        check_refused(call(0, 1, bad), RA_ERROR_ARGUMENT, {name, "num_tokens"});
        bad = kv;
        bad.k.data = nullptr;
        check_refused(call(0, 0, bad), RA_ERROR_ARGUMENT, {name, "k"});
        bad = kv;
        bad.v.data = nullptr;
        check_refused(call(0, 0, bad), RA_ERROR_ARGUMENT, {name, "v"});
        bad = kv;
        const int64_t slot = 0;
        bad.slots = &slot;
        check_refused(call(0, 0, bad), RA_ERROR_ARGUMENT, {name, "slots"});
        if (backend_under_test() == RA_BACKEND_CPU)
            check_refused(call(0, 0, kv, &k), RA_ERROR_ARGUMENT, {name, "queue"});
        auto nothing = kv;
        nothing.num_tokens = 0;
        ok(call(0, 4, nothing));
    }
}

TEST_CASE("splits fall inside the prefix's own tokens") {
    Fixture f;
    Prefix head;
    for (int64_t at : {int64_t{0}, int64_t{-1}, int64_t{8}, int64_t{9}, INT64_MAX}) {
        const auto value = std::to_string(at);
        check_refused(ra_prefix_split(f.prefix, at, head.out()), RA_ERROR_ARGUMENT,
                      {"ra_prefix_split", "num_tokens", value.c_str()});
    }
    check_refused(ra_prefix_split(f.prefix, 1, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_prefix_split", "head_out", "null"});
    int64_t own = 0, total = 0;
    ok(ra_prefix_length(f.prefix, &own, &total));
    CHECK(own == 8);
    check_refused(ra_prefix_length(f.prefix, nullptr, &total), RA_ERROR_ARGUMENT,
                  {"ra_prefix_length", "own_out", "null"});
    check_refused(ra_prefix_length(f.prefix, &own, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_prefix_length", "total_out", "null"});
}

TEST_CASE("freezing takes 1 to length tokens, or -1 for all") {
    Fixture f;
    Prefix out;
    for (int64_t count : {int64_t{0}, int64_t{-2}, int64_t{9}, INT64_MAX, INT64_MIN}) {
        const auto value = std::to_string(count);
        check_refused(ra_prefix_from_sequence(f.sequence, count, out.out()), RA_ERROR_ARGUMENT,
                      {"ra_prefix_from_sequence", "num_tokens", value.c_str()});
    }
    check_refused(ra_prefix_from_sequence(f.sequence, -1, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_prefix_from_sequence", "out", "null"});
}

TEST_CASE("sequences attach to prefixes of their own cache") {
    Fixture f, other;
    Sequence out;
    check_refused(ra_sequence_attach(f.cache, other.prefix, out.out()), RA_ERROR_ARGUMENT,
                  {"ra_sequence_attach", "cache"});
    check_refused(ra_sequence_attach(f.cache, f.prefix, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_sequence_attach", "out", "null"});
    check_refused(ra_sequence_fork(f.sequence, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_sequence_fork", "out", "null"});
    int64_t length = 0, min = 0, count = 0;
    check_refused(ra_sequence_length(f.sequence, nullptr, &min), RA_ERROR_ARGUMENT,
                  {"ra_sequence_length", "length_out", "null"});
    check_refused(ra_sequence_length(f.sequence, &length, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_sequence_length", "min_out", "null"});
    int32_t page = 0;
    const auto pages = [&](int64_t group, int32_t* list, int64_t max, int64_t* out_count) {
        return ra_sequence_pages(f.sequence, group, list, max, out_count);
    };
    check_refused(pages(1, &page, 1, &count), RA_ERROR_ARGUMENT,
                  {"ra_sequence_pages", "group", "1"});
    check_refused(pages(0, &page, -1, &count), RA_ERROR_ARGUMENT,
                  {"ra_sequence_pages", "max_pages", "-1"});
    check_refused(pages(0, nullptr, 1, &count), RA_ERROR_ARGUMENT,
                  {"ra_sequence_pages", "pages is"});
    check_refused(pages(0, &page, 1, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_sequence_pages", "num_out", "null"});
}

TEST_CASE("reserved functions say that they are not supported") {
    Fixture f;
    Prefix out;
    int64_t size = 0;
    char bytes[8] = {};
    check_refused(ra_prefix_save(f.prefix, bytes, 8, &size), RA_ERROR_UNSUPPORTED,
                  {"ra_prefix_save"});
    check_refused(ra_prefix_load(f.cache, nullptr, bytes, 8, out.out()), RA_ERROR_UNSUPPORTED,
                  {"ra_prefix_load"});
    check_refused(ra_sequence_erase(f.sequence, 0, 1), RA_ERROR_UNSUPPORTED, {"ra_sequence_erase"});
    check_refused(ra_batch_commit_device(f.batch, nullptr, nullptr), RA_ERROR_UNSUPPORTED,
                  {"ra_batch_commit_device"});
}

}  // namespace relayattn::test
