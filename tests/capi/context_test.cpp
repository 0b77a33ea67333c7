// Contexts: options, queries, what is supported.
#include <doctest/doctest.h>

#include <cstdlib>
#include <functional>

#include "fixture.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

void check_option(const std::function<void(ra_context_options&)>& change, ra_status status,
                  std::initializer_list<const char*> words) {
    auto options = context_options();
    options.backend = RA_BACKEND_CPU;
    options.num_threads = 1;
    change(options);
    Context context;
    check_refused(ra_context_create(&options, context.out()), status, words);
    CHECK(context.get() == nullptr);
}

int64_t query(ra_context context, int32_t property) {
    int64_t value = -1;
    ok(ra_context_query(context, property, &value));
    return value;
}

// The environment variable for as long as the object lives.
class Environment {
  public:
    Environment(const char* name, const char* value) : name_(name) {
        if (const char* old = std::getenv(name))
            old_ = old;
        setenv(name, value, 1);
    }
    ~Environment() { old_.empty() ? unsetenv(name_) : setenv(name_, old_.c_str(), 1); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

  private:
    const char* name_;
    std::string old_;
};

}  // namespace

TEST_CASE("context options out of bounds are refused by name and value") {
    check_option([](auto& o) { o.backend = 3; }, RA_ERROR_ARGUMENT,
                 {"ra_context_create", "backend", "3"});
    check_option([](auto& o) { o.backend = -1; }, RA_ERROR_ARGUMENT,
                 {"ra_context_create", "backend", "-1"});
    check_option([](auto& o) { o.num_threads = -2; }, RA_ERROR_ARGUMENT,
                 {"ra_context_create", "num_threads", "-2"});
    check_option([](auto& o) { o.num_threads = INT64_MAX; }, RA_ERROR_ARGUMENT,
                 {"ra_context_create", "num_threads", "9223372036854775807"});
    check_option([](auto& o) { o.ordinal = -1; }, RA_ERROR_ARGUMENT,
                 {"ra_context_create", "ordinal", "-1"});
    check_option([](auto& o) { o.ordinal = 5; }, RA_ERROR_DEVICE,
                 {"ra_context_create", "ordinal", "5"});
    check_option([](auto& o) { o.numa_node = 0; }, RA_ERROR_UNSUPPORTED,
                 {"ra_context_create", "numa_node", "0"});
    auto options = context_options();
    check_refused(ra_context_create(&options, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_context_create", "out", "null"});
}

TEST_CASE("a device that is not there is a device error, and says why") {
    auto options = context_options();
    options.backend = RA_BACKEND_CUDA;
    options.ordinal = 1000;
    Context context;
    check_refused(ra_context_create(&options, context.out()), RA_ERROR_DEVICE,
                  {"ra_context_create"});
}

TEST_CASE("AUTO finds a device on every machine") {
    auto options = context_options();
    Context context;
    ok(ra_context_create(&options, context.out()));
    const int64_t backend = query(context, RA_CONTEXT_INFO_BACKEND);
    CHECK((backend == RA_BACKEND_CPU || backend == RA_BACKEND_CUDA));
}

TEST_CASE("a context tells what it is") {
    auto options = context_options();
    options.backend = RA_BACKEND_CPU;
    options.num_threads = 3;
    Context context;
    ok(ra_context_create(&options, context.out()));
    CHECK(query(context, RA_CONTEXT_INFO_BACKEND) == RA_BACKEND_CPU);
    CHECK(query(context, RA_CONTEXT_INFO_ORDINAL) == 0);
    CHECK(query(context, RA_CONTEXT_INFO_NUM_THREADS) == 3);
    CHECK(query(context, RA_CONTEXT_INFO_ISA) >= RA_ISA_SCALAR);
    CHECK(query(context, RA_CONTEXT_INFO_ISA) <= RA_ISA_NEON);
    CHECK(query(context, RA_CONTEXT_INFO_SM) == 0);
    CHECK(query(context, RA_CONTEXT_INFO_PAGE_SIZE) >= 1);
    CHECK(query(context, RA_CONTEXT_INFO_GRAPHS) == 0);
    int64_t value = 77;
    check_refused(ra_context_query(context, 0, &value), RA_ERROR_ARGUMENT,
                  {"ra_context_query", "property", "0"});
    check_refused(ra_context_query(context, 8, &value), RA_ERROR_ARGUMENT,
                  {"ra_context_query", "property", "8"});
    CHECK(value == 77);
    check_refused(ra_context_query(context, RA_CONTEXT_INFO_ISA, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_context_query", "value_out", "null"});
}

TEST_CASE("RELAYATTN_ISA forces an instruction set, and an unknown name is an error") {
    {
        const Environment force("RELAYATTN_ISA", "scalar");
        CHECK(query(make_context(), RA_CONTEXT_INFO_ISA) == RA_ISA_SCALAR);
    }
    const Environment nonsense("RELAYATTN_ISA", "sse9");
    auto options = context_options();
    options.backend = RA_BACKEND_CPU;
    Context context;
    const ra_status status = ra_context_create(&options, context.out());
    CHECK(status != RA_OK);
    check_refused(status, status, {"RELAYATTN_ISA", "sse9"});
}

TEST_CASE("what is supported can be asked before anything is built") {
    Fixture fixture;
    ok(ra_context_supports(fixture.context, fixture.model, 0, 0));
    ok(ra_context_supports(fixture.context, fixture.model, 16,
                           RA_PLAN_TREE | RA_PLAN_BATCH_INVARIANT));
    const auto supports = [&](int64_t page_size, int32_t flags) {
        return ra_context_supports(fixture.context, fixture.model, page_size, flags);
    };
    check_refused(supports(-1, 0), RA_ERROR_ARGUMENT, {"ra_context_supports", "page_size", "-1"});
    check_refused(supports(16, 1 << 20), RA_ERROR_ARGUMENT,
                  {"ra_context_supports", "plan_flags", "1048576"});
    check_refused(supports(16, RA_PLAN_DEVICE_LENS), RA_ERROR_UNSUPPORTED,
                  {"ra_context_supports", "RA_PLAN_DEVICE_LENS"});
    check_refused(supports(16, RA_PLAN_FIND_SHARED), RA_ERROR_UNSUPPORTED,
                  {"ra_context_supports", "RA_PLAN_FIND_SHARED"});
}

}  // namespace relayattn::test
