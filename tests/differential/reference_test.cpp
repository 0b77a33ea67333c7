// The reference itself, against cases small enough to do by hand.
#include "reference.h"

#include <doctest/doctest.h>

#include <cmath>

#include "compare.h"
#include "dtype.h"

namespace relayattn::test {
namespace {

// One head of dimension 1 in each part; K and V as given.
ReferenceRow row_of(const std::vector<float>& keys, const std::vector<float>& values,
                    int64_t length) {
    ReferenceRow row;
    for (size_t i = 0; i < keys.size(); ++i) {
        Token token;
        token.k = {{keys[i]}};
        token.v = {{values[i]}};
        row.chain.push_back(std::make_shared<Token>(token));
    }
    row.length = length;
    row.q_len = static_cast<int64_t>(keys.size()) - length;
    return row;
}

ReferenceCall call_of(const std::vector<float>& q) {
    ReferenceCall call;
    call.layer.q_heads = call.layer.kv_heads = 1;
    call.layer.dim_k = call.layer.dim_v = 1;
    call.q = q;
    return call;
}

std::string visible_keys(const LayerSpec& layer, const ReferenceRow& row, int64_t query) {
    std::string keys;
    for (int64_t key = 0; key < row.length + row.q_len; ++key)
        keys += is_visible(layer, row, query, key) ? 'x' : '.';
    return keys;
}

}  // namespace

TEST_CASE("two keys are weighed by the softmax of their scores") {
    const auto result = attend(call_of({1}), {row_of({0, std::log(3.0F)}, {10, 20}, 1)});
    CHECK(result.out[0] == doctest::Approx(0.25 * 10 + 0.75 * 20));
    CHECK(result.lse[0] == doctest::Approx(std::log(4.0)));
}

TEST_CASE("a sink takes weight and gives nothing") {
    auto call = call_of({1});
    call.layer.sinks = true;
    call.sinks = {std::log(4.0F)};
    const auto result = attend(call, {row_of({0, std::log(3.0F)}, {10, 20}, 1)});
    CHECK(result.out[0] == doctest::Approx((10.0 + 3 * 20) / 8));
    CHECK(result.lse[0] == doctest::Approx(std::log(8.0)));
}

TEST_CASE("soft-cap, then ALiBi by distance") {
    auto call = call_of({1});
    call.layer.softcap = 2;
    call.layer.alibi = true;
    call.slopes = {0.5F};
    const auto result = attend(call, {row_of({4, 0}, {1, 0}, 1)});
    const double first = std::exp(2 * std::tanh(2.0) - 0.5);
    CHECK(result.out[0] == doctest::Approx(first / (first + 1)));
}

TEST_CASE("a row without visible keys is zero and -inf") {
    auto row = row_of({1}, {1}, 0);
    row.flags = RA_ROW_NEW_ABSENT;
    const auto result = attend(call_of({1}), {row});
    CHECK(result.out[0] == 0);
    CHECK(result.lse[0] == -INFINITY);
}

TEST_CASE("visibility follows the header") {
    LayerSpec layer;
    auto row = row_of({0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, 2);
    CHECK(visible_keys(layer, row, 0) == "xxx..");
    CHECK(visible_keys(layer, row, 2) == "xxxxx");
    row.spans = {{0, 2}};
    CHECK(visible_keys(layer, row, 0) == "xxxx.");
    CHECK(visible_keys(layer, row, 2) == "xxxxx");
    row.spans.clear();
    row.flags = RA_ROW_NONCAUSAL;
    CHECK(visible_keys(layer, row, 0) == "xxxxx");
    row.flags = RA_ROW_NEW_ABSENT;
    CHECK(visible_keys(layer, row, 1) == "xx...");
    row.flags = 0;
    row.has_tree = true;
    row.tree = {{true, false, false}, {true, true, false}, {true, false, true}};
    CHECK(visible_keys(layer, row, 2) == "xxx.x");
    row.has_tree = false;
    layer.window_kind = RA_WINDOW_SLIDING;
    layer.window = 2;
    CHECK(visible_keys(layer, row, 0) == ".xx..");
    layer.window_kind = RA_WINDOW_CHUNKED;
    layer.window = 3;
    CHECK(visible_keys(layer, row, 0) == "xxx..");
    CHECK(visible_keys(layer, row, 1) == "...x.");
    row.flags = RA_ROW_NONCAUSAL;
    CHECK(visible_keys(layer, row, 0) == "xxx..");
}

TEST_CASE("values round to the nearest, ties to even") {
    CHECK(rounded(1.0F + 0x1p-8F, RA_BF16) == 1.0F);
    CHECK(rounded(1.0F + 3 * 0x1p-8F, RA_BF16) == 1.0F + 0x1p-6F);
    CHECK(rounded(1.0F + 0x1p-11F, RA_F16) == 1.0F);
    CHECK(rounded(1.0F + 3 * 0x1p-11F, RA_F16) == 1.0F + 0x1p-9F);
    CHECK(rounded(3 * 0x1p-26F, RA_F16) == 0x1p-24F);
    CHECK(rounded(65520.0F, RA_F16) == INFINITY);
    CHECK(rounded(65519.0F, RA_F16) == 65504.0F);
    for (int32_t dtype : {RA_F16, RA_BF16})
        for (int bits = 0; bits < 0x7c00; ++bits) {
            const auto stored = static_cast<uint16_t>(bits);
            float value = 0;
            decode(&stored, 1, dtype, &value);
            uint16_t again = 0;
            encode(&value, 1, dtype, &again);
            REQUIRE(again == stored);
        }
}

TEST_CASE("the comparison sees a wrong element, a wrong mask and a small scale") {
    const std::vector<double> want = {1, -2, 0.5, 3};
    CHECK(compare_outputs({1, -2, 0.5F, 3}, want, RA_F32, {}).text.empty());
    CHECK_FALSE(compare_outputs({1, -2, 0.5F, 3.00002F}, want, RA_F32, {}).text.empty());
    CHECK_FALSE(compare_outputs({1, -2, 0.5F, NAN}, want, RA_F32, {}).text.empty());
    CHECK_FALSE(compare_outputs({1, -2, 0.5F, INFINITY}, want, RA_F32, {}).text.empty());
    CHECK_FALSE(compare_outputs({1, -2, 0.5F}, want, RA_F32, {}).text.empty());
    CHECK_FALSE(compare_outputs({1e-9F}, {0}, RA_BF16, {}).text.empty());
    const std::vector<double> third = {1.0 / 3};
    CHECK(compare_outputs({rounded(1.0F / 3, RA_BF16)}, third, RA_BF16, {}).text.empty());
    CHECK_FALSE(compare_outputs({rounded(0.3359F, RA_BF16)}, third, RA_BF16, {}).text.empty());
    CHECK_FALSE(compare_lse({0}, {-INFINITY}).text.empty());
    CHECK_FALSE(compare_lse({1.00002F}, {1}).text.empty());
}

}  // namespace relayattn::test
