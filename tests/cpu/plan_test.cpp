// What a plan refuses, what it does not allocate, and what fails cleanly when memory runs out.
#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <new>
#include <string>

#include "cpu/step.h"
#include "support/faults.h"

using namespace relayattn;
using namespace relayattn::test;

namespace {

// One sequence of two tokens in one page, one query token on two heads.
struct Small {
    explicit Small(Backend& b) : backend(b) {
        layer.kv = {1, 32, 32, Dtype::f32};
        layer.num_q_heads = 2;
        layer.q_dtype = layer.out_dtype = Dtype::f32;
        store = {layer.kv, backend.page_layout(layer.kv, 16), {}};
        k.resize(static_cast<size_t>(store.layout.k_page_stride / 4));
        v.resize(static_cast<size_t>(store.layout.v_page_stride / 4));
        store.pages = {k.data(), v.data()};
        work.items = {{0, 1, 2, 0, 1, -1, 0, 0}};
        work.pieces = {{0, 0, 2, 0}};
        work.page_table = {0};
        work.item_tokens = {0};
        work.tokens = {{1, 0, 2, 1, 0, -1}};
        work.slots = {1};
        shape.geometry = layer.kv;
        shape.page_size = 16;
        shape.max_q_heads = 2;
        shape.max_tokens = shape.max_sequences = shape.max_items = shape.max_pieces = 1;
        shape.max_table_entries = shape.max_item_tokens = shape.max_partials = 1;
        out.fill(NAN);
        call.layer = &layer;
        call.store = store;
        call.q = {q.data(), 256, 128};
        call.out = {out.data(), 256, 128};
    }

    std::unique_ptr<DevicePlan> plan() {
        auto made = backend.create_plan(shape, {}, 3);
        REQUIRE(static_cast<bool>(made));
        REQUIRE(static_cast<bool>((*made)->set(work, nullptr)));
        return std::move(*made);
    }

    Backend& backend;
    Layer layer;
    LayerStore store;
    std::vector<float> k, v;
    std::array<float, 64> q{}, out{};
    WorkList work;
    PlanShape shape;
    AttendCall call;
};

}  // namespace

TEST_CASE("a list beyond the plan's bounds is refused and the last one kept") {
    const auto backend = backend_on("scalar", 1);
    Small small(*backend);
    const auto plan = small.plan();
    WorkList larger = small.work;
    larger.pieces.push_back({0, 0, 1, 2});
    const Result<void> refused = plan->set(larger, nullptr);
    REQUIRE_FALSE(static_cast<bool>(refused));
    CHECK(refused.error().text == "the work list has 2 pieces; the plan was made for at most 1");
    REQUIRE(static_cast<bool>(plan->attend(small.call, nullptr)));
    CHECK(small.out[0] == 0);
}

TEST_CASE("a layer of another group, strided pages and wrong workers are refused") {
    const auto backend = backend_on("scalar", 1);
    Small small(*backend);
    const auto plan = small.plan();
    AttendCall other = small.call;
    other.store.geometry.head_dim_v = 64;
    CHECK(plan->attend(other, nullptr).error().code == Code::internal);
    AttendCall strided = small.call;
    strided.store.layout.packed = false;
    CHECK(plan->attend(strided, nullptr).error().code == Code::unsupported);
    for (const int64_t worker : {-1, 2}) {
        const Result<void> refused = plan->attend_worker(small.call, 0, worker, 2);
        CHECK(refused.error().code == Code::argument);
        CHECK(refused.error().text ==
              "worker is " + std::to_string(worker) + "; it must be from 0 to 1");
    }
    CHECK(plan->attend_worker(small.call, 3, 0, 1).error().code == Code::internal);
    CHECK(std::isnan(small.out[0]));
}

