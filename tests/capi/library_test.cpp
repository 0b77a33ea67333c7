// Version, status names, the last error, the log.
#include <doctest/doctest.h>

#include <cstring>
#include <set>
#include <string>
#include <thread>

#include "fixture.h"
#include "refusal.h"

namespace relayattn::test {

TEST_CASE("the version of the library is the version of the header") {
    CHECK(ra_version() == RA_VERSION);
}

TEST_CASE("every status has its own name, and an unknown one has text too") {
    std::set<std::string> names;
    for (ra_status status = RA_ERROR_INTERNAL; status <= RA_OK; ++status) {
        const std::string name = ra_status_name(status);
        CHECK(name.rfind(status == RA_OK ? "RA_OK" : "RA_ERROR_", 0) == 0);
        CHECK(names.insert(name).second);
    }
    for (ra_status status : {1, -11, INT32_MAX, INT32_MIN}) {
        REQUIRE(ra_status_name(status) != nullptr);
        CHECK(names.count(ra_status_name(status)) == 0);
    }
}

TEST_CASE("the last error is cut to the buffer, terminated, and its full length returned") {
    ra_model model = nullptr;
    REQUIRE(ra_model_create(-5, &model) == RA_ERROR_ARGUMENT);
    const std::string whole = last_error();
    const auto length = static_cast<int64_t>(whole.size());
    CHECK(whole.find("num_layers") != std::string::npos);
    CHECK(whole.find("-5") != std::string::npos);
    CHECK(ra_last_error(nullptr, 0) == length);
    for (int64_t size : {int64_t{1}, int64_t{2}, length, length + 1, length + 9}) {
        std::string buffer(static_cast<size_t>(size) + 2, '#');
        CHECK(ra_last_error(buffer.data(), size) == length);
        const auto copied = static_cast<size_t>(std::min(size - 1, length));
        CHECK(buffer.substr(0, copied) == whole.substr(0, copied));
        CHECK(buffer[copied] == '\0');
        CHECK(buffer[static_cast<size_t>(size)] == '#');
    }
    char untouched = '#';
    CHECK(ra_last_error(&untouched, 0) == length);
    CHECK(ra_last_error(&untouched, -1) == length);
    CHECK(untouched == '#');
}

TEST_CASE("success leaves the last error as it was, the next failure replaces it") {
    ra_model raw = nullptr;
    REQUIRE(ra_model_create(0, &raw) == RA_ERROR_ARGUMENT);
    const std::string first = last_error();
    Model model;
    ok(ra_model_create(1, model.out()));
    CHECK(last_error() == first);
    REQUIRE(ra_model_create(-7, &raw) == RA_ERROR_ARGUMENT);
    CHECK(last_error() != first);
}

TEST_CASE("each thread has a last error of its own") {
    ra_model raw = nullptr;
    REQUIRE(ra_model_create(-3, &raw) == RA_ERROR_ARGUMENT);
    std::string theirs_before, theirs_after;
    std::thread([&] {
        theirs_before = last_error();
        ra_model other = nullptr;
        ra_model_create(-4, &other);
        theirs_after = last_error();
    }).join();
    CHECK(theirs_before.empty());
    CHECK(theirs_after.find("-4") != std::string::npos);
    CHECK(last_error().find("-3") != std::string::npos);
}

TEST_CASE("a failing call leaves its out parameter alone") {
    auto* const witness = reinterpret_cast<ra_model>(uintptr_t{0x5a5a});
    ra_model out = witness;
    CHECK(ra_model_create(0, &out) == RA_ERROR_ARGUMENT);
    CHECK(out == witness);
}

TEST_CASE("a log callback may be set and taken away") {
    const auto context = make_context();
    int lines = 0;
    const ra_log_fn count = [](void* user, int32_t, const char* text) {
        CHECK(text != nullptr);
        ++*static_cast<int*>(user);
    };
    ok(ra_context_set_log(context, count, &lines));
    ok(ra_context_set_log(context, nullptr, nullptr));
    const int seen = lines;
    Fixture elsewhere;
    CHECK(lines == seen);
}

}  // namespace relayattn::test
