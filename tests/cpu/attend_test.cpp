// Attention of every instruction set against float64, over steps drawn at random.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "cpu/step.h"

using namespace relayattn;
using namespace relayattn::test;

namespace {

constexpr const char* k_sets[] = {"scalar", "avx2", "avx512", "avx512_bf16", "amx", "neon"};

// Products of pairs round probabilities to bf16, where all else is bf16, too.
bool rounds_pairs(const Backend& backend, const StepOptions& o) {
    constexpr int64_t avx512_bf16 = 3, amx = 4;
    const int64_t isa = backend.info().isa;
    return (isa == avx512_bf16 || isa == amx) && o.kv.dtype == Dtype::bf16 &&
           o.q_dtype == Dtype::bf16 && o.out_dtype == Dtype::bf16;
}

double limit_of(const Backend& backend, const StepOptions& o) {
    if (rounds_pairs(backend, o)) {
        return 2.3e-3;
    }
    return o.out_dtype == Dtype::f32   ? 1e-6
           : o.out_dtype == Dtype::f16 ? 2.1e-4 * 1.1
                                       : 1.7e-3 * 1.1;
}

void check_step(Backend& backend, const StepOptions& options, uint64_t seed, int64_t workers = 0) {
    const Step step(options, seed);
    const StepResult got = step.run(backend, workers);
    const Step::Exact want = step.exact();
    // Few values round worse than many do on average.
    const double few = want.out.size() < 4000 ? 1.3 : 1;
    CHECK(relative_error(got.out, want.out) < few * limit_of(backend, options));
    if (options.lse) {
        CHECK(largest_error(got.lse, want.lse) < 4e-6);
    }
}

Dtype draw_dtype(Random& random) {
    return random.pick({Dtype::f32, Dtype::f16, Dtype::bf16});
}

StepOptions draw_step(Random& random) {
    StepOptions o;
    const int64_t kv_heads = random.integer(1, 3);
    o.kv = {kv_heads, 8 * random.integer(4, 32), 8 * random.integer(4, 32), draw_dtype(random)};
    o.num_q_heads = kv_heads * random.integer(1, 9);
    o.q_dtype = draw_dtype(random);
    o.out_dtype = draw_dtype(random);
    o.page_size = random.pick<int64_t>({1, 3, 7, 8, 16, 16, 32, 33, 64, 64, 64, 128, 300});
    o.prefix = random.pick<int64_t>({0, 1, 40, 257, random.integer(2, 700)});
    const int64_t sequences = random.integer(1, 7);
    const bool decode = random.chance(50);
    for (int64_t s = 0; s < sequences; ++s) {
        o.tails.push_back(random.integer(0, random.pick<int64_t>({3, 90})));
        o.q_lens.push_back(decode ? 1 : random.integer(0, 12));
    }
    o.q_lens[0] += o.q_lens[0] == 0;
    o.padded = random.pick<int64_t>({0, 0, 3});
    o.relay = random.chance(60);
    o.chunk = random.pick<int64_t>({1000, 64, 129, 5});
    o.tokens_per_item = random.integer(1, 30);
    o.window = random.pick<int64_t>({0, 0, 1, 50});
    o.blind = random.chance(15);
    o.tree = random.chance(20);
    o.sinks = random.chance(25);
    o.alibi = random.chance(25);
    // Head 0's results are as good as 0 then: others have to be there to be compared.
    o.first_sink = random.pick({0.0f, -200.0f, o.num_q_heads > 1 ? 200.0f : 0.0f});
    o.lse = random.chance(80);
    o.softcap = random.pick({0.0f, 0.0f, 0.0f, 300.0f, 30.0f, 1.5f});
    o.scale = 1 / std::sqrt(static_cast<float>(o.kv.head_dim_k));
    return o;
}

// One decode step over 64-token chunks, and the same sequences one at a time.
StepOptions plain_step(Dtype dtype, std::vector<int64_t> tails) {
    StepOptions o;
    o.kv = {2, 128, 128, dtype};
    o.q_dtype = o.out_dtype = dtype;
    o.num_q_heads = 8;
    o.page_size = 64;
    o.prefix = 400;
    o.q_lens.assign(tails.size(), 1);
    o.tails = std::move(tails);
    return o;
}

}  // namespace

