#include "capi/objects.h"

using namespace relayattn;
using namespace relayattn::capi;

namespace {

struct KvViews {
    View k, v;
    int64_t num_tokens;
};

Result<KvViews> to_views(const ra_kv* given, const Layer& layer) {
    Result<ra_kv> kv = take_struct(given, "kv");
    if (!kv)
        return kv.error();
    if (kv->slots != nullptr)
        return error(Code::argument, "kv->slots is given; it must be null for a prefix");
    if (kv->num_tokens > 0 && (kv->k.data == nullptr || kv->v.data == nullptr))
        return error(Code::argument, kv->k.data == nullptr ? "kv->k" : "kv->v",
                     ".data is null; it must hold kv->num_tokens = ", kv->num_tokens, " tokens");
    const KvGeometry& geometry = layer.kv;
    Result<View> k =
        to_view(kv->k, "kv->k", geometry.num_kv_heads, geometry.head_dim_k, geometry.dtype);
    if (!k)
        return k.error();
    Result<View> v =
        to_view(kv->v, "kv->v", geometry.num_kv_heads, geometry.head_dim_v, geometry.dtype);
    if (!v)
        return v.error();
    return KvViews{*k, *v, kv->num_tokens};
}

using Transfer = Result<void> (Prefix::*)(int64_t, int64_t, const View&, const View&, int64_t,
                                          void*);

Result<void> transfer(ra_prefix p, int64_t layer, int64_t pos, const ra_kv* kv, void* queue,
                      Transfer run) {
    auto prefix = look_up(p, "p");
    if (!prefix)
        return prefix.error();
    const Cache& cache = *(*prefix)->cache();
    if (Result<void> ok = check_layer(cache.model(), layer); !ok)
        return ok;
    if (cache.model().layer(layer).kv_layer >= 0)
        return error(Code::argument, "layer ", layer, " has no KV of its own; it reads layer ",
                     cache.model().layer(layer).kv_layer, "'s");
    if (Result<void> ok = check_queue(cache.backend(), queue); !ok)
        return ok;
    Result<KvViews> views = to_views(kv, cache.model().layer(layer));
    if (!views)
        return views.error();
    return ((**prefix).*run)(layer, pos, views->k, views->v, views->num_tokens, queue);
}

}  // namespace

ra_status ra_prefix_create(ra_cache k, ra_prefix parent, int64_t num_tokens, ra_prefix* out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto cache = look_up(k, "k");
        if (!cache)
            return cache.error();
        std::shared_ptr<Prefix> above;
        if (parent != nullptr) {
            auto found = look_up(parent, "parent");
            if (!found)
                return found.error();
            above = *found;
            if (above->cache() != *cache)
                return error(Code::argument, "parent belongs to another cache");
        }
        return create(out, [&] { return Prefix::create(*cache, above.get(), num_tokens); });
    });
}

ra_status ra_prefix_write(ra_prefix p, int64_t layer, int64_t pos, const ra_kv* kv, void* queue) {
    return guarded(__func__, [&] { return transfer(p, layer, pos, kv, queue, &Prefix::write); });
}

ra_status ra_prefix_read(ra_prefix p, int64_t layer, int64_t pos, const ra_kv* kv, void* queue) {
    return guarded(__func__, [&] { return transfer(p, layer, pos, kv, queue, &Prefix::read); });
}

ra_status ra_prefix_seal(ra_prefix p, void* queue) {
    return guarded(__func__, [&]() -> Result<void> {
        auto prefix = look_up(p, "p");
        if (!prefix)
            return prefix.error();
        if (Result<void> ok = check_queue((*prefix)->cache()->backend(), queue); !ok)
            return ok;
        return (*prefix)->seal(queue);
    });
}

ra_status ra_prefix_from_sequence(ra_sequence s, int64_t num_tokens, ra_prefix* out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto sequence = look_up(s, "s");
        if (!sequence)
            return sequence.error();
        return create(out, [&] { return (*sequence)->freeze(num_tokens); });
    });
}

ra_status ra_prefix_split(ra_prefix p, int64_t num_tokens, ra_prefix* head_out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto prefix = look_up(p, "p");
        if (!prefix)
            return prefix.error();
        if (Result<void> ok = require(head_out, "head_out"); !ok)
            return ok;
        return create(head_out, [&] { return (*prefix)->split(num_tokens); });
    });
}

ra_status ra_prefix_length(ra_prefix p, int64_t* own_out, int64_t* total_out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto prefix = look_up(p, "p");
        if (!prefix)
            return prefix.error();
        if (Result<void> ok = require(own_out, "own_out"); !ok)
            return ok;
        if (Result<void> ok = require(total_out, "total_out"); !ok)
            return ok;
        const Prefix::Length length = (*prefix)->length();
        *own_out = length.own;
        *total_out = length.total;
        return {};
    });
}

ra_status ra_prefix_save(ra_prefix p, void*, int64_t, int64_t*) {
    return guarded(__func__, [&]() -> Result<void> {
        auto prefix = look_up(p, "p");
        if (!prefix)
            return prefix.error();
        return error(Code::unsupported,
                     "this version has no file format yet; read every layer with ra_prefix_read");
    });
}

ra_status ra_prefix_load(ra_cache k, ra_prefix, const void*, int64_t, ra_prefix*) {
    return guarded(__func__, [&]() -> Result<void> {
        auto cache = look_up(k, "k");
        if (!cache)
            return cache.error();
        return error(Code::unsupported,
                     "this version has no file format yet; write every layer with ra_prefix_write");
    });
}

void ra_prefix_release(ra_prefix p) {
    release(p);
}
