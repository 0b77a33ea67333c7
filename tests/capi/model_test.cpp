// Models: every bad layer option is refused by name and value, and changes nothing.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "fixture.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

using Change = std::function<void(ra_layer_options&)>;

// Applies the change to good options of layer 1 of a model whose layer 0 is set.
struct Changed {
    explicit Changed(const Change& change) {
        ok(ra_model_create(3, model.out()));
        auto options = options_of(LayerSpec{});
        ok(ra_model_set_layers(model, 0, 1, &options));
        change(options);
        status = ra_model_set_layers(model, 1, 1, &options);
    }
    bool is_set() const {
        int64_t group = 0;
        return ra_model_layer_group(model, 1, &group) == RA_OK;
    }

    Model model;
    ra_status status = RA_OK;
};

void refused(const Change& change, const char* field, const char* value,
             ra_status status = RA_ERROR_ARGUMENT) {
    const Changed changed(change);
    check_refused(changed.status, status, {"ra_model_set_layers", field, value});
    CHECK_FALSE(changed.is_set());
}

void accepted(const Change& change) {
    const Changed changed(change);
    CHECK(changed.status == RA_OK);
    CHECK(changed.is_set());
}

}  // namespace

TEST_CASE("head counts must fit each other") {
    refused([](auto& o) { o.num_q_heads = 0; }, "num_q_heads", "0");
    refused([](auto& o) { o.num_q_heads = 5; }, "num_q_heads", "5");
    refused([](auto& o) { o.num_q_heads = -4; }, "num_q_heads", "-4");
    refused([](auto& o) { o.num_kv_heads = 0; }, "num_kv_heads", "0");
    refused([](auto& o) { o.num_kv_heads = -1; }, "num_kv_heads", "-1");
    refused([](auto& o) { o.num_q_heads = o.num_kv_heads = int64_t{1} << 40; }, "num_kv_heads",
            "1099511627776");
}

TEST_CASE("head dimensions are multiples of 8 from 32 to 256") {
    for (int64_t dim : {0, -32, 8, 24, 31, 33, 36, 37, 250, 257, 264, 512}) {
        CAPTURE(dim);
        const auto value = std::to_string(dim);
        refused([&](auto& o) { o.head_dim_k = dim; }, "head_dim_k", value.c_str());
        refused([&](auto& o) { o.head_dim_v = dim; }, "head_dim_v", value.c_str());
        refused([&](auto& o) { o.head_dim_k = dim; }, "multiple of 8", "from 32 to 256");
    }
}

TEST_CASE("dtypes are f32, f16 or bf16; reserved ones are unsupported, others no dtypes") {
    for (int32_t reserved : {RA_F8E4M3, RA_F8E5M2, RA_I8, RA_Q8_0, RA_I4, RA_F4E2M1}) {
        CAPTURE(reserved);
        refused([&](auto& o) { o.q_dtype = reserved; }, "q_dtype", "", RA_ERROR_UNSUPPORTED);
        refused([&](auto& o) { o.k_dtype = o.v_dtype = reserved; }, "k_dtype", "",
                RA_ERROR_UNSUPPORTED);
        refused([&](auto& o) { o.out_dtype = reserved; }, "out_dtype", "", RA_ERROR_UNSUPPORTED);
    }
    refused([](auto& o) { o.k_dtype = RA_F16; }, "k_dtype", "", RA_ERROR_UNSUPPORTED);
    refused([](auto& o) { o.q_dtype = 0; }, "q_dtype", "0");
    refused([](auto& o) { o.out_dtype = 10; }, "out_dtype", "10");
    refused([](auto& o) { o.v_dtype = -1; }, "v_dtype", "-1");
}

TEST_CASE("what is reserved is unsupported, what is unknown is an argument error") {
    refused([](auto& o) { o.kv_form = RA_KV_LATENT; }, "kv_form", "RA_KV_LATENT",
            RA_ERROR_UNSUPPORTED);
    refused([](auto& o) { o.kv_form = 2; }, "kv_form", "2");
    refused([](auto& o) { o.k_scale = RA_SCALE_HEAD; }, "k_scale", "2", RA_ERROR_UNSUPPORTED);
    refused([](auto& o) { o.v_scale = RA_SCALE_CHANNEL; }, "v_scale", "4", RA_ERROR_UNSUPPORTED);
    refused([](auto& o) { o.k_scale = 5; }, "k_scale", "5");
}

TEST_CASE("windows need a kind and a size that fit") {
    const auto sliding = [](int64_t window, int64_t retain) {
        return [=](ra_layer_options& o) {
            o.window_kind = RA_WINDOW_SLIDING;
            o.window = window;
            o.retain = retain;
        };
    };
    refused([](auto& o) { o.window_kind = 3; }, "window_kind", "3");
    refused([](auto& o) { o.window_kind = -1; }, "window_kind", "-1");
    refused(sliding(0, 0), "window", "0");
    refused(sliding(-5, 0), "window", "-5");
    refused(sliding(8, -2), "retain", "-2");
    refused(sliding(8, 7), "retain", "7");
    refused([](auto& o) { o.window = 8; }, "window", "8");
    accepted(sliding(8, 8));
    accepted(sliding(8, -1));
}

