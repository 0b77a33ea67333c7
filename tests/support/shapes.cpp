#include "shapes.h"

#include <sstream>

#include "api.h"
#include "dtype.h"

namespace relayattn::test {

ra_layer_options options_of(const LayerSpec& layer) {
    auto options = layer_options();
    options.num_q_heads = layer.q_heads;
    options.num_kv_heads = layer.kv_heads;
    options.head_dim_k = layer.dim_k;
    options.head_dim_v = layer.dim_v;
    options.q_dtype = layer.q;
    options.k_dtype = layer.kv;
    options.v_dtype = layer.kv;
    options.out_dtype = layer.out;
    options.window_kind = layer.window_kind;
    options.window = layer.window;
    options.retain = layer.retain;
    options.kv_layer = layer.kv_layer;
    options.uses_sinks = layer.sinks ? 1 : 0;
    options.uses_alibi = layer.alibi ? 1 : 0;
    options.softmax_scale = layer.scale;
    options.logit_softcap = layer.softcap;
    return options;
}

ra_plan_options options_of(const PlanSpec& plan) {
    auto options = plan_options();
    options.mode = plan.mode;
    options.flags = plan.flags;
    return options;
}

std::string describe(const LayerSpec& layer) {
    if (layer.unset)
        return "unset";
    std::ostringstream text;
    text << "heads " << layer.q_heads << '/' << layer.kv_heads << " dims " << layer.dim_k << '/'
         << layer.dim_v << ' ' << name_of(layer.q) << '/' << name_of(layer.kv) << '/'
         << name_of(layer.out);
    if (layer.window_kind != RA_WINDOW_NONE)
        text << (layer.window_kind == RA_WINDOW_SLIDING ? " sliding " : " chunked ") << layer.window
             << " retain " << layer.retain;
    if (layer.kv_layer >= 0)
        text << " kv_layer " << layer.kv_layer;
    if (layer.sinks)
        text << " sinks";
    if (layer.alibi)
        text << " alibi";
    text << " scale " << layer.scale << " softcap " << layer.softcap;
    return text.str();
}

std::string describe(const CacheSpec& cache) {
    std::ostringstream text;
    text << "page_size " << cache.page_size << " capacity " << cache.capacity << " max_sequences "
         << cache.max_sequences << " threads " << cache.threads;
    for (size_t i = 0; i < cache.layers.size(); ++i)
        text << "\n  layer " << i << ": " << describe(cache.layers[i]);
    return text.str();
}

std::vector<Dtypes> all_dtypes() {
    std::vector<Dtypes> rows;
    for (int32_t q : {RA_F32, RA_F16, RA_BF16})
        for (int32_t kv : {RA_F32, RA_F16, RA_BF16})
            for (int32_t out : {RA_F32, RA_F16, RA_BF16})
                rows.push_back({q, kv, out});
    return rows;
}

}  // namespace relayattn::test
