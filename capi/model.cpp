#include <cmath>

#include "capi/objects.h"

using namespace relayattn;
using namespace relayattn::capi;

namespace {

constexpr int64_t max_heads = 1 << 16;

Result<void> check_head_dim(int64_t dim, const char* name) {
    if (dim < 32 || dim > 256 || dim % 8 != 0)
        return error(Code::argument, name, " is ", dim,
                     "; it must be a multiple of 8 from 32 to 256");
    return {};
}

Result<void> check_heads(const ra_layer_options& o) {
    if (o.num_kv_heads < 1 || o.num_kv_heads > max_heads)
        return error(Code::argument, "num_kv_heads is ", o.num_kv_heads, "; it must be from 1 to ",
                     max_heads);
    if (o.num_q_heads < 1 || o.num_q_heads > max_heads || o.num_q_heads % o.num_kv_heads != 0)
        return error(Code::argument, "num_q_heads is ", o.num_q_heads,
                     "; it must be a multiple of num_kv_heads, ", o.num_kv_heads, ", up to ",
                     max_heads);
    if (Result<void> ok = check_head_dim(o.head_dim_k, "head_dim_k"); !ok)
        return ok;
    return check_head_dim(o.head_dim_v, "head_dim_v");
}

Result<Window> to_window(const ra_layer_options& o) {
    if (o.window_kind < RA_WINDOW_NONE || o.window_kind > RA_WINDOW_CHUNKED)
        return error(Code::argument, "window_kind is ", o.window_kind,
                     "; it must be one of RA_WINDOW_* (0 to 2)");
    if (o.window_kind == RA_WINDOW_NONE) {
        if (o.window != 0 || o.retain != 0)
            return error(Code::argument, "window is ", o.window, " and retain is ", o.retain,
                         "; both must be 0 with RA_WINDOW_NONE");
        return Window{};
    }
    constexpr int64_t most = (int64_t{1} << 31) - 1;
    if (o.window < 1 || o.window > most)
        return error(Code::argument, "window is ", o.window, "; it must be from 1 to ", most);
    if (o.retain != 0 && o.retain != -1 && (o.retain < o.window || o.retain > most))
        return error(Code::argument, "retain is ", o.retain,
                     "; it must be 0 (= window), -1 (all) or at least window, ", o.window);
    // Keeping exactly the window is the default in other words: the same group.
    return Window{static_cast<WindowKind>(o.window_kind), o.window,
                  o.retain == o.window ? 0 : o.retain};
}

Result<void> check_reserved(const ra_layer_options& o) {
    if (o.kv_form == RA_KV_LATENT)
        return error(Code::unsupported,
                     "kv_form is RA_KV_LATENT; this version keeps K and V apart");
    if (o.kv_form != RA_KV_SEPARATE)
        return error(Code::argument, "kv_form is ", o.kv_form, "; it must be RA_KV_SEPARATE (0)");
    if (o.k_scale != RA_SCALE_NONE || o.v_scale != RA_SCALE_NONE) {
        const bool known = o.k_scale >= 0 && o.k_scale <= RA_SCALE_CHANNEL && o.v_scale >= 0 &&
                           o.v_scale <= RA_SCALE_CHANNEL;
        return error(known ? Code::unsupported : Code::argument, "k_scale is ", o.k_scale,
                     " and v_scale is ", o.v_scale,
                     "; this version has no quantised KV, so both must be RA_SCALE_NONE (0)");
    }
    return {};
}

Result<void> set_dtypes(const ra_layer_options& o, Layer& layer) {
    Result<Dtype> q = to_dtype(o.q_dtype, "q_dtype");
    Result<Dtype> k = to_dtype(o.k_dtype, "k_dtype");
    Result<Dtype> v = to_dtype(o.v_dtype, "v_dtype");
    Result<Dtype> out = to_dtype(o.out_dtype, "out_dtype");
    for (const Result<Dtype>* one : {&q, &k, &v, &out}) {
        if (!*one)
            return one->error();
    }
    if (*k != *v)
        return error(Code::unsupported, "k_dtype is ", o.k_dtype, " and v_dtype is ", o.v_dtype,
                     "; this version keeps K and V in the same dtype");
    layer.q_dtype = *q;
    layer.kv.dtype = *k;
    layer.out_dtype = *out;
    return {};
}

Result<Layer> to_layer(const ra_layer_options& o) {
    if (Result<void> ok = check_heads(o); !ok)
        return ok.error();
    if (Result<void> ok = check_reserved(o); !ok)
        return ok.error();
    Layer layer;
    if (Result<void> ok = set_dtypes(o, layer); !ok)
        return ok.error();
    Result<Window> window = to_window(o);
    if (!window)
        return window.error();
    if (o.kv_layer < -1)
        return error(Code::argument, "kv_layer is ", o.kv_layer,
                     "; it must be -1 (own KV) or a lower layer");
    const auto is_flag = [](int32_t flag) { return flag == 0 || flag == 1; };
    if (!is_flag(o.uses_sinks) || !is_flag(o.uses_alibi))
        return error(Code::argument, "uses_sinks is ", o.uses_sinks, " and uses_alibi is ",
                     o.uses_alibi, "; each must be 0 or 1");
    if (!std::isfinite(o.softmax_scale))
        return error(Code::argument, "softmax_scale is ", o.softmax_scale,
                     "; it must be finite, 0 for 1/sqrt(head_dim_k)");
    if (!std::isfinite(o.logit_softcap) || o.logit_softcap < 0)
        return error(Code::argument, "logit_softcap is ", o.logit_softcap,
                     "; it must be finite and at least 0, 0 for none");
    layer.kv.num_kv_heads = o.num_kv_heads;
    layer.kv.head_dim_k = o.head_dim_k;
    layer.kv.head_dim_v = o.head_dim_v;
    layer.window = *window;
    layer.num_q_heads = o.num_q_heads;
    layer.kv_layer = o.kv_layer;
    layer.uses_sinks = o.uses_sinks != 0;
    layer.uses_alibi = o.uses_alibi != 0;
    layer.softmax_scale =
        o.softmax_scale != 0 ? o.softmax_scale : 1.0F / std::sqrt(static_cast<float>(o.head_dim_k));
    layer.logit_softcap = o.logit_softcap;
    layer.is_set = true;
    return layer;
}

}  // namespace

