// Versioned structs: what _init writes, byte by byte, and which sizes are accepted.
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "fixture.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

constexpr unsigned char poison = 0xa5;

template <class Options>
using Init = ra_status (*)(Options*, int64_t);

// Bytes of the struct as _init leaves them, in a larger poisoned buffer.
template <class Options>
std::vector<unsigned char> bytes_after(Init<Options> init, int64_t size) {
    alignas(16) unsigned char buffer[sizeof(Options) + 64];
    std::memset(buffer, poison, sizeof buffer);
    ok(init(reinterpret_cast<Options*>(buffer), size));
    return {buffer, buffer + sizeof buffer};
}

template <class Options>
void check_init(Init<Options> init, Options defaults) {
    const auto size = static_cast<int64_t>(sizeof(Options));
    defaults.struct_size = size;
    auto bytes = bytes_after(init, size);
    CHECK(std::memcmp(bytes.data(), &defaults, sizeof defaults) == 0);
    for (size_t i = sizeof defaults; i < bytes.size(); ++i)
        CHECK(bytes[i] == poison);
    // A caller of a newer header: its unknown tail is zero, and nothing beyond is written.
    bytes = bytes_after(init, size + 16);
    defaults.struct_size = size + 16;
    CHECK(std::memcmp(bytes.data(), &defaults, sizeof defaults) == 0);
    for (size_t i = sizeof defaults; i < bytes.size(); ++i)
        CHECK(bytes[i] == (i < sizeof defaults + 16 ? 0 : poison));
}

template <class Options>
void check_init_refusals(Init<Options> init, const char* name) {
    Options options;
    std::memset(&options, poison, sizeof options);
    const Options before = options;
    for (int64_t size : {int64_t{0}, int64_t{-1}, int64_t{8}, int64_t{sizeof options} - 1}) {
        CAPTURE(size);
        check_refused(init(&options, size), RA_ERROR_ARGUMENT,
                      {name, "struct_size", std::to_string(size).c_str()});
        CHECK(std::memcmp(&options, &before, sizeof options) == 0);
    }
    check_refused(init(nullptr, sizeof options), RA_ERROR_ARGUMENT, {name, "null"});
}

// Calls with the struct at three sizes: too small, larger with a zero tail, larger with a set bit.
template <class Struct, class Call>
void check_sizes(const Struct& good, Call&& call, const char* name) {
    CAPTURE(name);
    struct {
        Struct known;
        unsigned char tail[24];
    } larger{good, {}};
    larger.known.struct_size = sizeof good - 8;
    check_refused(call(&larger.known), RA_ERROR_ARGUMENT, {name, "struct_size"});
    larger.known.struct_size = 0;
    check_refused(call(&larger.known), RA_ERROR_ARGUMENT, {name, "struct_size", "0"});
    larger.known.struct_size = -1;
    check_refused(call(&larger.known), RA_ERROR_ARGUMENT, {name, "struct_size", "-1"});
    larger.known.struct_size = sizeof good + 24;
    larger.tail[17] = 1;
    check_refused(call(&larger.known), RA_ERROR_ARGUMENT, {name});
    larger.tail[17] = 0;
    CHECK(call(&larger.known) == RA_OK);
    check_refused(call(static_cast<Struct*>(nullptr)), RA_ERROR_ARGUMENT, {name, "null"});
}

}  // namespace

TEST_CASE("_init writes the defaults, struct_size bytes and not one more") {
    ra_context_options context{};
    context.backend = RA_BACKEND_AUTO;
    context.numa_node = -1;
    check_init(ra_context_options_init, context);
    ra_layer_options layer{};
    layer.kv_layer = -1;
    layer.q_dtype = layer.k_dtype = layer.v_dtype = layer.out_dtype = RA_BF16;
    check_init(ra_layer_options_init, layer);
    check_init(ra_cache_options_init, ra_cache_options{});
    check_init(ra_plan_options_init, ra_plan_options{});
}

