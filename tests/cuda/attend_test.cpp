// Every kind of legal attend on the GPU against float64.

#include <doctest/doctest.h>

#include <cstdlib>

#include "checks.h"
#include "gpu.h"

namespace relayattn::test {
namespace {

void check_problem(Backend& backend, ProblemOptions options, Random& random, bool strided = false) {
    options.set_limits(backend);
    const std::string text = describe(options);
    CAPTURE(text);
    CAPTURE(strided);
    const std::vector<Problem> problems = {make_problem(options, random)};
    Rig rig(backend, gpu_memory(), problems, false, strided);
    rig.load(problems[0]);
    must(rig.attend());
    check_output(problems[0], rig.output());
}

struct Heads {
    int64_t q, kv;
};

// RELAYATTN_CUDA_TRIALS: fewer under a sanitizer.
int num_trials() {
    const char* text = std::getenv("RELAYATTN_CUDA_TRIALS");
    return text != nullptr ? std::atoi(text) : 120;
}

const std::vector<Dtype> dtypes = {Dtype::f32, Dtype::f16, Dtype::bf16};

}  // namespace

TEST_CASE("every mix of query, KV and output dtype is right") {
    const auto backend = make_gpu();
    Random random(1);
    for (const Dtype q : dtypes)
        for (const Dtype kv : dtypes)
            for (const Dtype out : dtypes) {
                ProblemOptions options;
                options.layer = layer_of(8, 2, 64, 64, q, kv, out);
                check_problem(*backend, options, random);
            }
}

TEST_CASE("every head dim is right, and values may be wider or narrower than keys") {
    const auto backend = make_gpu();
    Random random(2);
    for (int64_t dim = 32; dim <= 256; dim += 8) {
        ProblemOptions options;
        const Dtype dtype = dtypes[static_cast<size_t>(dim / 8 % 3)];
        options.layer = layer_of(4, 2, dim, dim, dtype, dtype, dtype);
        check_problem(*backend, options, random);
        options.layer = layer_of(4, 2, dim, 288 - dim, dtype, dtype, dtype);
        check_problem(*backend, options, random);
    }
}

TEST_CASE("every ratio of heads and page size is right") {
    const auto backend = make_gpu();
    Random random(3);
    for (const Heads heads : {Heads{1, 1}, {4, 4}, {8, 1}, {7, 1}, {14, 2}, {40, 8}, {71, 1}})
        for (const int64_t page_size : {1, 5, 16, 64, 256}) {
            ProblemOptions options;
            options.layer =
                layer_of(heads.q, heads.kv, 64, 64, Dtype::bf16, Dtype::bf16, Dtype::bf16);
            options.page_size = page_size;
            check_problem(*backend, options, random);
        }
}

TEST_CASE("windows, sinks, ALiBi, soft-cap, trees and odd rows are right, alone and mixed") {
    const auto backend = make_gpu();
    Random random(4);
    for (int trial = 0; trial < num_trials(); ++trial) {
        ProblemOptions options;
        const Dtype dtype = random.pick({Dtype::f32, Dtype::f16, Dtype::bf16});
        const int64_t dim = random.pick({64, 96, 128, 256, 80});
        options.layer = layer_of(8, 2, dim, dim, dtype, dtype, dtype);
        options.page_size = random.pick({8, 16, 64});
        options.layer.window.kind =
            random.pick({WindowKind::none, WindowKind::sliding, WindowKind::chunked});
        options.layer.window.size = random.integer(1, 150);
        options.layer.uses_sinks = random.chance(40);
        options.layer.uses_alibi = random.chance(40);
        options.layer.logit_softcap = random.chance(40) ? 5.0f : 0.0f;
        options.tree = random.chance(40);
        options.odd_rows = !options.tree && random.chance(50);
        options.max_q_len = random.integer(1, 20);
        options.num_sequences = random.integer(1, 12);
        options.padded_tokens = random.pick({0, 1, 7});
        options.append = !options.odd_rows || random.chance(70);
        check_problem(*backend, options, random, random.chance(30));
    }
}

TEST_CASE("long items and many partials are right") {
    const auto backend = make_gpu();
    Random random(5);
    for (const Dtype dtype : dtypes) {
        ProblemOptions options;
        options.layer = layer_of(8, 2, 128, 128, dtype, dtype, dtype);
        options.page_size = 64;
        options.num_sequences = 24;
        options.max_prefix = 3000;
        options.max_tail = 700;
        options.max_item_tokens = 4000;
        check_problem(*backend, options, random);
        options.max_item_tokens = 40;
        check_problem(*backend, options, random);
    }
}

TEST_CASE("an attend that asks for nothing appends all the same") {
    const auto backend = make_gpu();
    Random random(7);
    ProblemOptions options;
    options.layer = layer_of(8, 2, 128, 128, Dtype::bf16, Dtype::bf16, Dtype::bf16);
    const std::vector<Problem> problems = {make_problem(options, random)};
    Rig rig(*backend, gpu_memory(), problems, false);
    rig.load(problems[0]);
    AttendCall append = rig.call(), ask = rig.call();
    append.q = append.out = {};
    append.lse = nullptr;
    ask.k = ask.v = {};
    must(rig.plan().attend(append, nullptr));
    must(rig.plan().attend(ask, nullptr));
    check_output(problems[0], rig.output());
}

TEST_CASE("a step without tokens writes padded rows only") {
    const auto backend = make_gpu();
    Random random(6);
    ProblemOptions options;
    options.layer = layer_of(4, 2, 64, 64, Dtype::bf16, Dtype::bf16, Dtype::bf16);
    options.num_nodes = 0;
    options.num_sequences = 2;
    options.max_q_len = 0;
    options.padded_tokens = 3;
    check_problem(*backend, options, random);
}

}  // namespace relayattn::test
