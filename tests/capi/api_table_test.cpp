// The table of functions for hosts that load the library by dlopen.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "fixture.h"
#include "refusal.h"

namespace relayattn::test {

namespace {

template <class Function>
bool same(Function* in_table, Function* exported) {
    return in_table == exported;
}

}  // namespace

TEST_CASE("the table holds each exported function, under its own name") {
    const ra_api* api = ra_get_api(RA_VERSION);
    REQUIRE(api != nullptr);
    CHECK(api->struct_size == static_cast<int64_t>(sizeof(ra_api)));
    CHECK(same(api->version, ra_version));
    CHECK(same(api->last_error, ra_last_error));
    CHECK(same(api->status_name, ra_status_name));
    CHECK(same(api->context_options_init, ra_context_options_init));
    CHECK(same(api->context_create, ra_context_create));
    CHECK(same(api->context_set_log, ra_context_set_log));
    CHECK(same(api->context_query, ra_context_query));
    CHECK(same(api->context_release, ra_context_release));
    CHECK(same(api->layer_options_init, ra_layer_options_init));
    CHECK(same(api->model_create, ra_model_create));
    CHECK(same(api->model_set_layers, ra_model_set_layers));
    CHECK(same(api->model_layer_group, ra_model_layer_group));
    CHECK(same(api->context_supports, ra_context_supports));
    CHECK(same(api->model_release, ra_model_release));
    CHECK(same(api->plan_options_init, ra_plan_options_init));
    CHECK(same(api->merge_state, ra_merge_state));
    CHECK(same(api->cache_options_init, ra_cache_options_init));
    CHECK(same(api->cache_memory, ra_cache_memory));
    CHECK(same(api->cache_create, ra_cache_create));
    CHECK(same(api->cache_pages, ra_cache_pages));
    CHECK(same(api->cache_layer, ra_cache_layer));
    CHECK(same(api->cache_release, ra_cache_release));
    CHECK(same(api->prefix_create, ra_prefix_create));
    CHECK(same(api->prefix_write, ra_prefix_write));
    CHECK(same(api->prefix_read, ra_prefix_read));
    CHECK(same(api->prefix_seal, ra_prefix_seal));
    CHECK(same(api->prefix_from_sequence, ra_prefix_from_sequence));
    CHECK(same(api->prefix_split, ra_prefix_split));
    CHECK(same(api->prefix_length, ra_prefix_length));
    CHECK(same(api->prefix_save, ra_prefix_save));
    CHECK(same(api->prefix_load, ra_prefix_load));
    CHECK(same(api->prefix_release, ra_prefix_release));
    CHECK(same(api->sequence_attach, ra_sequence_attach));
    CHECK(same(api->sequence_fork, ra_sequence_fork));
    CHECK(same(api->sequence_truncate, ra_sequence_truncate));
    CHECK(same(api->sequence_length, ra_sequence_length));
    CHECK(same(api->sequence_erase, ra_sequence_erase));
    CHECK(same(api->sequence_pages, ra_sequence_pages));
    CHECK(same(api->sequence_release, ra_sequence_release));
    CHECK(same(api->batch_memory, ra_batch_memory));
    CHECK(same(api->batch_create, ra_batch_create));
    CHECK(same(api->batch_pages_needed, ra_batch_pages_needed));
    CHECK(same(api->batch_begin, ra_batch_begin));
    CHECK(same(api->batch_begin_dummy, ra_batch_begin_dummy));
    CHECK(same(api->batch_attend, ra_batch_attend));
    CHECK(same(api->batch_attend_worker, ra_batch_attend_worker));
    CHECK(same(api->batch_commit, ra_batch_commit));
    CHECK(same(api->batch_commit_device, ra_batch_commit_device));
    CHECK(same(api->batch_abort, ra_batch_abort));
    CHECK(same(api->batch_query, ra_batch_query));
    CHECK(same(api->batch_release, ra_batch_release));
}

TEST_CASE("the table has no hole and no function twice") {
    const ra_api* api = ra_get_api(RA_VERSION);
    REQUIRE(api != nullptr);
    static_assert(sizeof(ra_api) == sizeof(int64_t) + 51 * sizeof(void*));
    void* functions[51];
    std::memcpy(functions, reinterpret_cast<const char*>(api) + sizeof(int64_t), sizeof functions);
    CHECK(std::count(std::begin(functions), std::end(functions), nullptr) == 0);
    CHECK(std::set<void*>(std::begin(functions), std::end(functions)).size() == 51);
}

TEST_CASE("a version that is not served gets no table, and the reason") {
    CHECK(ra_get_api(RA_VERSION) == ra_get_api(RA_VERSION));
    for (int64_t version : {int64_t{0}, int64_t{-1}, int64_t{RA_VERSION} + 10000, INT64_MAX}) {
        CAPTURE(version);
        CHECK(ra_get_api(version) == nullptr);
        const std::string text = last_error();
        const std::string value = std::to_string(version);
        CHECK_MESSAGE(text.find("ra_get_api: version is " + value) == 0, text);
    }
}

TEST_CASE("the table works alone: a context made and released through it") {
    const ra_api* api = ra_get_api(RA_VERSION);
    REQUIRE(api != nullptr);
    ra_context_options options;
    CHECK(api->context_options_init(&options, sizeof options) == RA_OK);
    options.backend = backend_under_test();
    options.num_threads = 1;
    ra_context context = nullptr;
    REQUIRE(api->context_create(&options, &context) == RA_OK);
    api->context_release(context);
    int64_t value = 0;
    CHECK(api->context_query(context, RA_CONTEXT_INFO_ISA, &value) == RA_ERROR_HANDLE);
}

}  // namespace relayattn::test
