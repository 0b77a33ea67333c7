// Backend::merge against float64.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/step.h"
#include "support/dtype.h"

using namespace relayattn;
using namespace relayattn::test;

namespace {

constexpr double k_infinity = std::numeric_limits<double>::infinity();

struct States {
    int64_t tokens, heads, dim;
    bool base2;
    std::vector<float> a, b, a_lse, b_lse;
};

States draw_states(Random& random, Dtype dtype) {
    States s{random.integer(1, 40),
             random.integer(1, 5),
             random.integer(1, 600),
             random.chance(50),
             {},
             {},
             {},
             {}};
    const int64_t rows = s.tokens * s.heads;
    s.a = random.normals(rows * s.dim);
    s.b = random.normals(rows * s.dim);
    for (float& value : s.a)
        value = rounded(value, static_cast<int32_t>(dtype));
    for (float& value : s.b)
        value = rounded(value, static_cast<int32_t>(dtype));
    for (int64_t i = 0; i < rows; ++i) {
        s.a_lse.push_back(20 * random.normal());
        s.b_lse.push_back(s.a_lse.back() + 3 * random.normal());
    }
    return s;
}

// Row i's part is empty: its LSE is infinite and its values are NaN.
void empty_row(const States& s, std::vector<float>& values, std::vector<float>& lse, int64_t i,
               float infinity) {
    lse[static_cast<size_t>(i)] = infinity;
    std::fill_n(values.begin() + i * s.dim, s.dim, NAN);
}

void merge_exactly(const States& s, std::vector<double>& out, std::vector<double>& lse) {
    for (size_t i = 0; i < s.a_lse.size(); ++i) {
        const double unit = s.base2 ? std::log(2.0) : 1;
        const bool has_a = std::isfinite(s.a_lse[i]), has_b = std::isfinite(s.b_lse[i]);
        const double a = has_a ? unit * static_cast<double>(s.a_lse[i]) : -k_infinity;
        const double b = has_b ? unit * static_cast<double>(s.b_lse[i]) : -k_infinity;
        const double top = std::max(a, b);
        const double sum = has_a || has_b ? std::exp(a - top) + std::exp(b - top) : 0;
        lse.push_back(sum > 0 ? (top + std::log(sum)) / unit : -k_infinity);
        for (int64_t d = 0; d < s.dim; ++d) {
            const size_t at = i * static_cast<size_t>(s.dim) + static_cast<size_t>(d);
            double value = 0;
            value += has_a ? std::exp(a - top) / sum * static_cast<double>(s.a[at]) : 0;
            value += has_b ? std::exp(b - top) / sum * static_cast<double>(s.b[at]) : 0;
            out.push_back(value);
        }
    }
}

}  // namespace

TEST_CASE("merged states match float64 in every dtype, empty parts included") {
    Random random(77);
    for (const char* isa : {"scalar", "avx2", "avx512", "avx512_bf16", "amx", "neon"}) {
        const auto backend = backend_on(isa, 2);
        for (int round = 0; backend != nullptr && round < 40; ++round) {
            CAPTURE(isa);
            CAPTURE(round);
            const Dtype in = random.pick({Dtype::f32, Dtype::f16, Dtype::bf16});
            const Dtype out_dtype = random.pick({Dtype::f32, Dtype::f16, Dtype::bf16});
            States s = draw_states(random, in);
            const int64_t rows = s.tokens * s.heads;
            if (round % 2 == 0) {
                empty_row(s, s.a, s.a_lse, 0, -INFINITY);
                empty_row(s, s.b, s.b_lse, rows - 1, INFINITY);
            }
            if (round % 4 == 0 && rows > 2) {
                empty_row(s, s.a, s.a_lse, 1, INFINITY);
            }
            if (round % 8 == 0) {
                empty_row(s, s.b, s.b_lse, 0, -INFINITY);
            }
            std::vector<double> want, want_lse;
            merge_exactly(s, want, want_lse);

            const int64_t count = rows * s.dim;
            std::vector<uint8_t> a(static_cast<size_t>(4 * count)), b(a), out(a);
            encode(s.a.data(), count, static_cast<int32_t>(in), a.data());
            encode(s.b.data(), count, static_cast<int32_t>(in), b.data());
            const auto view = [&](std::vector<uint8_t>& bytes, Dtype dtype) {
                const int64_t head = s.dim * relayattn::size_of(dtype);
                return View{bytes.data(), s.heads * head, head};
            };
            const bool in_place = in == out_dtype && round % 3 == 0;
            std::vector<float> lse(static_cast<size_t>(rows));
            MergeCall call;
            call.num_tokens = s.tokens;
            call.num_heads = s.heads;
            call.head_dim = s.dim;
            call.in_dtype = in;
            call.out_dtype = out_dtype;
            call.base2 = s.base2;
            call.a = view(a, in);
            call.b = view(b, in);
            call.out = in_place ? call.a : view(out, out_dtype);
            call.a_lse = s.a_lse.data();
            call.b_lse = s.b_lse.data();
            call.out_lse = lse.data();
            call.lse_token_stride = s.heads;
            call.lse_head_stride = 1;
            REQUIRE(static_cast<bool>(backend->merge(call, nullptr)));

            std::vector<float> got(static_cast<size_t>(count));
            decode(call.out.data, count, static_cast<int32_t>(out_dtype), got.data());
            const double limit = 1e-6 + 1.1 * half_ulp(static_cast<int32_t>(out_dtype));
            CHECK(relative_error(got, want) < limit);
            CHECK(largest_error(lse, want_lse) < 1e-5);
        }
    }
}

