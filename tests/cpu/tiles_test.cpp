// The AMX kernels, their tiles emulated, against float64.
#include <doctest/doctest.h>

#include <cmath>
#include <utility>

#include "cpu/emulated_tiles.h"
#include "cpu/step.h"
#include "impl/cpu/plan.h"

using namespace relayattn;
using namespace relayattn::test;

namespace {

// Of results rounded to bf16, and a factor for few of them, which round worse than many on average.
constexpr double k_limit = 1.7e-3 * 1.1;
constexpr double k_few = 1.3;

// A CPU backend with other kernels.
class EmulatedBackend final : public Backend {
  public:
    explicit EmulatedBackend(std::unique_ptr<Backend> inner)
        : inner_(std::move(inner)), engine_(set_, 2) {}

    BackendInfo info() const override { return inner_->info(); }
    DeviceFigures figures(const Layer& layer) const override { return inner_->figures(layer); }
    Result<void> supports(const Layer& layer, int64_t page_size, bool graph) const override {
        return inner_->supports(layer, page_size, graph);
    }
    PageLayout page_layout(const KvGeometry& geometry, int64_t page_size) const override {
        return inner_->page_layout(geometry, page_size);
    }
    Result<std::unique_ptr<DeviceMemory>> allocate(int64_t bytes) override {
        return inner_->allocate(bytes);
    }
    Result<std::unique_ptr<QueueOrder>> create_order() override { return inner_->create_order(); }
    Result<void> write(const LayerStore& store, const View& k, const View& v,
                       std::span<const int64_t> slots, void* queue) override {
        return inner_->write(store, k, v, slots, queue);
    }
    Result<void> read(const LayerStore& store, const View& k, const View& v,
                      std::span<const int64_t> slots, void* queue) override {
        return inner_->read(store, k, v, slots, queue);
    }
    Result<void> copy(std::span<const LayerStore> stores, std::span<const int64_t> from,
                      std::span<const int64_t> to, void* queue) override {
        return inner_->copy(stores, from, to, queue);
    }
    PlanMemory plan_memory(const PlanShape& shape) const override {
        return inner_->plan_memory(shape);
    }
    Result<std::unique_ptr<DevicePlan>> create_plan(const PlanShape& shape,
                                                    const PlanBuffers& buffers,
                                                    int64_t num_layers) override {
        return std::unique_ptr<DevicePlan>(
            std::make_unique<cpu::CpuPlan>(engine_, shape, buffers, num_layers));
    }
    Result<void> merge(const MergeCall& call, void* queue) override {
        return inner_->merge(call, queue);
    }

  private:
    std::unique_ptr<Backend> inner_;
    cpu::InstructionSet set_{"amx", 4, 0, 0, &cpu::k_emulated_amx_kernels};
    cpu::Engine engine_;
};

std::unique_ptr<Backend> emulated() {
    auto real = backend_on("avx512_bf16", 2);
    return real == nullptr ? nullptr : std::make_unique<EmulatedBackend>(std::move(real));
}

StepOptions draw_step(Random& random) {
    StepOptions o;
    o.kv = {random.integer(1, 2), 32 * random.integer(1, 8), 8 * random.integer(4, 32),
            Dtype::bf16};
    o.q_dtype = o.out_dtype = Dtype::bf16;
    o.num_q_heads = o.kv.num_kv_heads * random.integer(1, 9);
    o.page_size = random.pick<int64_t>({1, 7, 16, 32, 33, 64, 64, 64, 300});
    o.prefix = random.pick<int64_t>({0, 1, 257, random.integer(2, 700)});
    const int64_t sequences = random.integer(1, 9);
    for (int64_t s = 0; s < sequences; ++s) {
        o.tails.push_back(random.integer(0, 90));
        o.q_lens.push_back(random.chance(70) ? 1 : random.integer(1, 12));
    }
    o.relay = random.chance(70);
    o.chunk = random.pick<int64_t>({1000, 64, 129, 5});
    o.tokens_per_item = random.integer(1, 30);
    o.window = random.pick<int64_t>({0, 0, 50});
    o.tree = random.chance(20);
    o.scale = 1 / std::sqrt(static_cast<float>(o.kv.head_dim_k));
    return o;
}

// One KV head, one query head: an item's rows are its tokens.
StepOptions draw_tile_step(int64_t rows, int64_t tokens, Random& random) {
    StepOptions o;
    o.kv = {1, 64, 8 * random.integer(4, 12), Dtype::bf16};
    o.q_dtype = o.out_dtype = Dtype::bf16;
    o.num_q_heads = 1;
    o.page_size = random.pick<int64_t>({16, 33, 64, 128, 300});
    o.prefix = tokens;
    o.tails.assign(static_cast<size_t>(rows), 0);
    for (int64_t& tail : o.tails) {
        tail = random.integer(0, 40);
    }
    o.q_lens.assign(o.tails.size(), 1);
    o.chunk = 1000;
    o.tokens_per_item = rows;
    return o;
}

}  // namespace

TEST_CASE("random steps on emulated tiles match float64") {
    const auto backend = emulated();
    if (backend == nullptr) {
        MESSAGE("no AVX-512 BF16 here, beside which the tiles are used");
        return;
    }
    for (uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        Random random(seed);
        const Step step(draw_step(random), seed);
        const StepResult got = step.run(*backend);
        const Step::Exact want = step.exact();
        const double few = want.out.size() < 4000 ? k_few : 1;
        CHECK(relative_error(got.out, want.out) < few * k_limit);
        CHECK(largest_error(got.lse, want.lse) < 4e-6);
    }
}

TEST_CASE("emulated tiles of every height and length match float64") {
    const auto backend = emulated();
    if (backend == nullptr) {
        return;
    }
    const auto check = [&backend](int64_t rows, int64_t tokens) {
        CAPTURE(rows);
        CAPTURE(tokens);
        const auto seed = static_cast<uint64_t>(1000 * rows + tokens);
        Random random(seed);
        const Step step(draw_tile_step(rows, tokens, random), seed);
        CHECK(relative_error(step.run(*backend).out, step.exact().out) < k_limit * k_few);
    };
    for (int64_t rows = 1; rows <= 33; ++rows) {
        check(rows, 128);
        check(rows, 257);
    }
    for (const int64_t rows : {63, 65, 257}) {
        check(rows, 129);
    }
    for (int64_t tokens = 1; tokens <= 129; ++tokens) {
        check(19, tokens);
    }
}

TEST_CASE("a row of emulated tiles does not depend on the rows beside it") {
    const auto backend = emulated();
    if (backend == nullptr) {
        return;
    }
    StepOptions options;
    options.kv = {2, 128, 96, Dtype::bf16};
    options.q_dtype = options.out_dtype = Dtype::bf16;
    options.num_q_heads = 8;
    options.page_size = 64;
    options.prefix = 400;
    options.tails = {5, 70, 31, 1, 200, 64, 17};
    options.q_lens.assign(options.tails.size(), 1);
    options.tokens_per_item = 7;
    const StepResult together = Step(options, 21).run(*backend);
    for (const int64_t tokens : {1, 3, 5}) {
        options.tokens_per_item = tokens;
        const StepResult apart = Step(options, 21).run(*backend);
        CHECK(together.out == apart.out);
        CHECK(together.lse == apart.lse);
    }
}