TEST_CASE("KV is borrowed from a lower layer of equal storage that has its own") {
    refused([](auto& o) { o.kv_layer = 1; }, "kv_layer", "1");
    refused([](auto& o) { o.kv_layer = 2; }, "kv_layer", "2");
    refused([](auto& o) { o.kv_layer = -2; }, "kv_layer", "-2");
    refused([](auto& o) { o.kv_layer = 99; }, "kv_layer", "99");
    refused(
        [](auto& o) {
            o.kv_layer = 0;
            o.head_dim_v = 64;
        },
        "kv_layer", "0");
    accepted([](auto& o) { o.kv_layer = 0; });
}

TEST_CASE("borrowing from a borrower, an unset layer, or past what the source keeps is refused") {
    Model model;
    ok(ra_model_create(4, model.out()));
    auto options = options_of(LayerSpec{});
    options.window_kind = RA_WINDOW_SLIDING;
    options.window = 16;
    ok(ra_model_set_layers(model, 0, 1, &options));
    options.kv_layer = 0;
    ok(ra_model_set_layers(model, 1, 1, &options));
    options.kv_layer = 1;
    check_refused(ra_model_set_layers(model, 3, 1, &options), RA_ERROR_ARGUMENT, {"kv_layer", "1"});
    options.kv_layer = 2;
    check_refused(ra_model_set_layers(model, 3, 1, &options), RA_ERROR_ARGUMENT, {"kv_layer", "2"});
    options.kv_layer = 0;
    options.window = 17;
    check_refused(ra_model_set_layers(model, 3, 1, &options), RA_ERROR_ARGUMENT, {"window", "17"});
    options.window_kind = RA_WINDOW_NONE;
    options.window = 0;
    CHECK(ra_model_set_layers(model, 3, 1, &options) == RA_ERROR_ARGUMENT);
}

TEST_CASE("numbers must be numbers") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    refused([&](auto& o) { o.softmax_scale = nan; }, "softmax_scale", "nan");
    refused([&](auto& o) { o.softmax_scale = INFINITY; }, "softmax_scale", "inf");
    refused([&](auto& o) { o.logit_softcap = nan; }, "logit_softcap", "nan");
    refused([&](auto& o) { o.logit_softcap = -1; }, "logit_softcap", "-1");
    refused([&](auto& o) { o.logit_softcap = INFINITY; }, "logit_softcap", "inf");
    refused([](auto& o) { o.uses_sinks = 2; }, "uses_sinks", "2");
    refused([](auto& o) { o.uses_alibi = -1; }, "uses_alibi", "-1");
}

TEST_CASE("layer ranges stay inside the model") {
    Model model;
    ok(ra_model_create(3, model.out()));
    const auto options = options_of(LayerSpec{});
    const auto set = [&](int64_t first, int64_t count) {
        return ra_model_set_layers(model, first, count, &options);
    };
    check_refused(set(-1, 1), RA_ERROR_ARGUMENT, {"ra_model_set_layers", "first", "-1"});
    check_refused(set(4, 1), RA_ERROR_ARGUMENT, {"ra_model_set_layers", "first", "4"});
    check_refused(set(1, 3), RA_ERROR_ARGUMENT, {"ra_model_set_layers", "count", "3"});
    check_refused(set(1, -1), RA_ERROR_ARGUMENT, {"ra_model_set_layers", "count", "-1"});
    check_refused(set(1, INT64_MAX), RA_ERROR_ARGUMENT,
                  {"ra_model_set_layers", "count", "9223372036854775807"});
    int64_t group = 0;
    check_refused(ra_model_layer_group(model, 3, &group), RA_ERROR_ARGUMENT,
                  {"ra_model_layer_group", "layer", "3"});
    check_refused(ra_model_layer_group(model, -1, &group), RA_ERROR_ARGUMENT,
                  {"ra_model_layer_group", "layer", "-1"});
    check_refused(ra_model_layer_group(model, 0, &group), RA_ERROR_ARGUMENT,
                  {"ra_model_layer_group", "layer", "0"});
    ok(set(0, 3));
    check_refused(ra_model_layer_group(model, 0, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_model_layer_group", "group_out", "null"});
}

TEST_CASE("a model has at least one layer, and a bounded number") {
    Model model;
    for (int64_t count : {int64_t{0}, int64_t{-1}, INT64_MAX}) {
        const auto value = std::to_string(count);
        check_refused(ra_model_create(count, model.out()), RA_ERROR_ARGUMENT,
                      {"ra_model_create", "num_layers", value.c_str()});
    }
    check_refused(ra_model_create(1, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_model_create", "out", "null"});
}

TEST_CASE("a cache keeps the model as it was: later settings do not reach it") {
    Fixture fixture;
    auto options = options_of(LayerSpec{});
    options.head_dim_k = 64;
    ok(ra_model_set_layers(fixture.model, 0, 1, &options));
    Input input({fixture.sequence});
    AttendArrays arrays;
    ok(ra_batch_begin(fixture.batch, &input.fields, nullptr));
    ok(ra_batch_attend(fixture.batch, 0, &arrays.args, nullptr));
    ok(ra_batch_commit(fixture.batch, nullptr, 0, nullptr, 0, nullptr));
}

}  // namespace relayattn::test
