// Batches: bad plan options, inputs, commits and queries, by name and value.
#include <doctest/doctest.h>

#include <functional>

#include "fixture.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

void check_plan_option(const std::function<void(ra_plan_options&)>& change,
                       std::initializer_list<const char*> words,
                       ra_status status = RA_ERROR_ARGUMENT) {
    Fixture fixture;
    auto options = plan_options();
    change(options);
    Batch batch;
    check_refused(ra_batch_create(fixture.cache, &options, batch.out()), status, words);
    CHECK(last_error().find("ra_batch_create") != std::string::npos);
}

// The input is refused by begin and by pages_needed alike, and the step after it works.
void check_input(Fixture& f, const Input& input, ra_status status,
                 std::initializer_list<const char*> words) {
    int64_t pages = 0;
    check_refused(ra_batch_begin(f.batch, &input.fields, nullptr), status, words);
    CHECK(last_error().find("ra_batch_begin") != std::string::npos);
    check_refused(ra_batch_pages_needed(f.batch, &input.fields, 0, &pages), status, words);
    CHECK(last_error().find("ra_batch_pages_needed") != std::string::npos);
    Input good({f.sequence});
    ok(ra_batch_begin(f.batch, &good.fields, nullptr));
    ok(ra_batch_abort(f.batch, nullptr));
}

}  // namespace