ra_status ra_layer_options_init(ra_layer_options* o, int64_t struct_size) {
    return guarded(__func__, [&] {
        ra_layer_options defaults{};
        defaults.q_dtype = defaults.k_dtype = defaults.v_dtype = defaults.out_dtype = RA_BF16;
        defaults.kv_layer = -1;
        return give_struct(defaults, o, struct_size, "o");
    });
}

ra_status ra_model_create(int64_t num_layers, ra_model* out) {
    return guarded(__func__, [&]() -> Result<void> {
        constexpr int64_t most = 1 << 16;
        if (num_layers < 1 || num_layers > most)
            return error(Code::argument, "num_layers is ", num_layers, "; it must be from 1 to ",
                         most);
        return create(out, [&]() -> Result<std::shared_ptr<ModelObject>> {
            return std::make_shared<ModelObject>(num_layers);
        });
    });
}

ra_status ra_model_set_layers(ra_model m, int64_t first, int64_t count, const ra_layer_options* o) {
    return guarded(__func__, [&]() -> Result<void> {
        auto model = look_up(m, "m");
        if (!model)
            return model.error();
        const std::lock_guard lock((*model)->mutex);
        const int64_t num_layers = (*model)->model.num_layers();
        if (first < 0 || first > num_layers)
            return error(Code::argument, "first is ", first, "; it must be from 0 to ", num_layers);
        if (count < 0 || count > num_layers - first)
            return error(Code::argument, "count is ", count, "; it must be from 0 to ",
                         num_layers - first, ", the layers from first on");
        Result<ra_layer_options> options = take_struct(o, "o");
        if (!options)
            return options.error();
        Result<Layer> layer = to_layer(*options);
        if (!layer)
            return layer.error();
        return (*model)->model.set_layers(first, count, *layer);
    });
}

ra_status ra_model_layer_group(ra_model m, int64_t layer, int64_t* group_out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto model = look_up(m, "m");
        if (!model)
            return model.error();
        if (Result<void> ok = require(group_out, "group_out"); !ok)
            return ok;
        const Model copy = (*model)->copy();
        if (Result<void> ok = check_layer(copy, layer); !ok)
            return ok;
        *group_out = copy.layer(layer).group;
        return {};
    });
}

ra_status ra_context_supports(ra_context c, ra_model m, int64_t page_size, int32_t plan_flags) {
    return guarded(__func__, [&]() -> Result<void> {
        auto context = look_up(c, "c");
        if (!context)
            return context.error();
        auto model = look_up(m, "m");
        if (!model)
            return model.error();
        const Backend& backend = (*context)->backend();
        if (page_size < 0 || page_size > 65536)
            return error(Code::argument, "page_size is ", page_size,
                         "; it must be 0 (the device's best) or from 1 to 65536");
        if (Result<void> ok = check_plan_flags(backend, plan_flags, "plan_flags"); !ok)
            return ok;
        const bool graph = (plan_flags & RA_PLAN_GRAPH) != 0;
        const Model copy = (*model)->copy();
        if (copy.groups().empty())
            return error(Code::state, "model has no layer set; set one before it is used");
        for (int64_t l = 0; l < copy.num_layers(); ++l) {
            if (!copy.layer(l).is_set)
                continue;
            const int64_t size = page_size == 0 ? backend.info().page_size : page_size;
            if (Result<void> ok = backend.supports(copy.layer(l), size, graph); !ok)
                return error(ok.error().code, "layer ", l, ": ", ok.error().text);
        }
        return {};
    });
}

void ra_model_release(ra_model m) {
    release(m);
}
