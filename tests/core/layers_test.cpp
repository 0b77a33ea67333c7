// Models whose layers differ: groups, borrowed KV, layers of other devices.
#include <doctest/doctest.h>

#include "mirror_step.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

int64_t group_of(ra_model model, int64_t layer) {
    int64_t group = -1;
    ok(ra_model_layer_group(model, layer, &group));
    return group;
}

Model model_of(const std::vector<LayerSpec>& layers) {
    Model model;
    ok(ra_model_create(static_cast<int64_t>(layers.size()), model.out()));
    for (size_t i = 0; i < layers.size(); ++i) {
        const auto options = options_of(layers[i]);
        ok(ra_model_set_layers(model, static_cast<int64_t>(i), 1, &options));
    }
    return model;
}

void run_some_steps(Mirror& mirror) {
    const auto root = mirror.prefix(nullptr, 45);
    const auto child = mirror.prefix(&root, 9);
    auto a = mirror.attach(&root), b = mirror.attach(&child), c = mirror.attach(nullptr);
    for (int32_t mode : modes) {
        const auto batch = mirror.batch({mode, 0});
        for (int64_t q_len : {1, 6, 1})
            run_step(mirror, batch, plain_step({&a, &b, &c}, q_len));
    }
}

}  // namespace

TEST_CASE("layers of equal storage and window share a group, whatever their queries do") {
    LayerSpec plain, scaled, wide, windowed, longer, half;
    scaled.q_heads = 8;
    scaled.sinks = scaled.alibi = true;
    scaled.scale = 0.2F;
    scaled.softcap = 4;
    scaled.q = scaled.out = RA_BF16;
    wide.dim_k = 64;
    windowed.window_kind = RA_WINDOW_SLIDING;
    windowed.window = 20;
    longer = windowed;
    longer.retain = 40;
    half.kv = RA_F16;
    const auto model = model_of({plain, scaled, wide, windowed, longer, half, plain});
    CHECK(group_of(model, 0) == 0);
    CHECK(group_of(model, 1) == 0);
    CHECK(group_of(model, 6) == 0);
    CHECK(group_of(model, 2) == 1);
    CHECK(group_of(model, 3) == 2);
    CHECK(group_of(model, 4) == 3);
    CHECK(group_of(model, 5) == 4);
}

TEST_CASE("layers of other geometry, dtype and window run side by side") {
    LayerSpec global, local, thin;
    global.q_heads = 8;
    global.dim_k = global.dim_v = 64;
    local = global;
    local.window_kind = RA_WINDOW_SLIDING;
    local.window = 24;
    thin.q_heads = 7;
    thin.kv_heads = 1;
    thin.dim_k = 40;
    thin.kv = RA_BF16;
    thin.window_kind = RA_WINDOW_CHUNKED;
    thin.window = 13;
    Mirror mirror({{global, local, thin, local, global}, 16, 1024, 0, 1}, 1);
    CHECK(mirror.num_groups() == 3);
    run_some_steps(mirror);
}

TEST_CASE("a layer reads the KV of another with its own heads, scale and window") {
    LayerSpec owner, reader, narrow, windowed_owner, windowed_reader;
    reader.kv_layer = 0;
    reader.q_heads = 8;
    reader.scale = 0.3F;
    reader.sinks = true;
    narrow = reader;
    narrow.sinks = false;
    narrow.window_kind = RA_WINDOW_SLIDING;
    narrow.window = 11;
    windowed_owner.window_kind = RA_WINDOW_SLIDING;
    windowed_owner.window = 24;
    windowed_reader = windowed_owner;
    windowed_reader.kv_layer = 3;
    windowed_reader.softcap = 3;
    Mirror mirror({{owner, reader, narrow, windowed_owner, windowed_reader}, 16, 1024, 0, 1}, 2);
    run_some_steps(mirror);
}

TEST_CASE("borrowing takes no memory") {
    const auto context = make_context();
    LayerSpec owner, reader;
    reader.kv_layer = 0;
    auto options = cache_options();
    options.capacity_tokens = 1000;
    int64_t alone = 0, with_reader = 0, twice = 0;
    ok(ra_cache_memory(context, model_of({owner}), &options, &alone));
    ok(ra_cache_memory(context, model_of({owner, reader}), &options, &with_reader));
    ok(ra_cache_memory(context, model_of({owner, owner}), &options, &twice));
    CHECK(with_reader == alone);
    CHECK(twice > alone + alone / 2);
}

TEST_CASE("a borrower gives no K, V of its own, and cannot be written") {
    LayerSpec owner, reader;
    reader.kv_layer = 0;
    Mirror mirror({{owner, reader}, 16, 256, 0, 1}, 3);
    auto sequence = mirror.attach(nullptr);
    MirrorStep step(mirror, plain_step({&sequence}));
    const auto batch = mirror.batch();
    ok(step.begin(batch));
    StridedArray q({1, 4, 32, RA_F32}, Layout::dense), out({1, 4, 32, RA_F32}, Layout::dense);
    StridedArray k({1, 2, 32, RA_F32}, Layout::dense);
    auto args = attend_args();
    args.q = q.view();
    args.out = out.view();
    args.k = args.v = k.view();
    check_refused(ra_batch_attend(batch, 1, &args, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_batch_attend", "k"});
    ok(step.abort());
    const auto prefix = mirror.open_prefix(nullptr, 1);
    auto kv = kv_args();
    kv.k = kv.v = k.view();
    kv.num_tokens = 1;
    check_refused(ra_prefix_write(prefix.handle, 1, 0, &kv, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_prefix_write", "layer", "1"});
}

TEST_CASE("layers of another device stay unset, and are refused by index") {
    LayerSpec unset;
    unset.unset = true;
    Mirror mirror({{LayerSpec{}, unset, LayerSpec{}}, 16, 512, 0, 1}, 4);
    run_some_steps(mirror);
    auto sequence = mirror.attach(nullptr);
    MirrorStep step(mirror, plain_step({&sequence}));
    const auto batch = mirror.batch();
    ok(step.begin(batch));
    auto args = attend_args();
    check_refused(ra_batch_attend(batch, 1, &args, nullptr), RA_ERROR_ARGUMENT,
                  {"ra_batch_attend", "layer", "1"});
    ok(step.abort());
}

TEST_CASE("the memory of a layer can be found, and a borrower's is its owner's") {
    LayerSpec owner, reader;
    reader.kv_layer = 0;
    Mirror mirror({{owner, reader}, 16, 512, 0, 1}, 5);
    ra_page_layout layouts[2] = {};
    ra_layer_memory memories[2] = {};
    for (int64_t layer = 0; layer < 2; ++layer) {
        layouts[layer].struct_size = sizeof layouts[layer];
        memories[layer].struct_size = sizeof memories[layer];
        ok(ra_cache_layer(mirror.cache(), layer, &layouts[layer], &memories[layer]));
        CHECK(layouts[layer].page_size == 16);
        CHECK(layouts[layer].num_pages == mirror.total_pages()[0]);
        CHECK(memories[layer].k_pages != nullptr);
        CHECK(memories[layer].v_pages != nullptr);
        CHECK(memories[layer].k_scale == nullptr);
        CHECK(layouts[layer].k_page_stride >= 16 * 2 * 32 * 4);
    }
    CHECK(memories[0].k_pages == memories[1].k_pages);
    CHECK(memories[0].v_pages == memories[1].v_pages);
}

}  // namespace relayattn::test