TEST_CASE("each layer's workers share one list, and set begins them anew") {
    const auto backend = backend_on("scalar", 1);
    Small small(*backend);
    const auto plan = small.plan();
    for (int step = 0; step < 2; ++step) {
        for (int64_t slot = 0; slot < 3; ++slot) {
            small.out.fill(NAN);
            REQUIRE(static_cast<bool>(plan->attend_worker(small.call, slot, 1, 2)));
            CHECK(small.out[0] == 0);
            small.out.fill(NAN);
            REQUIRE(static_cast<bool>(plan->attend_worker(small.call, slot, 0, 2)));
            CHECK(std::isnan(small.out[0]));  // nothing was left to do
        }
        REQUIRE(static_cast<bool>(plan->set(small.work, nullptr)));
    }
}

TEST_CASE("a plan works in the caller's memory, wherever it begins") {
    const auto backend = backend_on("scalar", 1);
    Small small(*backend);
    const PlanMemory need = backend->plan_memory(small.shape);
    std::vector<char> scratch(static_cast<size_t>(need.scratch) + 1);
    std::vector<char> metadata(static_cast<size_t>(need.metadata) + 1);
    faults::fail_allocation(1000000);
    auto plan = backend->create_plan(small.shape, {scratch.data() + 1, metadata.data() + 1}, 1);
    const faults::Count count = faults::disarm();
    CHECK(count.allocations <= 4);  // the plan itself and its counters
    REQUIRE(static_cast<bool>((*plan)->set(small.work, nullptr)));
    REQUIRE(static_cast<bool>((*plan)->attend(small.call, nullptr)));
    CHECK(small.out[0] == 0);
}

TEST_CASE("setting and attending allocate nothing") {
    const auto backend = backend_on("scalar", 2);
    Small small(*backend);
    const auto plan = small.plan();
    faults::fail_allocation(1000000);
    const bool set = static_cast<bool>(plan->set(small.work, nullptr));
    const bool attended = static_cast<bool>(plan->attend(small.call, nullptr));
    const bool worked = static_cast<bool>(plan->attend_worker(small.call, 0, 0, 1));
    const faults::Count count = faults::disarm();
    CHECK(set);
    CHECK(attended);
    CHECK(worked);
    CHECK(count.allocations == 0);
}

TEST_CASE("the n-th allocation of making a backend, a plan and a copy may fail") {
    bool done = false;
    for (int64_t nth = 1; !done; ++nth) {
        REQUIRE(nth < 100);
        faults::fail_allocation(nth);
        try {
            auto backend = create_cpu_backend({2});
            const KvGeometry kv{1, 32, 32, Dtype::f32};
            const PageLayout layout = (*backend)->page_layout(kv, 16);
            auto k = (*backend)->allocate(layout.k_page_stride);
            auto v = (*backend)->allocate(layout.v_page_stride);
            const LayerStore store{kv, layout, {(*k)->data(), (*v)->data()}};
            const int64_t from[] = {0}, to[] = {1};
            auto copied = (*backend)->copy({&store, 1}, from, to, nullptr);
            Small small(**backend);
            auto plan = (*backend)->create_plan(small.shape, {}, 1);
            auto order = (*backend)->create_order();
            done = static_cast<bool>(copied) && static_cast<bool>(plan);
        } catch (const std::bad_alloc&) {
        }
        CHECK(faults::disarm().refused != done);
    }
}

TEST_CASE("supports says why not") {
    const auto backend = backend_on("scalar", 1);
    Layer layer;
    layer.kv = {1, 64, 64, Dtype::bf16};
    CHECK(static_cast<bool>(backend->supports(layer, 1, false)));
    CHECK(backend->supports(layer, 16, true).error().code == Code::unsupported);
    CHECK(backend->supports(layer, 0, false).error().text ==
          "page_size is 0; it must be at least 1");
    layer.kv.head_dim_v = 36;
    CHECK(backend->supports(layer, 16, false).error().text ==
          "head_dim_v is 36; the CPU backend takes multiples of 8 from 32 to 256");
    layer.kv.head_dim_k = 264;
    CHECK(backend->supports(layer, 16, false).error().code == Code::unsupported);
}
