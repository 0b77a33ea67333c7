// ra_merge_state: two parts of one softmax, joined.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "compare.h"
#include "dtype.h"
#include "fixture.h"
#include "random.h"
#include "reference.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

constexpr int64_t tokens = 5, heads = 3;

// Two parts with one entry of each kind of emptiness, and what they merge to.
struct Parts {
    Parts(int64_t head_dim, int32_t in, int32_t out_type, bool base2, Layout layout,
          uint64_t seed = 1)
        : dim(head_dim),
          a({tokens, heads, head_dim, in}, layout),
          b({tokens, heads, head_dim, in}, layout),
          out({tokens, heads, head_dim, out_type}, layout),
          a_lse(tokens, heads, layout),
          b_lse(tokens, heads, layout),
          out_lse(tokens, heads, layout) {
        Random random(seed);
        for (auto* values : {&a_values, &b_values}) {
            *values = random.normals(tokens * heads * dim);
            for (float& value : *values)
                value = rounded(value, in);
        }
        for (auto* lse : {&a_lses, &b_lses})
            for (int64_t i = 0; i < tokens * heads; ++i)
                lse->push_back(3 * random.normal());
        a_lses[1] = b_lses[2] = a_lses[3] = b_lses[3] = -INFINITY;
        a_lses[4] = b_lses[5] = a_lses[6] = b_lses[6] = INFINITY;  // some engines mark empty so
        a_lses[7] = INFINITY;
        b_lses[7] = -INFINITY;
        forget_empty_parts(dim);
        make_args(in, out_type, base2);
    }

    // An empty part's values are whatever was there.
    void forget_empty_parts(int64_t width) {
        for (size_t i = 0; i < a_lses.size(); ++i)
            for (size_t d = 0; d < static_cast<size_t>(width); ++d) {
                if (std::isinf(a_lses[i]))
                    a_values[i * static_cast<size_t>(width) + d] = NAN;
                if (std::isinf(b_lses[i]))
                    b_values[i * static_cast<size_t>(width) + d] = NAN;
            }
    }

    void make_args(int32_t in, int32_t out_type, bool base2) {
        a.write(a_values);
        b.write(b_values);
        a_lse.write(a_lses);
        b_lse.write(b_lses);
        args.num_tokens = tokens;
        args.num_heads = heads;
        args.head_dim = dim;
        args.in_dtype = in;
        args.out_dtype = out_type;
        args.lse_base2 = base2 ? 1 : 0;
        args.a = a.view();
        args.b = b.view();
        args.out = out.view();
        args.a_lse = a_lse.data();
        args.b_lse = b_lse.data();
        args.out_lse = out_lse.data();
        args.lse_token_stride = a_lse.token_stride();
        args.lse_head_stride = a_lse.head_stride();
    }

    std::vector<double> want_out, want_lse;
    void compute() {
        const double unit = args.lse_base2 != 0 ? std::log(2.0) : 1;
        const auto width = static_cast<size_t>(dim);
        for (size_t i = 0; i < a_lses.size(); ++i) {
            const auto part = [&](const std::vector<float>& values, float lse) {
                return PartialState{{values.begin() + static_cast<std::ptrdiff_t>(i * width),
                                     values.begin() + static_cast<std::ptrdiff_t>((i + 1) * width)},
                                    lse * unit};
            };
            const auto whole = merge(part(a_values, a_lses[i]), part(b_values, b_lses[i]));
            want_out.insert(want_out.end(), whole.out.begin(), whole.out.end());
            want_lse.push_back(whole.lse / unit);
        }
    }

    int64_t dim;
    StridedArray a, b, out;
    LseArray a_lse, b_lse, out_lse;
    std::vector<float> a_values, b_values, a_lses, b_lses;
    ra_merge_args args = merge_args();
};

void check_merge(Parts& parts, const StridedArray& out) {
    parts.compute();
    CHECK(compare_outputs(out.read(), parts.want_out, out.shape().dtype, {}).text == "");
    CHECK(compare_lse(parts.out_lse.read(), parts.want_lse).text == "");
    CHECK(out.gaps_are_untouched());
    CHECK(parts.out_lse.gaps_are_untouched());
}

