// From a step's sequences to the work of every layer group.
#include <algorithm>
#include <utility>

#include "impl/core/batch.h"

namespace relayattn {
namespace {

int64_t or_default(int64_t given, int64_t fallback) {
    return given > 0 ? given : fallback;
}

PlanShape shape_for(const Cache& cache, const BatchOptions& options, size_t group,
                    const DeviceFigures& figures) {
    const LayerGroup& layers = cache.model().groups()[group];
    const int64_t page_size = cache.page_size();
    PlanShape shape;
    shape.geometry = layers.kv;
    shape.page_size = page_size;
    shape.max_q_heads = layers.max_q_heads;
    shape.max_sequences = or_default(options.max_rows, 64);
    shape.max_tokens = or_default(options.max_tokens, 4 * shape.max_sequences);
    const int64_t runs = or_default(options.max_runs, 4 * shape.max_sequences);
    const int64_t pages = options.max_kv_tokens > 0
                              ? options.max_kv_tokens / page_size + 1
                              : cache.pools[cache.pool_of(static_cast<int64_t>(group))].total();
    shape.max_table_entries = pages + 2 * (runs + shape.max_sequences);
    shape.max_item_tokens = shape.max_tokens;
    // Room for a few levels of the tree per token, and for every worker's share of a long run.
    shape.max_partials = 4 * shape.max_tokens + 16 * figures.num_workers;
    shape.max_items = shape.max_partials + shape.max_tokens;
    shape.max_pieces = shape.max_items + 4 * runs;
    shape.graph = options.graph;
    shape.tree = options.tree;
    shape.batch_invariant = options.batch_invariant;
    return shape;
}

// One plan serves all layers of a group, whichever kernels each of them takes: its items must fit
// the most particular.
DeviceFigures figures_of(const Cache& cache, size_t group) {
    const Model& model = cache.model();
    const std::vector<int64_t>& layers = model.groups()[group].layers;
    DeviceFigures figures = cache.context().figures(model.layer(layers.front()));
    for (const int64_t layer : layers) {
        const DeviceFigures other = cache.backend().figures(model.layer(layer));
        figures.few_rows = std::min(figures.few_rows, other.few_rows);
        figures.tile_rows = std::min(figures.tile_rows, other.tile_rows);
    }
    return figures;
}

// Grows `bound` to hold `needed` with room to spare; says whether it had to.
bool grow(int64_t& bound, size_t needed) {
    const auto count = static_cast<int64_t>(needed);
    if (count <= bound)
        return false;
    bound = count + count / 2;
    return true;
}

bool grow_to(PlanShape& shape, const WorkList& work) {
    bool grown =
        grow(shape.max_tokens, work.tokens.size() + static_cast<size_t>(work.padded_tokens));
    grown |= grow(shape.max_items, work.items.size());
    grown |= grow(shape.max_pieces, work.pieces.size());
    grown |= grow(shape.max_table_entries, work.page_table.size());
    grown |= grow(shape.max_item_tokens, work.item_tokens.size());
    grown |= grow(shape.max_partials,
                  std::max(work.partial_index.size(), static_cast<size_t>(work.num_partials)));
    return grown;
}

}  // namespace

Result<PlanMemory> Batch::memory_needed(const Cache& cache, const BatchOptions& options) {
    PlanMemory all;
    for (size_t g = 0; g < cache.model().groups().size(); ++g) {
        const PlanMemory one =
            cache.backend().plan_memory(shape_for(cache, options, g, figures_of(cache, g)));
        // Groups are attended one after the other, so they can share scratch, but each keeps its
        // list.
        all.scratch = std::max(all.scratch, one.scratch);
        all.metadata += one.metadata;
    }
    return all;
}

Result<std::shared_ptr<Batch>> Batch::create(std::shared_ptr<Cache> cache,
                                             const BatchOptions& options) {
    Result<PlanMemory> needed = memory_needed(*cache, options);
    if (!needed)
        return needed.error();
    if (options.scratch != nullptr && options.scratch_size < needed->scratch)
        return error(Code::argument, "scratch_size is ", options.scratch_size,
                     "; this batch needs at least ", needed->scratch, " bytes");
    if (options.metadata != nullptr && options.metadata_size < needed->metadata)
        return error(Code::argument, "metadata_size is ", options.metadata_size,
                     "; this batch needs at least ", needed->metadata, " bytes");
    std::shared_ptr<Batch> batch(new Batch(std::move(cache), options));
    Cache& owner = *batch->cache_;
    auto* metadata = static_cast<std::byte*>(options.metadata);
    for (size_t g = 0; g < batch->plans_.size(); ++g) {
        GroupPlan& plan = batch->plans_[g];
        plan.figures = figures_of(owner, g);
        plan.shape = shape_for(owner, options, g, plan.figures);
        const auto layers = static_cast<int64_t>(owner.model().groups()[g].layers.size());
        Result<std::unique_ptr<DevicePlan>> device =
            owner.backend().create_plan(plan.shape, {options.scratch, metadata}, layers);
        if (!device)
            return device.error();
        plan.device = std::move(*device);
        if (metadata != nullptr)
            metadata += owner.backend().plan_memory(plan.shape).metadata;
    }
    return batch;
}

Result<void> Batch::plan_step(const Step& step, const BatchInput& input, void* queue) {
    if (is_next_step(step, input))
        return advance_step(step, queue);
    planned_.clear();
    for (size_t g = 0; g < plans_.size(); ++g) {
        start_work(g, step, input);
        build_forest(g, step);
        if (Result<void> ok = plan_group(g, queue); !ok)
            return ok;
    }
    remember_step(step, input);
    return {};
}

Result<void> Batch::plan_group(size_t group, void* queue) {
    GroupPlan& plan = plans_[group];
    const LayerGroup& layers = cache_->model().groups()[group];
    PlannerOptions options;
    options.figures = plan.figures;
    options.shape = {layers.kv, layers.rows_per_token()};
    options.page_size = cache_->page_size();
    options.mode = options_.mode;
    options.batch_invariant = options_.batch_invariant;
    options.max_partials = is_fixed() ? plan.shape.max_partials : 0;
    plan.next_summary = plan.planner.plan(plan.forest, options, plan.work);
    if (Result<void> ok = fit(plan, group); !ok)
        return ok;
    return plan.device->set(plan.work, queue);
}

// A plan that a graph may have captured, or that lies in the caller's memory, cannot grow.
bool Batch::is_fixed() const {
    return options_.graph || options_.scratch != nullptr || options_.metadata != nullptr;
}

Result<void> Batch::fit(GroupPlan& plan, size_t group) {
    PlanShape shape = plan.shape;
    if (!grow_to(shape, plan.work))
        return {};
    if (is_fixed())
        return error(Code::argument, "the step needs ", plan.work.page_table.size(),
                     " page table entries and ", plan.work.pieces.size(),
                     " pieces; the batch was sized for ", plan.shape.max_table_entries, " and ",
                     plan.shape.max_pieces, ": raise max_tokens, max_runs or max_kv_tokens");
    const auto layers = static_cast<int64_t>(cache_->model().groups()[group].layers.size());
    Result<std::unique_ptr<DevicePlan>> device =
        cache_->backend().create_plan(shape, {nullptr, nullptr}, layers);
    if (!device)
        return device.error();
    plan.device = std::move(*device);
    plan.shape = shape;
    return {};
}

}  // namespace relayattn