TEST_CASE("plan options out of bounds are refused") {
    check_plan_option([](auto& o) { o.mode = 3; }, {"mode", "3"});
    check_plan_option([](auto& o) { o.mode = -1; }, {"mode", "-1"});
    check_plan_option([](auto& o) { o.flags = 1 << 20; }, {"flags", "1048576"});
    check_plan_option([](auto& o) { o.flags = RA_PLAN_DEVICE_LENS; }, {"RA_PLAN_DEVICE_LENS"},
                      RA_ERROR_UNSUPPORTED);
    check_plan_option([](auto& o) { o.flags = RA_PLAN_FIND_SHARED; }, {"RA_PLAN_FIND_SHARED"},
                      RA_ERROR_UNSUPPORTED);
    check_plan_option([](auto& o) { o.max_rows = -1; }, {"max_rows", "-1"});
    check_plan_option([](auto& o) { o.max_tokens = -1; }, {"max_tokens", "-1"});
    check_plan_option([](auto& o) { o.max_runs = -1; }, {"max_runs", "-1"});
    check_plan_option([](auto& o) { o.max_kv_tokens = -1; }, {"max_kv_tokens", "-1"});
    check_plan_option([](auto& o) { o.scratch_size = -1; }, {"scratch_size", "-1"});
    check_plan_option([](auto& o) { o.metadata_size = -1; }, {"metadata_size", "-1"});
    Fixture f;
    const auto options = plan_options();
    check_refused(ra_batch_create(f.cache, &options, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_batch_create", "out", "null"});
    int64_t bytes = 0;
    check_refused(ra_batch_memory(f.cache, &options, nullptr, &bytes), RA_ERROR_ARGUMENT,
                  {"ra_batch_memory", "scratch_out", "null"});
    check_refused(ra_batch_memory(f.cache, &options, &bytes, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_batch_memory", "metadata_out", "null"});
}

TEST_CASE("a plan's bounds bind its steps") {
    Fixture f;
    auto options = plan_options();
    options.max_rows = 1;
    options.max_tokens = 4;
    ok(ra_batch_create(f.cache, &options, f.batch.out()));
    Sequence second;
    ok(ra_sequence_fork(f.sequence, second.out()));
    Input two({f.sequence, second}), five({f.sequence}, {5}), four({f.sequence}, {4});
    check_refused(ra_batch_begin(f.batch, &two.fields, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_batch_begin", "num_sequences", "2", "1"});
    check_refused(ra_batch_begin(f.batch, &five.fields, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_batch_begin", "tokens", "5", "4"});
    ok(ra_batch_begin(f.batch, &four.fields, nullptr));
}

TEST_CASE("counts and lists of an input belong together") {
    Fixture f;
    Input input({f.sequence});
    input.fields.num_sequences = -1;
    check_input(f, input, RA_ERROR_ARGUMENT, {"num_sequences", "-1"});
    Input without({f.sequence});
    without.fields.sequences = nullptr;
    check_input(f, without, RA_ERROR_ARGUMENT, {"sequences", "num_sequences"});
    Input lens({f.sequence});
    lens.fields.num_q_lens = 0;
    check_input(f, lens, RA_ERROR_ARGUMENT, {"num_q_lens", "0"});
    lens.fields.num_q_lens = 1;
    lens.fields.q_lens = nullptr;
    check_input(f, lens, RA_ERROR_ARGUMENT, {"q_lens"});
    const int64_t flags[2] = {};
    Input flagged({f.sequence});
    flagged.fields.row_flags = flags;
    flagged.fields.num_row_flags = 2;
    check_input(f, flagged, RA_ERROR_ARGUMENT, {"num_row_flags", "2"});
    flagged.fields.row_flags = nullptr;
    flagged.fields.num_row_flags = 1;
    check_input(f, flagged, RA_ERROR_ARGUMENT, {"row_flags"});
    Input padded({f.sequence});
    padded.fields.padded_tokens = -1;
    check_input(f, padded, RA_ERROR_ARGUMENT, {"padded_tokens", "-1"});
    Input spans({f.sequence});
    spans.fields.num_spans = 1;
    check_input(f, spans, RA_ERROR_ARGUMENT, {"spans"});
    spans.fields.num_spans = -1;
    check_input(f, spans, RA_ERROR_ARGUMENT, {"num_spans", "-1"});
}

TEST_CASE("rows of an input: lengths, flags, twice, another cache's, released") {
    Fixture f, other;
    check_input(f, Input({f.sequence}, {-1}), RA_ERROR_ARGUMENT, {"q_lens[0]", "-1"});
    check_input(f, Input({f.sequence}, {INT64_MAX}), RA_ERROR_ARGUMENT, {"q_lens[0]"});
    check_input(f, Input({f.sequence, f.sequence}), RA_ERROR_ARGUMENT, {"sequences", "twice"});
    check_input(f, Input({f.sequence, other.sequence}), RA_ERROR_ARGUMENT,
                {"sequences[1]", "cache"});
    check_input(f, Input({f.sequence, nullptr}), RA_ERROR_HANDLE, {"sequences[1]"});
    Sequence second;
    ok(ra_sequence_fork(f.sequence, second.out()));
    const ra_sequence stale = second;
    second.reset();
    check_input(f, Input({f.sequence, stale}), RA_ERROR_HANDLE, {"sequences[1]"});
    for (int64_t bits : {int64_t{4}, int64_t{-1}, int64_t{1} << 40}) {
        Input flagged({f.sequence});
        flagged.fields.row_flags = &bits;
        flagged.fields.num_row_flags = 1;
        const auto value = std::to_string(bits);
        check_input(f, flagged, RA_ERROR_ARGUMENT, {"row_flags[0]", value.c_str()});
    }
}

TEST_CASE("spans lie within one row's new tokens and do not overlap") {
    const std::vector<std::vector<int64_t>> bad = {
        {-1, 0, 1}, {1, 0, 1}, {0, -1, 1}, {0, 1, 1}, {0, 2, 1}, {0, 0, 5}, {0, 0, 2, 0, 1, 3}};
    for (const auto& spans : bad) {
        Fixture f;
        Input input({f.sequence}, {4});
        input.fields.spans = spans.data();
        input.fields.num_spans = static_cast<int64_t>(spans.size() / 3);
        check_input(f, input, RA_ERROR_ARGUMENT, {"span"});
    }
    for (int64_t flags : {RA_ROW_NONCAUSAL, RA_ROW_NEW_ABSENT}) {
        Fixture f;
        Input input({f.sequence}, {4});
        const int64_t span[3] = {0, 0, 2};
        input.fields.spans = span;
        input.fields.num_spans = 1;
        input.fields.row_flags = &flags;
        input.fields.num_row_flags = 1;
        check_input(f, input, RA_ERROR_ARGUMENT, {"spans[0]"});
    }
}

TEST_CASE("a tree mask needs its flag, its stride, and no spans beside it") {
    const uint8_t mask[32] = {};
    Fixture plain;
    Input input({plain.sequence}, {9});
    input.fields.tree_mask = mask;
    input.fields.tree_stride = 2;
    check_input(plain, input, RA_ERROR_ARGUMENT, {"tree_mask", "RA_PLAN_TREE"});
    Fixture tree({LayerSpec{}}, {RA_MODE_AUTO, RA_PLAN_TREE});
    Input narrow({tree.sequence}, {9});
    narrow.fields.tree_mask = mask;
    narrow.fields.tree_stride = 1;
    check_input(tree, narrow, RA_ERROR_ARGUMENT, {"tree_stride", "1", "9"});
    narrow.fields.tree_stride = 2;
    const int64_t span[3] = {0, 0, 2};
    narrow.fields.spans = span;
    narrow.fields.num_spans = 1;
    check_input(tree, narrow, RA_ERROR_ARGUMENT, {"tree_mask", "spans"});
}

TEST_CASE("a queue on the CPU must be null") {
    if (backend_under_test() != RA_BACKEND_CPU)
        return;
    Fixture f;
    Input input({f.sequence});
    int queue = 0;
    AttendArrays arrays;
    check_refused(ra_batch_begin(f.batch, &input.fields, &queue), RA_ERROR_ARGUMENT,
                  {"ra_batch_begin", "queue"});
    check_refused(ra_batch_begin_dummy(f.batch, 1, 1, 1, &queue), RA_ERROR_ARGUMENT,
                  {"ra_batch_begin_dummy", "queue"});
    ok(ra_batch_begin(f.batch, &input.fields, nullptr));
    check_refused(ra_batch_attend(f.batch, 0, &arrays.args, &queue), RA_ERROR_ARGUMENT,
                  {"ra_batch_attend", "queue"});
    check_refused(ra_batch_commit(f.batch, nullptr, 0, nullptr, 0, &queue), RA_ERROR_ARGUMENT,
                  {"ra_batch_commit", "queue"});
    check_refused(ra_batch_abort(f.batch, &queue), RA_ERROR_ARGUMENT, {"ra_batch_abort", "queue"});
    ok(ra_batch_abort(f.batch, nullptr));
    Prefix open;
    ok(ra_prefix_create(f.cache, nullptr, 1, open.out()));
    check_refused(ra_prefix_seal(open, &queue), RA_ERROR_ARGUMENT, {"ra_prefix_seal", "queue"});
}

TEST_CASE("commit checks what it is told to keep, and stays open when that is wrong") {
    Fixture f;
    Sequence second;
    ok(ra_sequence_fork(f.sequence, second.out()));
    Input input({f.sequence, second}, {4, 3});
    const int64_t flags[2] = {0, RA_ROW_NEW_ABSENT};
    input.fields.row_flags = flags;
    input.fields.num_row_flags = 2;
    ok(ra_batch_begin(f.batch, &input.fields, nullptr));
    const auto commit = [&](std::vector<int64_t> kept, std::vector<int64_t> index,
                            bool with_index) {
        return ra_batch_commit(f.batch, kept.data(), static_cast<int64_t>(kept.size()),
                               with_index ? index.data() : nullptr,
                               static_cast<int64_t>(index.size()), nullptr);
    };
    check_refused(commit({1}, {}, false), RA_ERROR_ARGUMENT, {"ra_batch_commit", "num_kept", "1"});
    check_refused(commit({5, 0}, {}, false), RA_ERROR_ARGUMENT, {"kept[0]", "5"});
    check_refused(commit({-1, 0}, {}, false), RA_ERROR_ARGUMENT, {"kept[0]", "-1"});
    check_refused(commit({1, 1}, {}, false), RA_ERROR_ARGUMENT, {"kept[1]", "1"});
    check_refused(commit({2, 0}, {0}, true), RA_ERROR_ARGUMENT, {"num_index", "1", "2"});
    check_refused(commit({2, 0}, {1, 0}, true), RA_ERROR_ARGUMENT, {"index[1]", "0"});
    check_refused(commit({2, 0}, {1, 1}, true), RA_ERROR_ARGUMENT, {"index[1]", "1"});
    check_refused(commit({2, 0}, {1, 4}, true), RA_ERROR_ARGUMENT, {"index[1]", "4"});
    check_refused(commit({1, 0}, {-1}, true), RA_ERROR_ARGUMENT, {"index[0]", "-1"});
    check_refused(ra_batch_commit(f.batch, nullptr, 2, nullptr, 0, nullptr), RA_ERROR_ARGUMENT,
                  {"kept", "null"});
    const int64_t one = 1;
    check_refused(ra_batch_commit(f.batch, nullptr, 0, &one, 1, nullptr), RA_ERROR_ARGUMENT,
                  {"index", "kept"});
    ok(commit({2, 0}, {1, 3}, true));
    CHECK(length_of(f.sequence) == 10);
    CHECK(length_of(second) == 8);
}

TEST_CASE("queries of a batch name a group, a property, and come after a begin") {
    Fixture f;
    int64_t value = 0;
    const auto query = [&](int64_t group, int32_t property) {
        return ra_batch_query(f.batch, group, property, &value);
    };
    CHECK(query(0, RA_PLAN_INFO_ITEMS) == RA_ERROR_STATE);
    Input input({f.sequence});
    ok(ra_batch_begin(f.batch, &input.fields, nullptr));
    check_refused(query(1, RA_PLAN_INFO_ITEMS), RA_ERROR_ARGUMENT,
                  {"ra_batch_query", "group", "1"});
    check_refused(query(0, 0), RA_ERROR_ARGUMENT, {"ra_batch_query", "property", "0"});
    check_refused(query(0, 8), RA_ERROR_ARGUMENT, {"ra_batch_query", "property", "8"});
    check_refused(ra_batch_query(f.batch, 0, RA_PLAN_INFO_ITEMS, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_batch_query", "value_out", "null"});
    check_refused(ra_batch_pages_needed(f.batch, &input.fields, 1, &value), RA_ERROR_ARGUMENT,
                  {"ra_batch_pages_needed", "group", "1"});
    check_refused(ra_batch_pages_needed(f.batch, &input.fields, 0, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_batch_pages_needed", "pages_out", "null"});
}

TEST_CASE("a dummy step has sizes that make sense") {
    Fixture f;
    const auto begin = [&](int64_t rows, int64_t q_len, int64_t kv_len) {
        return ra_batch_begin_dummy(f.batch, rows, q_len, kv_len, nullptr);
    };
    check_refused(begin(-1, 1, 1), RA_ERROR_ARGUMENT, {"ra_batch_begin_dummy", "rows", "-1"});
    check_refused(begin(1, -1, 1), RA_ERROR_ARGUMENT, {"ra_batch_begin_dummy", "q_len", "-1"});
    check_refused(begin(1, 1, -1), RA_ERROR_ARGUMENT, {"ra_batch_begin_dummy", "kv_len", "-1"});
    check_refused(begin(INT64_MAX, 1, 1), RA_ERROR_ARGUMENT, {"ra_batch_begin_dummy", "rows"});
    check_refused(begin(1, INT64_MAX, 1), RA_ERROR_ARGUMENT, {"ra_batch_begin_dummy", "q_len"});
    check_refused(begin(1, 1, INT64_MAX), RA_ERROR_ARGUMENT, {"ra_batch_begin_dummy", "kv_len"});
    ok(begin(2, 1, 100));
    ok(ra_batch_abort(f.batch, nullptr));
}

}  // namespace relayattn::test