TEST_CASE("random steps match float64 on every instruction set") {
    for (const char* isa : k_sets) {
        const auto backend = backend_on(isa, 2);
        if (backend == nullptr) {
            MESSAGE("not on this machine: " << std::string(isa));
            continue;
        }
        for (uint64_t seed = 1; seed <= 120; ++seed) {
            CAPTURE(isa);
            CAPTURE(seed);
            Random random(seed);
            const StepOptions options = draw_step(random);
            check_step(*backend, options, seed, random.chance(25) ? random.integer(1, 4) : 0);
        }
    }
}

TEST_CASE("many rows in one item are taken in turns") {
    StepOptions options = plain_step(Dtype::bf16, std::vector<int64_t>(70, 3));
    options.num_q_heads = 16;
    options.tokens_per_item = 70;  // 560 rows of one KV head
    for (const char* isa : k_sets) {
        if (const auto backend = backend_on(isa, 2)) {
            check_step(*backend, options, 5);
        }
    }
}

// Long ones that L2 could not hold, short ones of which many belong to a step, and an empty one.
TEST_CASE("tails are attended between the steps of a unit of many rows") {
    std::vector<int64_t> tails{3000, 900};
    for (int64_t i = 0; i < 40; ++i) {
        tails.push_back(i * 37 % 150);
    }
    for (const char* isa : k_sets) {
        const auto backend = backend_on(isa, 2);
        if (backend == nullptr) {
            continue;
        }
        for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
            for (const int64_t page_size : {16, 128}) {
                CAPTURE(isa);
                CAPTURE(page_size);
                StepOptions options = plain_step(dtype, tails);
                options.page_size = page_size;
                options.chunk = 1000;
                options.tokens_per_item = 42;
                options.scale = 1 / std::sqrt(128.0f);
                check_step(*backend, options, 17);
                check_step(*backend, options, 18, 3);
            }
        }
    }
}

TEST_CASE("products of pairs keep what rounding takes from large probabilities") {
    StepOptions options = plain_step(Dtype::bf16, std::vector<int64_t>(40, 20));
    options.scale = 1 / std::sqrt(128.0f);
    const Step step(options, 9);
    const Step::Exact want = step.exact();
    for (const char* isa : {"avx512_bf16", "amx"}) {
        if (const auto backend = backend_on(isa, 2)) {
            // 1.87e-3; without the rests 2.06e-3
            CHECK(relative_error(step.run(*backend).out, want.out) < 1.95e-3);
        }
    }
}

TEST_CASE("large scores neither overflow nor lose the largest") {
    StepOptions options = plain_step(Dtype::f32, {7, 9});
    options.scale = 20;
    const auto backend = backend_on("scalar", 1);
    const Step step(options, 3);
    const StepResult got = step.run(*backend);
    for (const float value : got.out) {
        CHECK(std::isfinite(value));
    }
    for (const char* isa : k_sets) {
        if (const auto other = backend_on(isa, 2)) {
            const StepResult same = step.run(*other);
            const std::vector<double> want(got.out.begin(), got.out.end());
            CHECK(relative_error(same.out, want) < 1e-4);
        }
    }
}

TEST_CASE("results do not depend on threads or on who draws what") {
    for (const char* isa : k_sets) {
        const auto one = backend_on(isa, 1);
        if (one == nullptr) {
            continue;
        }
        const auto two = backend_on(isa, 2);
        const Step step(plain_step(Dtype::bf16, {5, 70, 31, 0, 200, 64, 17}), 11);
        const StepResult alone = step.run(*one);
        for (int repeat = 0; repeat < 10; ++repeat) {
            const StepResult again = step.run(*two, repeat % 2 == 0 ? 0 : 3);
            CHECK(alone.out == again.out);
            CHECK(alone.lse == again.lse);
        }
    }
}

TEST_CASE("a row does not depend on the rows beside it when chunks lie by position") {
    for (const char* isa : k_sets) {
        const auto backend = backend_on(isa, 2);
        if (backend == nullptr) {
            continue;
        }
        for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
            // The tokens of one item, cut into items of 1, 3, 5 and all tokens: tiles of every
            // height.
            StepOptions options = plain_step(dtype, {5, 70, 31, 1, 200, 64, 17});
            options.tokens_per_item = 7;
            const StepResult together = Step(options, 21).run(*backend);
            for (const int64_t tokens : {1, 3, 5}) {
                options.tokens_per_item = tokens;
                const StepResult apart = Step(options, 21).run(*backend);
                CHECK(together.out == apart.out);
                CHECK(together.lse == apart.lse);
            }
        }
    }
}