TEST_CASE("results are rounded to nearest even, and what is not finite stays so") {
    std::vector<float> values{0.0f,         -0.0f,     INFINITY,  -INFINITY, NAN,        65519.9f,
                              65520.0f,     -70000.0f, 0x1p-24f,  0x1p-25f,  0x1.8p-24f, 0x1.8p-25f,
                              0x1.ffcp-15f, 3.4e38f,   0x1p-130f, -NAN};
    Random random(3);
    for (int i = 0; i < 1000; ++i) {  // ties of both types, and their neighbours
        const float exact = rounded(random.normal(), static_cast<int32_t>(Dtype::bf16));
        for (const float tie : {exact * (1 + 0x1p-8f), exact * (1 + 0x1p-11f)}) {
            values.insert(values.end(),
                          {tie, std::nextafter(tie, 9.0f), std::nextafter(tie, -9.0f)});
        }
    }
    const auto count = static_cast<int64_t>(values.size());
    const float whole[1] = {0}, empty[1] = {-INFINITY};
    for (const char* isa : {"scalar", "avx2", "avx512", "avx512_bf16", "amx", "neon"}) {
        const auto backend = backend_on(isa, 1);
        for (const Dtype dtype : {Dtype::f16, Dtype::bf16}) {
            if (backend == nullptr) {
                continue;
            }
            std::vector<uint16_t> out(values.size()), want(values.size());
            MergeCall call;
            call.num_tokens = call.num_heads = 1;
            call.head_dim = count;
            call.out_dtype = dtype;
            call.a = call.b = {values.data(), 4 * count, 4 * count};
            call.out = {out.data(), 2 * count, 2 * count};
            call.a_lse = whole;
            call.b_lse = empty;
            REQUIRE(static_cast<bool>(backend->merge(call, nullptr)));
            encode(values.data(), count, static_cast<int32_t>(dtype), want.data());
            for (size_t i = 0; i < values.size(); ++i) {
                CAPTURE(values[i]);
                if (std::isnan(values[i])) {
                    float back = 0;
                    decode(&out[i], 1, static_cast<int32_t>(dtype), &back);
                    CHECK(std::isnan(back));
                } else {
                    CHECK(out[i] == want[i]);
                }
            }
        }
    }
}

TEST_CASE("a merge without an LSE to write leaves none") {
    const auto backend = backend_on("scalar", 1);
    float a[8] = {1, 2, 3, 4, 5, 6, 7, 8}, b[8] = {}, out[8] = {};
    const float lse[1] = {0};
    MergeCall call;
    call.num_tokens = call.num_heads = 1;
    call.head_dim = 8;
    call.a = {a, 32, 32};
    call.b = {b, 32, 32};
    call.out = {out, 32, 32};
    call.a_lse = call.b_lse = lse;
    REQUIRE(static_cast<bool>(backend->merge(call, nullptr)));
    for (int i = 0; i < 8; ++i) {
        CHECK(out[i] == a[i] / 2);
    }
}
