// Random scenarios against float64: relayattn_differential [--scenarios N] [--seed S]
// [--backend cpu|cuda]; RELAYATTN_ISA chooses the CPU's instruction set. A failure prints the seed
// that repeats it.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "dtype.h"
#include "program.h"
#include "scenario.h"

namespace relayattn::test {
namespace {

// What probabilities may be rounded to; 0 = not at all.
constexpr int32_t roundings[] = {0, RA_F16, RA_BF16};

struct Totals {
    int64_t steps = 0;
    ErrorRecord errors[RA_BF16 + 1][RA_BF16 + 1];
};

bool run_one(uint64_t seed, Totals& totals) {
    std::unique_ptr<Scenario> scenario;
    try {
        scenario = std::make_unique<Scenario>(seed);
        scenario->run();
    } catch (const std::exception& failure) {
        std::printf("seed %llu failed: %s\n%s", static_cast<unsigned long long>(seed),
                    failure.what(), scenario != nullptr ? scenario->story().c_str() : "");
        std::printf("repeat with: --seed %llu --scenarios 1\n",
                    static_cast<unsigned long long>(seed));
        return false;
    }
    totals.steps += scenario->steps();
    for (int32_t dtype = RA_F32; dtype <= RA_BF16; ++dtype)
        for (const int32_t rounded_to : roundings)
            totals.errors[rounded_to][dtype].add(scenario->mirror().errors(dtype, {rounded_to}));
    return true;
}

// The pooled errors, and whether each is within its limit.
bool report(const Totals& totals) {
    bool good = true;
    for (int32_t dtype = RA_F32; dtype <= RA_BF16; ++dtype)
        for (const int32_t rounded_to : roundings) {
            const auto& errors = totals.errors[rounded_to][dtype];
            if (errors.outputs() == 0)
                continue;
            const double limit = pooled_limit(dtype, {rounded_to});
            std::printf("out %s%s: %lld outputs, relative L2 %.3g (limit %.3g)\n", name_of(dtype),
                        rounded_to != 0 ? ", rounded probabilities" : "",
                        static_cast<long long>(errors.outputs()), errors.pooled_l2(), limit);
            good = good && errors.pooled_l2() <= limit;
        }
    return good;
}

int run(int argc, char** argv) {
    read_program_options(argc, argv);
    const uint64_t count = number_option(argc, argv, "--scenarios", 500);
    const uint64_t seed = number_option(argc, argv, "--seed", std::random_device{}());
    const char* isa = std::getenv("RELAYATTN_ISA");
    std::printf("seed %llu, %llu scenarios, RELAYATTN_ISA=%s\n",
                static_cast<unsigned long long>(seed), static_cast<unsigned long long>(count),
                isa != nullptr ? isa : "");
    std::fflush(stdout);
    const auto start = std::chrono::steady_clock::now();
    Totals totals;
    for (uint64_t i = 0; i < count; ++i)
        if (!run_one(seed + i, totals))
            return 1;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("%llu scenarios, %lld steps, %.1f s: all as the reference\n",
                static_cast<unsigned long long>(count), static_cast<long long>(totals.steps),
                took.count());
    return report(totals) ? 0 : 1;
}

}  // namespace
}  // namespace relayattn::test

int main(int argc, char** argv) {
    try {
        return relayattn::test::run(argc, argv);
    } catch (const std::exception& failure) {
        std::printf("%s\n", failure.what());
        return 2;
    }
}
