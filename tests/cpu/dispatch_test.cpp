// Which instruction set runs: the machine's best, or the one that RELAYATTN_ISA names.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "cpu/step.h"
#include "impl/cpu/dispatch.h"

using namespace relayattn;
using namespace relayattn::cpu;

namespace {

std::string chosen(const char* name, uint32_t features) {
    const auto set = choose_instruction_set(name, features);
    return set ? (*set)->name : "error: " + set.error().text;
}

}  // namespace

#if defined(__x86_64__)

constexpr uint32_t k_avx2_machine = k_feature_avx2 | k_feature_fma | k_feature_f16c;
constexpr uint32_t k_avx512_machine = k_avx2_machine | k_feature_avx512f | k_feature_avx512bw |
                                      k_feature_avx512vl | k_feature_avx512dq;
constexpr uint32_t k_avx512_bf16_machine = k_avx512_machine | k_feature_avx512bf16;

TEST_CASE("the best set whose every feature is there is chosen") {
    CHECK(chosen(nullptr, 0) == "scalar");
    CHECK(chosen("", k_avx2_machine) == "avx2");
    CHECK(chosen(nullptr, k_avx512_machine) == "avx512");
    CHECK(chosen(nullptr, k_avx512_bf16_machine | k_feature_fast_dot) == "avx512_bf16");
    CHECK(chosen(nullptr, k_avx512_machine | k_feature_fast_dot) == "avx512");
    CHECK(chosen(nullptr, k_avx2_machine & ~k_feature_f16c) == "scalar");
    CHECK(chosen(nullptr, k_avx512_machine & ~k_feature_avx512dq) == "avx2");
}

TEST_CASE("a lower set can be asked for, a missing one not") {
    CHECK(chosen("scalar", k_avx512_machine) == "scalar");
    CHECK(chosen("avx2", k_avx512_machine) == "avx2");
    const auto lacking = choose_instruction_set("avx512", k_avx2_machine);
    REQUIRE_FALSE(static_cast<bool>(lacking));
    CHECK(lacking.error().code == Code::unsupported);
    CHECK(lacking.error().text ==
          "RELAYATTN_ISA is \"avx512\", which this machine lacks; it has: avx2, scalar");
}

TEST_CASE("a set that is slow on this machine runs only when it is asked for") {
    CHECK(chosen(nullptr, k_avx512_bf16_machine) == "avx512");
    CHECK(chosen("avx512_bf16", k_avx512_bf16_machine) == "avx512_bf16");
    CHECK(chosen(nullptr, k_avx512_bf16_machine | k_feature_amx) == "amx");
}

TEST_CASE("a set of another architecture is known, and lacking") {
    const auto neon = choose_instruction_set("neon", k_avx2_machine);
    REQUIRE_FALSE(static_cast<bool>(neon));
    CHECK(neon.error().code == Code::unsupported);
}

TEST_CASE("an unknown set is an error that names the choices") {
    const auto unknown = choose_instruction_set("AVX2", k_avx512_machine);
    REQUIRE_FALSE(static_cast<bool>(unknown));
    CHECK(unknown.error().code == Code::argument);
    CHECK(unknown.error().text ==
          "RELAYATTN_ISA is \"AVX2\"; it must be one of: amx, avx512_bf16, avx512, avx2, scalar");
}

#elif defined(__aarch64__)

TEST_CASE("every 64-bit Arm has the same vectors") {
    CHECK(chosen(nullptr, 0) == "neon");
    CHECK(chosen("scalar", 0) == "scalar");
    CHECK(chosen("avx2", 0) ==
          "error: RELAYATTN_ISA is \"avx2\", which this machine lacks; it has: neon, scalar");
}

#endif

TEST_CASE("the backend runs the set that the environment names") {
    constexpr struct {
        const char* name;
        int64_t id;
    } sets[] = {{"scalar", 0},      {"avx2", 1}, {"avx512", 2},
                {"avx512_bf16", 3}, {"amx", 4},  {"neon", 5}};
    for (const auto& set : sets) {
        if (const auto backend = test::backend_on(set.name, 1)) {
            CHECK(backend->info().isa == set.id);
        }
    }
    setenv("RELAYATTN_ISA", "mmx", 1);
    const auto none = create_cpu_backend({1});
    unsetenv("RELAYATTN_ISA");
    REQUIRE_FALSE(static_cast<bool>(none));
    CHECK(none.error().code == Code::argument);
}

TEST_CASE("sets round each product differently, which proves that each one ran") {
    test::StepOptions options;
    options.tails = {30, 11};
    options.q_lens = {1, 1};
    const test::Step step(options, 2);
    const auto scalar = test::backend_on("scalar", 1);
    for (const char* name : {"avx2", "neon"}) {
        if (const auto vectors = test::backend_on(name, 1)) {
            CHECK(scalar->info().isa != vectors->info().isa);
            CHECK(step.run(*scalar).out != step.run(*vectors).out);  // no FMA there
        }
    }
}

TEST_CASE("num_threads is checked, and 0 means the cores allowed") {
    for (const int64_t wrong : {int64_t{-1}, int64_t{1025}}) {
        const auto backend = create_cpu_backend({wrong});
        REQUIRE_FALSE(static_cast<bool>(backend));
        CHECK(backend.error().code == Code::argument);
        CHECK(backend.error().text.find(std::to_string(wrong)) != std::string::npos);
    }
    const auto all = create_cpu_backend({0});
    REQUIRE(static_cast<bool>(all));
    CHECK((*all)->info().num_threads >= 1);
    CHECK((*all)->figures(Layer{}).num_workers == (*all)->info().num_threads);
}
