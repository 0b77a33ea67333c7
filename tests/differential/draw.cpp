#include "draw.h"

#include <algorithm>

namespace relayattn::test {
namespace {

void draw_geometry(Random& random, LayerSpec& layer) {
    const Heads heads =
        random.pick({Heads{1, 1}, {2, 2}, {4, 4}, {4, 2}, {6, 3}, {8, 2}, {7, 1}, {14, 2}, {8, 1}});
    layer.q_heads = heads.q;
    layer.kv_heads = heads.kv;
    layer.dim_k = random.pick<int64_t>({32, 32, 40, 64, 64, 72, 96, 128});
    layer.dim_v = random.chance(70) ? layer.dim_k : random.pick<int64_t>({32, 40, 64, 88, 128});
    if (random.chance(4))
        layer.dim_k = layer.dim_v = random.pick<int64_t>({192, 248, 256});
    layer.kv = random.pick({RA_F32, RA_F16, RA_BF16});
}

void draw_window(Random& random, LayerSpec& layer) {
    if (random.chance(60))
        return;
    layer.window_kind = random.pick({RA_WINDOW_SLIDING, RA_WINDOW_CHUNKED});
    layer.window = random.pick<int64_t>({1, 2, 7, 16, 17, 33, random.integer(1, 80)});
    layer.retain = random.pick<int64_t>({0, 0, -1, layer.window + random.integer(0, 30)});
}

void draw_attributes(Random& random, LayerSpec& layer) {
    layer.q = random.pick({RA_F32, RA_F16, RA_BF16});
    layer.out = random.pick({RA_F32, RA_F16, RA_BF16});
    layer.sinks = random.chance(25);
    layer.alibi = random.chance(25);
    if (random.chance(30))
        layer.scale = static_cast<float>(0.05 + 0.25 * random.uniform());
    if (random.chance(25))
        layer.softcap = static_cast<float>(1 + 20 * random.uniform());
}

// Reads the pages of an earlier layer: its storage, and no more than that keeps.
LayerSpec draw_borrower(Random& random, const std::vector<LayerSpec>& layers, int64_t source) {
    LayerSpec layer = layers[static_cast<size_t>(source)];
    const bool all_is_kept = layer.window_kind == RA_WINDOW_NONE;
    layer.kv_layer = source;
    layer.q_heads = layer.kv_heads * random.integer(1, 4);
    if (all_is_kept)
        draw_window(random, layer);
    draw_attributes(random, layer);
    return layer;
}

LayerSpec draw_layer(Random& random, const std::vector<LayerSpec>& layers) {
    std::vector<int64_t> owners;
    for (size_t i = 0; i < layers.size(); ++i)
        if (layers[i].owns_kv())
            owners.push_back(static_cast<int64_t>(i));
    if (!owners.empty() && random.chance(20))
        return draw_borrower(random, layers, random.pick(owners));
    LayerSpec layer;
    if (!owners.empty() && random.chance(10)) {
        layer.unset = true;
        return layer;
    }
    if (!owners.empty() && random.chance(50))
        layer = layers[static_cast<size_t>(random.pick(owners))];  // the same group
    else {
        draw_geometry(random, layer);
        draw_window(random, layer);
    }
    draw_attributes(random, layer);
    return layer;
}

std::vector<Span> draw_spans(Random& random, int64_t q_len) {
    std::vector<Span> spans;
    int64_t at = random.integer(0, q_len);
    while (at < q_len && spans.size() < 2) {
        const int64_t end = random.integer(at + 1, q_len);
        spans.push_back({at, end});
        at = end + random.integer(0, 2);
    }
    return spans;
}

int64_t draw_q_len(Random& random) {
    if (random.chance(60))
        return 1;
    return random.pick<int64_t>(
        {0, 1, 2, 3, 5, 8, 9, random.integer(1, 17), random.integer(10, 40)});
}

}  // namespace

CacheSpec draw_cache(Random& random) {
    CacheSpec cache;
    cache.layers.clear();
    const int64_t count = random.integer(1, 4);
    while (static_cast<int64_t>(cache.layers.size()) < count)
        cache.layers.push_back(draw_layer(random, cache.layers));
    cache.page_size = random.pick<int64_t>({1, 5, 16, 16, 17, 64, 0});
    cache.capacity = random.chance(30) ? random.integer(60, 300) : random.integer(300, 3000);
    cache.max_sequences = random.pick<int64_t>({0, 0, 6, 12});
    cache.threads = random.pick<int64_t>({1, 1, 2});
    return cache;
}

PlanSpec draw_plan(Random& random) {
    PlanSpec plan;
    plan.mode = random.pick({RA_MODE_AUTO, RA_MODE_FLAT, RA_MODE_RELAY});
    if (random.chance(30))
        plan.flags |= RA_PLAN_BATCH_INVARIANT;
    if (random.chance(50))
        plan.flags |= RA_PLAN_TREE;
    return plan;
}

StepSpec draw_step(Random& random, const PlanSpec& plan,
                   const std::vector<MirrorSequence*>& sequences) {
    StepSpec step;
    auto order = sequences;
    random.shuffle(order);
    order.resize(std::min(order.size(), static_cast<size_t>(random.integer(1, 9))));
    step.tree = (plan.flags & RA_PLAN_TREE) != 0 && random.chance(50);
    const bool decodes = random.chance(40);
    for (MirrorSequence* sequence : order) {
        StepRow row;
        row.sequence = sequence;
        row.q_len = decodes ? 1 : draw_q_len(random);
        if (random.chance(15))
            row.flags = random.pick<int64_t>({RA_ROW_NEW_ABSENT, RA_ROW_NONCAUSAL});
        else if (!step.tree && random.chance(20))
            row.spans = draw_spans(random, row.q_len);
        step.rows.push_back(std::move(row));
    }
    if (random.chance(20))
        step.padded = random.integer(1, 5);
    if (random.chance(15))
        step.scale = static_cast<float>(0.05 + 0.2 * random.uniform());
    if (random.chance(15))
        step.softcap = static_cast<float>(2 + 10 * random.uniform());
    return step;
}

int64_t draw_length(Random& random, int64_t page_size, int64_t most) {
    const int64_t length = random.pick<int64_t>(
        {1, page_size - 1, page_size, page_size + 1, 2 * page_size + 1, random.integer(1, most)});
    return std::clamp<int64_t>(length, 1, most);
}

}  // namespace relayattn::test
