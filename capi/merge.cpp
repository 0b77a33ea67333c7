#include "capi/objects.h"

using namespace relayattn;
using namespace relayattn::capi;

namespace {

Result<void> check_sizes(const ra_merge_args& a) {
    constexpr int64_t most = (int64_t{1} << 31) - 1;
    const struct {
        int64_t value, least;
        const char* name;
    } sizes[] = {{a.num_tokens, 0, "num_tokens"},
                 {a.num_heads, 1, "num_heads"},
                 {a.head_dim, 1, "head_dim"}};
    for (const auto& size : sizes) {
        if (size.value < size.least || size.value > most)
            return error(Code::argument, size.name, " is ", size.value, "; it must be from ",
                         size.least, " to ", most);
    }
    if (a.lse_base2 != 0 && a.lse_base2 != 1)
        return error(Code::argument, "lse_base2 is ", a.lse_base2, "; it must be 0 or 1");
    if (a.reserved != 0)
        return error(Code::argument, "reserved is ", a.reserved, "; it must be 0");
    if (a.lse_token_stride < 0 || a.lse_head_stride < 0)
        return error(Code::argument, "lse_token_stride is ", a.lse_token_stride,
                     " and lse_head_stride is ", a.lse_head_stride,
                     "; each must be 0 (dense) or positive, in floats");
    return {};
}

Result<void> check_pointers(const ra_merge_args& a) {
    if (a.num_tokens == 0)
        return {};
    const struct {
        const void* pointer;
        const char* name;
    } pointers[] = {{a.a.data, "a.data"},
                    {a.b.data, "b.data"},
                    {a.out.data, "out.data"},
                    {a.a_lse, "a_lse"},
                    {a.b_lse, "b_lse"}};
    for (const auto& one : pointers) {
        if (Result<void> ok = require(one.pointer, one.name); !ok)
            return ok;
    }
    return {};
}

Result<MergeCall> to_call(const ra_merge_args* given) {
    Result<ra_merge_args> a = take_struct(given, "a");
    if (!a)
        return a.error();
    if (Result<void> ok = check_sizes(*a); !ok)
        return ok.error();
    Result<Dtype> in = to_dtype(a->in_dtype, "in_dtype");
    if (!in)
        return in.error();
    Result<Dtype> out = to_dtype(a->out_dtype, "out_dtype");
    if (!out)
        return out.error();
    if (Result<void> ok = check_pointers(*a); !ok)
        return ok.error();
    Result<View> a_view = to_view(a->a, "a", a->num_heads, a->head_dim, *in);
    Result<View> b_view = to_view(a->b, "b", a->num_heads, a->head_dim, *in);
    Result<View> out_view = to_view(a->out, "out", a->num_heads, a->head_dim, *out);
    for (const Result<View>* view : {&a_view, &b_view, &out_view}) {
        if (!*view)
            return view->error();
    }
    MergeCall call;
    call.num_tokens = a->num_tokens;
    call.num_heads = a->num_heads;
    call.head_dim = a->head_dim;
    call.in_dtype = *in;
    call.out_dtype = *out;
    call.base2 = a->lse_base2 != 0;
    call.a = *a_view;
    call.b = *b_view;
    call.out = *out_view;
    call.a_lse = a->a_lse;
    call.b_lse = a->b_lse;
    call.out_lse = a->out_lse;
    call.lse_token_stride = a->lse_token_stride != 0 ? a->lse_token_stride : a->num_heads;
    call.lse_head_stride = a->lse_head_stride != 0 ? a->lse_head_stride : 1;
    return call;
}

}  // namespace

ra_status ra_merge_state(ra_context c, const ra_merge_args* a, void* queue) {
    return guarded(__func__, [&]() -> Result<void> {
        auto context = look_up(c, "c");
        if (!context)
            return context.error();
        Result<MergeCall> call = to_call(a);
        if (!call)
            return call.error();
        if (Result<void> ok = check_queue((*context)->backend(), queue); !ok)
            return ok;
        return (*context)->backend().merge(*call, queue);
    });
}