void refused(const std::function<void(ra_merge_args&)>& change,
             std::initializer_list<const char*> words, ra_status status = RA_ERROR_ARGUMENT) {
    const auto context = make_context();
    Parts parts(64, RA_F32, RA_F32, false, Layout::dense);
    change(parts.args);
    check_refused(ra_merge_state(context, &parts.args, nullptr), status, words);
    CHECK(last_error().find("ra_merge_state") != std::string::npos);
}

}  // namespace

TEST_CASE("parts merge in every dtype, base and layout") {
    const auto context = make_context();
    for (int32_t in : {RA_F32, RA_F16, RA_BF16})
        for (int32_t out : {RA_F32, RA_F16, RA_BF16})
            for (bool base2 : {false, true})
                for (Layout layout : {Layout::dense, Layout::padded, Layout::heads_first}) {
                    CAPTURE(in);
                    CAPTURE(out);
                    CAPTURE(base2);
                    Parts parts(64, in, out, base2, layout);
                    ok(ra_merge_state(context, &parts.args, nullptr));
                    check_merge(parts, parts.out);
                }
}

TEST_CASE("parts merge at any head dimension") {
    const auto context = make_context();
    for (int64_t dim : {8, 32, 40, 72, 128, 248, 256}) {
        CAPTURE(dim);
        Parts parts(dim, RA_F32, RA_F32, false, Layout::padded);
        ok(ra_merge_state(context, &parts.args, nullptr));
        check_merge(parts, parts.out);
    }
}

TEST_CASE("the result may take the place of the first part, its log-sum-exp too") {
    const auto context = make_context();
    for (int32_t dtype : {RA_F32, RA_F16, RA_BF16}) {
        Parts parts(64, dtype, dtype, false, Layout::dense);
        parts.args.out = parts.args.a;
        ok(ra_merge_state(context, &parts.args, nullptr));
        check_merge(parts, parts.a);
        Parts both(64, dtype, dtype, false, Layout::dense);
        both.args.out = both.args.a;
        both.args.out_lse = both.a_lse.data();
        ok(ra_merge_state(context, &both.args, nullptr));
        both.compute();
        CHECK(compare_outputs(both.a.read(), both.want_out, dtype, {}).text == "");
        CHECK(compare_lse(both.a_lse.read(), both.want_lse).text == "");
    }
}

TEST_CASE("the merged log-sum-exp may be left out, and no tokens are no work") {
    const auto context = make_context();
    Parts parts(64, RA_F32, RA_F32, false, Layout::dense);
    parts.args.out_lse = nullptr;
    ok(ra_merge_state(context, &parts.args, nullptr));
    parts.compute();
    CHECK(compare_outputs(parts.out.read(), parts.want_out, RA_F32, {}).text == "");
    Parts untouched(64, RA_F32, RA_F32, false, Layout::dense);
    untouched.args.num_tokens = 0;
    ok(ra_merge_state(context, &untouched.args, nullptr));
    for (float value : untouched.out.read())
        CHECK(std::isnan(value));
}

TEST_CASE("bad merges are refused by name and value") {
    refused([](auto& a) { a.num_tokens = -1; }, {"num_tokens", "-1"});
    refused([](auto& a) { a.num_heads = 0; }, {"num_heads", "0"});
    refused([](auto& a) { a.num_heads = -2; }, {"num_heads", "-2"});
    refused([](auto& a) { a.head_dim = 0; }, {"head_dim", "0"});
    refused([](auto& a) { a.head_dim = -8; }, {"head_dim", "-8"});
    refused([](auto& a) { a.in_dtype = 0; }, {"in_dtype", "0"});
    refused([](auto& a) { a.out_dtype = 12; }, {"out_dtype", "12"});
    refused([](auto& a) { a.in_dtype = RA_I8; }, {"in_dtype"}, RA_ERROR_UNSUPPORTED);
    refused([](auto& a) { a.lse_base2 = 2; }, {"lse_base2", "2"});
    refused([](auto& a) { a.reserved = 1; }, {"reserved", "1"});
    refused([](auto& a) { a.a.data = nullptr; }, {"a", "null"});
    refused([](auto& a) { a.b.data = nullptr; }, {"b", "null"});
    refused([](auto& a) { a.out.data = nullptr; }, {"out", "null"});
    refused([](auto& a) { a.a_lse = nullptr; }, {"a_lse", "null"});
    refused([](auto& a) { a.b_lse = nullptr; }, {"b_lse", "null"});
    refused([](auto& a) { a.struct_size = 8; }, {"struct_size", "8"});
}

}  // namespace relayattn::test
