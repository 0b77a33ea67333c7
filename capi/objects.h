// The object behind every handle type, and the checks that several families share.
#pragma once

#include "capi/boundary.h"
#include "impl/core/batch.h"
#include "impl/core/cache.h"
#include "impl/core/context.h"
#include "impl/core/model.h"
#include "impl/core/prefix.h"
#include "impl/core/sequence.h"

namespace relayattn::capi {

// A model that may still change; caches take a copy.
struct ModelObject {
    explicit ModelObject(int64_t num_layers) : model(num_layers) {}

    mutable std::mutex mutex;
    Model model;

    Model copy() const {
        const std::lock_guard lock(mutex);
        return model;
    }
};

template <>
struct HandleTraits<ra_context> {
    using Object = Context;
    static constexpr Kind kind = Kind::context;
    static constexpr const char* name = "ra_context";
};
template <>
struct HandleTraits<ra_model> {
    using Object = ModelObject;
    static constexpr Kind kind = Kind::model;
    static constexpr const char* name = "ra_model";
};
template <>
struct HandleTraits<ra_cache> {
    using Object = Cache;
    static constexpr Kind kind = Kind::cache;
    static constexpr const char* name = "ra_cache";
};
template <>
struct HandleTraits<ra_prefix> {
    using Object = Prefix;
    static constexpr Kind kind = Kind::prefix;
    static constexpr const char* name = "ra_prefix";
};
template <>
struct HandleTraits<ra_sequence> {
    using Object = Sequence;
    static constexpr Kind kind = Kind::sequence;
    static constexpr const char* name = "ra_sequence";
};
template <>
struct HandleTraits<ra_batch> {
    using Object = Batch;
    static constexpr Kind kind = Kind::batch;
    static constexpr const char* name = "ra_batch";
};

// Makes an object and its handle; nothing is left behind if any step fails.
template <class Handle, class Make>
Result<void> create(Handle* out, Make&& make) {
    if (out == nullptr)
        return error(Code::argument, "out is null");
    HandleTable::Reservation slot(handles(), HandleTraits<Handle>::kind);
    auto object = make();
    if (!object)
        return object.error();
    *out = handle_of<Handle>(slot.fill(std::move(*object)));
    return {};
}

Result<void> check_queue(const Backend& backend, const void* queue);
Result<void> check_layer(const Model& model, int64_t layer);
Result<void> check_group(const Model& model, int64_t group);
// RA_PLAN_* bits, and whether the backend can do what they ask for.
Result<void> check_plan_flags(const Backend& backend, int32_t flags, const char* name);

// A view with its dense strides filled in: [tokens, heads, dim] of `dtype`.
Result<View> to_view(const ra_view& view, const char* name, int64_t heads, int64_t dim,
                     Dtype dtype);

Result<Dtype> to_dtype(int32_t dtype, const char* name);

}  // namespace relayattn::capi
