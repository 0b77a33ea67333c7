#include "api.h"

#include "device.h"

namespace relayattn::test {
namespace {

template <class Options>
Options initialised(ra_status (*init)(Options*, int64_t)) {
    Options options;
    ok(init(&options, sizeof options));
    return options;
}

template <class Struct>
Struct sized() {
    Struct empty{};
    empty.struct_size = sizeof empty;
    return empty;
}

}  // namespace

std::string last_error() {
    std::string text(static_cast<size_t>(ra_last_error(nullptr, 0)), '\0');
    ra_last_error(text.data(), static_cast<int64_t>(text.size()) + 1);
    return text;
}

ra_context_options context_options() {
    return initialised(ra_context_options_init);
}

ra_layer_options layer_options() {
    return initialised(ra_layer_options_init);
}

ra_cache_options cache_options() {
    return initialised(ra_cache_options_init);
}

ra_plan_options plan_options() {
    return initialised(ra_plan_options_init);
}

ra_batch_input batch_input() {
    return sized<ra_batch_input>();
}

ra_attend_args attend_args() {
    return sized<ra_attend_args>();
}

ra_kv kv_args() {
    return sized<ra_kv>();
}

ra_merge_args merge_args() {
    return sized<ra_merge_args>();
}

Context make_context(int64_t num_threads) {
    auto options = context_options();
    options.backend = backend_under_test();
    options.num_threads = num_threads;
    Context context;
    ok(ra_context_create(&options, context.out()));
    return context;
}

int64_t free_pages(ra_cache cache, int64_t group) {
    int64_t total = 0, free = 0;
    ok(ra_cache_pages(cache, group, &total, &free));
    return free;
}

int64_t total_pages(ra_cache cache, int64_t group) {
    int64_t total = 0, free = 0;
    ok(ra_cache_pages(cache, group, &total, &free));
    return total;
}

int64_t length_of(ra_sequence sequence) {
    int64_t length = 0, min = 0;
    ok(ra_sequence_length(sequence, &length, &min));
    return length;
}

int64_t min_length_of(ra_sequence sequence) {
    int64_t length = 0, min = 0;
    ok(ra_sequence_length(sequence, &length, &min));
    return min;
}

}  // namespace relayattn::test