TEST_CASE("_init refuses a struct smaller than the first release's and writes nothing") {
    check_init_refusals(ra_context_options_init, "ra_context_options_init");
    check_init_refusals(ra_layer_options_init, "ra_layer_options_init");
    check_init_refusals(ra_cache_options_init, "ra_cache_options_init");
    check_init_refusals(ra_plan_options_init, "ra_plan_options_init");
}

TEST_CASE("options of another size") {
    auto context = context_options();
    context.backend = backend_under_test();
    context.num_threads = 1;
    check_sizes(
        context,
        [](auto* o) {
            Context out;
            return ra_context_create(o, out.out());
        },
        "ra_context_create");
    Fixture fixture;
    check_sizes(
        options_of(LayerSpec{}),
        [&](auto* o) { return ra_model_set_layers(fixture.model, 0, 1, o); },
        "ra_model_set_layers");
    auto cache = cache_options();
    cache.capacity_tokens = 64;
    check_sizes(
        cache,
        [&](auto* o) {
            Cache out;
            return ra_cache_create(fixture.context, fixture.model, o, out.out());
        },
        "ra_cache_create");
    check_sizes(
        cache,
        [&](auto* o) {
            int64_t bytes = 0;
            return ra_cache_memory(fixture.context, fixture.model, o, &bytes);
        },
        "ra_cache_memory");
    check_sizes(
        plan_options(),
        [&](auto* o) {
            Batch out;
            return ra_batch_create(fixture.cache, o, out.out());
        },
        "ra_batch_create");
    check_sizes(
        plan_options(),
        [&](auto* o) {
            int64_t scratch = 0, metadata = 0;
            return ra_batch_memory(fixture.cache, o, &scratch, &metadata);
        },
        "ra_batch_memory");
}

TEST_CASE("arguments of another size") {
    Fixture fixture;
    Input input({fixture.sequence});
    check_sizes(
        input.fields,
        [&](auto* i) {
            const ra_status status = ra_batch_begin(fixture.batch, i, nullptr);
            return status == RA_OK ? ra_batch_abort(fixture.batch, nullptr) : status;
        },
        "ra_batch_begin");
    check_sizes(
        input.fields,
        [&](auto* i) {
            int64_t pages = 0;
            return ra_batch_pages_needed(fixture.batch, i, 0, &pages);
        },
        "ra_batch_pages_needed");
    ok(ra_batch_begin(fixture.batch, &input.fields, nullptr));
    AttendArrays arrays;
    check_sizes(
        arrays.args, [&](auto* a) { return ra_batch_attend(fixture.batch, 0, a, nullptr); },
        "ra_batch_attend");
    Prefix open;
    ok(ra_prefix_create(fixture.cache, nullptr, 4, open.out()));
    auto kv = kv_args();
    kv.k = arrays.k.view();
    kv.v = arrays.v.view();
    kv.num_tokens = 1;
    check_sizes(
        kv, [&](auto* a) { return ra_prefix_write(open, 0, 0, a, nullptr); }, "ra_prefix_write");
    check_sizes(
        kv, [&](auto* a) { return ra_prefix_read(open, 0, 0, a, nullptr); }, "ra_prefix_read");
}

TEST_CASE("structs that come out are sized by the caller") {
    Fixture fixture;
    ra_page_layout layout{};
    ra_layer_memory memory{};
    layout.struct_size = sizeof layout;
    memory.struct_size = sizeof memory;
    ok(ra_cache_layer(fixture.cache, 0, &layout, &memory));
    CHECK(layout.struct_size == sizeof layout);
    ra_page_layout small{};
    small.struct_size = sizeof small - 8;
    check_refused(ra_cache_layer(fixture.cache, 0, &small, &memory), RA_ERROR_ARGUMENT,
                  {"ra_cache_layer", "struct_size"});
    CHECK(small.page_size == 0);
    small.struct_size = sizeof small;
    memory.struct_size = 0;
    check_refused(ra_cache_layer(fixture.cache, 0, &small, &memory), RA_ERROR_ARGUMENT,
                  {"ra_cache_layer", "struct_size"});
    CHECK(small.page_size == 0);
}

}  // namespace relayattn::test
