// Attend: bad arguments, by name and value; the batch stays as it was.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "fixture.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

// A batch that is open with one new token, whose attend the test then spoils.
struct Open {
    explicit Open(const LayerSpec& layer = {}, int64_t flags = 0)
        : fixture({layer}), input({fixture.sequence}), arrays(1, layer), row_flags(flags) {
        input.fields.row_flags = &row_flags;
        input.fields.num_row_flags = 1;
        ok(ra_batch_begin(fixture.batch, &input.fields, nullptr));
    }

    ra_status attend(int64_t layer = 0) {
        return ra_batch_attend(fixture.batch, layer, &arrays.args, nullptr);
    }

    Fixture fixture;
    Input input;
    AttendArrays arrays;
    int64_t row_flags;
};

void refused(const std::function<void(ra_attend_args&)>& change,
             std::initializer_list<const char*> words, ra_status status = RA_ERROR_ARGUMENT) {
    Open open;
    const auto good = open.arrays.args;
    change(open.arrays.args);
    check_refused(open.attend(), status, words);
    CHECK(last_error().find("ra_batch_attend") != std::string::npos);
    open.arrays.args = good;
    CHECK(open.attend() == RA_OK);
}

}  // namespace

TEST_CASE("queries and outputs are required") {
    refused([](auto& a) { a.q.data = nullptr; }, {"q", "null"});
    refused([](auto& a) { a.out.data = nullptr; }, {"out", "null"});
    refused([](auto& a) { a.k.data = nullptr; }, {"k", "v"});
    refused([](auto& a) { a.v.data = nullptr; }, {"k", "v"});
    refused([](auto& a) { a.k.data = a.v.data = nullptr; }, {"k", "v", "null"});
}

TEST_CASE("without queries and outputs, K and V alone are appended") {
    Open open;
    const auto good = open.arrays.args;
    open.arrays.args.q = open.arrays.args.out = {};
    CHECK(open.attend() == RA_OK);
    open.arrays.args.k = open.arrays.args.v = {};
    CHECK(open.attend() == RA_ERROR_ARGUMENT);  // nothing to do at all
    open.arrays.args = good;
    CHECK(open.attend() == RA_OK);
}

TEST_CASE("strides are multiples of the element, and do not overlap what they step over") {
    refused([](auto& a) { a.q.token_stride = 6; }, {"q.token_stride", "6"});
    refused([](auto& a) { a.out.head_stride = 130; }, {"out.head_stride", "130"});
    refused([](auto& a) { a.k.token_stride = -256; }, {"k.token_stride", "-256"});
    refused([](auto& a) { a.lse_token_stride = -1; }, {"lse_token_stride", "-1"});
    refused([](auto& a) { a.lse_head_stride = -1; }, {"lse_head_stride", "-1"});
}

TEST_CASE("what is reserved or belongs to the low level is refused") {
    static const float scale = 1;
    static const int64_t slot = 0;
    refused([](auto& a) { a.q_scale = &scale; }, {"q_scale"}, RA_ERROR_UNSUPPORTED);
    refused([](auto& a) { a.out_scale = &scale; }, {"out_scale"}, RA_ERROR_UNSUPPORTED);
    refused([](auto& a) { a.slots = &slot; }, {"slots"});
}

TEST_CASE("scale and soft-cap must be numbers") {
    refused([](auto& a) { a.softmax_scale = NAN; }, {"softmax_scale", "nan"});
    refused([](auto& a) { a.softmax_scale = INFINITY; }, {"softmax_scale", "inf"});
    refused([](auto& a) { a.logit_softcap = -2; }, {"logit_softcap", "-2"});
    refused([](auto& a) { a.logit_softcap = NAN; }, {"logit_softcap", "nan"});
}

TEST_CASE("sinks and slopes are given exactly where the layer uses them") {
    static const float values[4] = {};
    refused([](auto& a) { a.sink_logits = values; }, {"sink_logits"});
    refused([](auto& a) { a.alibi_slopes = values; }, {"alibi_slopes"});
    LayerSpec layer;
    layer.sinks = true;
    Open sinks(layer);
    check_refused(sinks.attend(), RA_ERROR_ARGUMENT, {"ra_batch_attend", "sink_logits", "null"});
    layer.sinks = false;
    layer.alibi = true;
    Open slopes(layer);
    check_refused(slopes.attend(), RA_ERROR_ARGUMENT, {"ra_batch_attend", "alibi_slopes", "null"});
}

TEST_CASE("layers are named by index") {
    Open open;
    check_refused(open.attend(1), RA_ERROR_ARGUMENT, {"ra_batch_attend", "layer", "1"});
    check_refused(open.attend(-1), RA_ERROR_ARGUMENT, {"ra_batch_attend", "layer", "-1"});
    CHECK(open.attend(0) == RA_OK);
}

TEST_CASE("a step that appends nothing may leave K and V out") {
    Open open({}, RA_ROW_NEW_ABSENT);
    open.arrays.args.k = open.arrays.args.v = {};
    CHECK(open.attend() == RA_OK);
}

TEST_CASE("workers are counted from 0, run once each, and bring no K or V") {
    if (backend_under_test() != RA_BACKEND_CPU)
        return;
    Open open({}, RA_ROW_NEW_ABSENT);
    const auto work = [&](int64_t worker, int64_t num_workers) {
        return ra_batch_attend_worker(open.fixture.batch, 0, &open.arrays.args, worker,
                                      num_workers);
    };
    check_refused(work(0, 1), RA_ERROR_ARGUMENT, {"ra_batch_attend_worker", "k"});
    open.arrays.args.k = open.arrays.args.v = {};
    check_refused(work(0, 0), RA_ERROR_ARGUMENT, {"ra_batch_attend_worker", "num_workers", "0"});
    check_refused(work(2, 2), RA_ERROR_ARGUMENT, {"ra_batch_attend_worker", "worker", "2"});
    check_refused(work(-1, 2), RA_ERROR_ARGUMENT, {"ra_batch_attend_worker", "worker", "-1"});
    ok(work(1, 2));
    ok(work(0, 2));
    ok(work(0, 2));  // the layer's work is done: nothing is left to draw
}

TEST_CASE("workers finish one layer before they turn to the next") {
    if (backend_under_test() != RA_BACKEND_CPU)
        return;
    Fixture f({LayerSpec{}, LayerSpec{}});
    Input input({f.sequence});
    const int64_t flags = RA_ROW_NEW_ABSENT;
    input.fields.row_flags = &flags;
    input.fields.num_row_flags = 1;
    ok(ra_batch_begin(f.batch, &input.fields, nullptr));
    AttendArrays arrays;
    arrays.args.k = arrays.args.v = {};
    const auto work = [&](int64_t layer, int64_t worker) {
        return ra_batch_attend_worker(f.batch, layer, &arrays.args, worker, 2);
    };
    ok(work(0, 0));
    ok(work(0, 1));
    ok(work(1, 1));
    ok(work(1, 0));
}

TEST_CASE("a failing attend writes nothing") {
    Open open;
    open.arrays.args.q.data = nullptr;
    REQUIRE(open.attend() == RA_ERROR_ARGUMENT);
    for (float value : open.arrays.out.read())
        CHECK(std::isnan(value));
}

}  // namespace relayattn::test
