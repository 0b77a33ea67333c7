#include "capi/attend_args.h"

#include <cmath>

#include "capi/objects.h"

namespace relayattn::capi {
namespace {

Result<void> check_reserved(const ra_attend_args& a) {
    if (a.q_scale != nullptr || a.out_scale != nullptr)
        return error(Code::unsupported, a.q_scale != nullptr ? "q_scale" : "out_scale",
                     " is given; this version has no quantised q or out");
    if (a.slots != nullptr)
        return error(Code::argument,
                     "slots is given; it must be null, since the batch knows where k, v go");
    return {};
}

Result<void> check_vector(const float* given, bool used, const char* name, const char* flag) {
    if (used && given == nullptr)
        return error(Code::argument, name, " is null; the layer has ", flag,
                     ", so it must hold num_q_heads floats");
    if (!used && given != nullptr)
        return error(Code::argument, name, " is given; the layer was set without ", flag);
    return {};
}

Result<void> check_kv(const ra_attend_args& a, const Layer& layer) {
    if ((a.k.data == nullptr) != (a.v.data == nullptr))
        return error(Code::argument, a.k.data == nullptr ? "k" : "v",
                     ".data is null; give both k and v, or neither");
    if (a.k.data != nullptr && layer.kv_layer >= 0)
        return error(Code::argument,
                     "k and v are given; they must be null for a layer that reads "
                     "the KV of layer ",
                     layer.kv_layer);
    return {};
}

Result<void> set_views(const ra_attend_args& a, const Layer& layer, AttendCall& call) {
    const KvGeometry& kv = layer.kv;
    const struct {
        const ra_view& from;
        View& to;
        const char* name;
        int64_t heads, dim;
        Dtype dtype;
    } views[] = {
        {a.q, call.q, "q", layer.num_q_heads, kv.head_dim_k, layer.q_dtype},
        {a.out, call.out, "out", layer.num_q_heads, kv.head_dim_v, layer.out_dtype},
        {a.k, call.k, "k", kv.num_kv_heads, kv.head_dim_k, kv.dtype},
        {a.v, call.v, "v", kv.num_kv_heads, kv.head_dim_v, kv.dtype},
    };
    for (const auto& view : views) {
        Result<View> full = to_view(view.from, view.name, view.heads, view.dim, view.dtype);
        if (!full)
            return full.error();
        view.to = *full;
    }
    return {};
}

Result<void> set_scalars(const ra_attend_args& a, const Layer& layer, AttendCall& call) {
    if (!std::isfinite(a.softmax_scale))
        return error(Code::argument, "softmax_scale is ", a.softmax_scale,
                     "; it must be finite, 0 for the layer's");
    if (!std::isfinite(a.logit_softcap) || a.logit_softcap < 0)
        return error(Code::argument, "logit_softcap is ", a.logit_softcap,
                     "; it must be finite and at least 0, 0 for the layer's");
    if (a.lse_token_stride < 0 || a.lse_head_stride < 0)
        return error(Code::argument, "lse_token_stride is ", a.lse_token_stride,
                     " and lse_head_stride is ", a.lse_head_stride,
                     "; each must be 0 (dense) or positive, in floats");
    call.softmax_scale = a.softmax_scale != 0 ? a.softmax_scale : layer.softmax_scale;
    call.logit_softcap = a.logit_softcap != 0 ? a.logit_softcap : layer.logit_softcap;
    call.lse = a.lse;
    call.lse_token_stride = a.lse_token_stride != 0 ? a.lse_token_stride : layer.num_q_heads;
    call.lse_head_stride = a.lse_head_stride != 0 ? a.lse_head_stride : 1;
    call.sink_logits = a.sink_logits;
    call.alibi_slopes = a.alibi_slopes;
    return {};
}

}  // namespace

Result<AttendCall> to_attend_call(const Model& model, int64_t layer_index,
                                  const ra_attend_args* given) {
    if (Result<void> ok = check_layer(model, layer_index); !ok)
        return ok.error();
    Result<ra_attend_args> args = take_struct(given, "a");
    if (!args)
        return args.error();
    const Layer& layer = model.layer(layer_index);
    AttendCall call;
    const Result<void> checks[] = {
        check_reserved(*args),
        check_vector(args->sink_logits, layer.uses_sinks, "sink_logits", "uses_sinks"),
        check_vector(args->alibi_slopes, layer.uses_alibi, "alibi_slopes", "uses_alibi"),
        check_kv(*args, layer),
        set_views(*args, layer, call),
        set_scalars(*args, layer, call),
    };
    for (const Result<void>& check : checks) {
        if (!check)
            return check.error();
    }
    return call;
}

}  // namespace relayattn::capi
