#include "capi/objects.h"

namespace relayattn::capi {

Result<void> check_queue(const Backend& backend, const void* queue) {
    if (queue != nullptr && backend.info().backend == RA_BACKEND_CPU)
        return error(Code::argument, "queue is ", queue, "; it must be null on a CPU context");
    return {};
}

Result<void> check_layer(const Model& model, int64_t layer) {
    if (layer < 0 || layer >= model.num_layers())
        return error(Code::argument, "layer is ", layer, "; it must be from 0 to ",
                     model.num_layers() - 1);
    if (!model.layer(layer).is_set)
        return error(Code::argument, "layer ", layer, " was never set in the model");
    return {};
}

Result<void> check_group(const Model& model, int64_t group) {
    const auto count = static_cast<int64_t>(model.groups().size());
    if (group < 0 || group >= count)
        return error(Code::argument, "group is ", group, "; it must be from 0 to ", count - 1);
    return {};
}

Result<void> check_plan_flags(const Backend& backend, int32_t flags, const char* name) {
    constexpr int32_t low_level = RA_PLAN_DEVICE_LENS | RA_PLAN_FIND_SHARED;
    constexpr int32_t known = RA_PLAN_GRAPH | RA_PLAN_BATCH_INVARIANT | RA_PLAN_TREE | low_level;
    if ((flags & ~known) != 0)
        return error(Code::argument, name, " is ", flags, "; only RA_PLAN_* bits are known");
    if ((flags & low_level) != 0)
        return error(Code::unsupported, name,
                     " holds RA_PLAN_DEVICE_LENS or RA_PLAN_FIND_SHARED, which belong to the low "
                     "level, which this version keeps inside");
    if ((flags & RA_PLAN_GRAPH) != 0 && !backend.info().graphs)
        return error(Code::unsupported, name, " holds RA_PLAN_GRAPH, which needs a CUDA context");
    return {};
}

Result<View> to_view(const ra_view& view, const char* name, int64_t heads, int64_t dim,
                     Dtype dtype) {
    const int64_t element = size_of(dtype);
    if (reinterpret_cast<uintptr_t>(view.data) % static_cast<uintptr_t>(element) != 0)
        return error(Code::argument, name, ".data is ", view.data, "; it must be aligned to ",
                     element, " bytes, its element's size");
    const auto check = [&](int64_t stride, const char* which) -> Result<void> {
        if (stride < 0 || stride % element != 0)
            return error(Code::argument, name, ".", which, " is ", stride,
                         "; it must be 0 (dense) or a positive multiple of ", element,
                         ", in bytes");
        return {};
    };
    if (Result<void> ok = check(view.token_stride, "token_stride"); !ok)
        return ok.error();
    if (Result<void> ok = check(view.head_stride, "head_stride"); !ok)
        return ok.error();
    View full{view.data, view.token_stride, view.head_stride};
    if (full.head_stride == 0)
        full.head_stride = dim * element;
    if (full.token_stride == 0)
        full.token_stride = heads * dim * element;
    return full;
}

Result<Dtype> to_dtype(int32_t dtype, const char* name) {
    switch (dtype) {
        case RA_F32:
        case RA_F16:
        case RA_BF16:
            return static_cast<Dtype>(dtype);
        case RA_F8E4M3:
        case RA_F8E5M2:
        case RA_I8:
        case RA_Q8_0:
        case RA_I4:
        case RA_F4E2M1:
            return error(Code::unsupported, name, " is ", dtype,
                         "; this version computes in RA_F32, RA_F16 and RA_BF16 only");
        default:
            return error(Code::argument, name, " is ", dtype,
                         "; it must be RA_F32 (1), RA_F16 (2) or RA_BF16 (3)");
    }
}

}  // namespace relayattn::capi
