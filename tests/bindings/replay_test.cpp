#include <doctest/doctest.h>
#include <relayattn/relayattn.h>

#include <fstream>
#include <set>

#include "replay.h"

using namespace relayattn::test;
using nlohmann::json;

namespace {

json read_scenario() {
    std::ifstream file(RELAYATTN_SCENARIO);
    REQUIRE_MESSAGE(file.good(), "cannot read " RELAYATTN_SCENARIO);
    return json::parse(file);
}

// Sanitizers end a program that asks for more memory than there can be.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool can_run_out_of_memory = false;
#else
constexpr bool can_run_out_of_memory = true;
#endif

}  // namespace

TEST_CASE("the C API answers every operation of the scenario as stated") {
    const json scenario = read_scenario();
    REQUIRE(scenario.at("format") == 1);
    Replay replay;
    size_t number = 0;
    for (const json& operation : scenario.at("operations")) {
        if (operation.at("status") == RA_ERROR_MEMORY && !can_run_out_of_memory)
            continue;
        const std::string difference = replay.carry_out(operation);
        INFO("operation ", number, ", ", operation.at("op").get<std::string>());
        REQUIRE(difference == "");
        ++number;
    }
    CHECK(number > 400);
}

TEST_CASE("the scenario reaches every status but RA_ERROR_INTERNAL") {
    const json scenario = read_scenario();
    std::set<int64_t> reached;
    for (const json& operation : scenario.at("operations"))
        reached.insert(operation.at("status").get<int64_t>());
    for (const auto& [name, value] : scenario.at("statuses").items()) {
        CHECK(ra_status_name(value.get<ra_status>()) == name);
        CHECK(reached.contains(value.get<int64_t>()) == (name != "RA_ERROR_INTERNAL"));
    }
}
