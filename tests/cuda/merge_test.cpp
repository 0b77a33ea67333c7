// Two attention states into one, on the GPU.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "checks.h"
#include "gpu.h"

namespace relayattn::test {
namespace {

constexpr int64_t tokens = 9, heads = 5, dim = 48, rows = tokens * heads;

struct State {
    std::vector<float> out, lse;
};

State random_state(Dtype dtype, Random& random) {
    State state{random.normals(rows * dim), random.normals(rows)};
    for (float& value : state.out)
        value = rounded(value, static_cast<int32_t>(dtype));
    constexpr float infinity = std::numeric_limits<float>::infinity();
    for (float& value : state.lse)
        if (random.chance(30))
            value = random.chance(50) ? infinity : -infinity;
    // What an empty part holds must not matter.
    for (int64_t row = 0; row < rows; ++row)
        if (std::isinf(state.lse[static_cast<size_t>(row)]))
            state.out[static_cast<size_t>(row * dim)] = std::nanf("");
    return state;
}

Expected merged(const State& a, const State& b, bool base2) {
    const double unit = base2 ? std::log(2.0) : 1.0;
    Expected want{std::vector<double>(static_cast<size_t>(rows * dim), 0.0), {}};
    for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
        double total = 0;
        for (const State* part : {&a, &b}) {
            if (std::isinf(part->lse[row]))
                continue;
            const double weight = std::exp(static_cast<double>(part->lse[row]) * unit);
            total += weight;
            for (size_t d = 0; d < dim; ++d)
                want.out[row * dim + d] += weight * static_cast<double>(part->out[row * dim + d]);
        }
        for (size_t d = 0; d < dim && total > 0; ++d)
            want.out[row * dim + d] /= total;
        want.lse.push_back(total > 0 ? std::log(total) / unit
                                     : -std::numeric_limits<double>::infinity());
    }
    return want;
}

View dense(const Buffer& buffer, Dtype dtype) {
    const int64_t size = relayattn::size_of(dtype);
    return {buffer.data(), heads * dim * size, dim * size};
}

struct Case {
    Dtype in, out;
    bool base2, in_place;
};

void check_case(Backend& backend, const Case& c, Random& random) {
    const State a = random_state(c.in, random), b = random_state(c.in, random);
    Buffer a_out(gpu_memory(), rows * dim * 4), b_out(gpu_memory(), rows * dim * 4);
    Buffer out(gpu_memory(), rows * dim * 4);
    Buffer a_lse(gpu_memory(), rows * 4), b_lse(gpu_memory(), rows * 4),
        lse(gpu_memory(), rows * 4);
    a_out.upload_values(a.out, c.in);
    b_out.upload_values(b.out, c.in);
    a_lse.upload_values(a.lse, Dtype::f32);
    b_lse.upload_values(b.lse, Dtype::f32);
    const Buffer& to = c.in_place ? a_out : out;
    const Buffer& to_lse = c.in_place ? a_lse : lse;
    MergeCall call;
    call.num_tokens = tokens;
    call.num_heads = heads;
    call.head_dim = dim;
    call.in_dtype = c.in;
    call.out_dtype = c.out;
    call.base2 = c.base2;
    call.a = dense(a_out, c.in);
    call.b = dense(b_out, c.in);
    call.out = dense(to, c.out);
    call.a_lse = reinterpret_cast<const float*>(a_lse.data());
    call.b_lse = reinterpret_cast<const float*>(b_lse.data());
    call.out_lse = reinterpret_cast<float*>(to_lse.data());
    call.lse_token_stride = heads;
    call.lse_head_stride = 1;
    must(backend.merge(call, nullptr));
    const Expected want = merged(a, b, c.base2);
    CHECK(compare_outputs(to.download_values(rows * dim, c.out), want.out,
                          static_cast<int32_t>(c.out), {})
              .text == "");
    CHECK(compare_lse(to_lse.download_values(rows, Dtype::f32), want.lse).text == "");
}

}  // namespace

TEST_CASE("merging is right for every dtype and base, in place too; infinities are empty parts") {
    const auto backend = make_gpu();
    Random random(31);
    for (const Dtype in : {Dtype::f32, Dtype::f16, Dtype::bf16})
        for (const Dtype out : {Dtype::f32, Dtype::f16, Dtype::bf16})
            for (const bool base2 : {false, true}) {
                check_case(*backend, {in, out, base2, false}, random);
                if (in == out)
                    check_case(*backend, {in, out, base2, true}, random);
            }
}

}  // namespace relayattn::test
