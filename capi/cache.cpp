#include "capi/objects.h"

using namespace relayattn;
using namespace relayattn::capi;

namespace {

Result<CacheOptions> to_options(const ra_cache_options* o) {
    Result<ra_cache_options> given = take_struct(o, "o");
    if (!given)
        return given.error();
    if (given->memory == nullptr && given->memory_size != 0)
        return error(Code::argument, "memory_size is ", given->memory_size,
                     "; it must be 0 when memory is null");
    return CacheOptions{given->page_size, given->capacity_tokens, given->max_sequences,
                        given->memory, given->memory_size};
}

}  // namespace

ra_status ra_cache_options_init(ra_cache_options* o, int64_t struct_size) {
    return guarded(__func__, [&] { return give_struct(ra_cache_options{}, o, struct_size, "o"); });
}

ra_status ra_cache_memory(ra_context c, ra_model m, const ra_cache_options* o, int64_t* bytes_out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto context = look_up(c, "c");
        if (!context)
            return context.error();
        auto model = look_up(m, "m");
        if (!model)
            return model.error();
        Result<CacheOptions> options = to_options(o);
        if (!options)
            return options.error();
        if (Result<void> ok = require(bytes_out, "bytes_out"); !ok)
            return ok;
        Result<int64_t> bytes = Cache::bytes_needed(**context, (*model)->copy(), *options);
        if (!bytes)
            return bytes.error();
        *bytes_out = *bytes;
        return {};
    });
}

ra_status ra_cache_create(ra_context c, ra_model m, const ra_cache_options* o, ra_cache* out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto context = look_up(c, "c");
        if (!context)
            return context.error();
        auto model = look_up(m, "m");
        if (!model)
            return model.error();
        Result<CacheOptions> options = to_options(o);
        if (!options)
            return options.error();
        return create(out, [&] { return Cache::create(*context, (*model)->copy(), *options); });
    });
}

ra_status ra_cache_pages(ra_cache k, int64_t group, int64_t* total_out, int64_t* free_out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto cache = look_up(k, "k");
        if (!cache)
            return cache.error();
        if (Result<void> ok = check_group((*cache)->model(), group); !ok)
            return ok;
        if (Result<void> ok = require(total_out, "total_out"); !ok)
            return ok;
        if (Result<void> ok = require(free_out, "free_out"); !ok)
            return ok;
        const std::lock_guard lock((*cache)->mutex);
        const PagePool& pool = (*cache)->pools[(*cache)->pool_of(group)];
        *total_out = pool.total();
        *free_out = pool.free();
        return {};
    });
}

ra_status ra_cache_layer(ra_cache k, int64_t layer, ra_page_layout* layout_out,
                         ra_layer_memory* memory_out) {
    return guarded(__func__, [&]() -> Result<void> {
        auto cache = look_up(k, "k");
        if (!cache)
            return cache.error();
        if (Result<void> ok = check_layer((*cache)->model(), layer); !ok)
            return ok;
        if (Result<void> ok = require(layout_out, "layout_out"); !ok)
            return ok;
        if (Result<void> ok = require(memory_out, "memory_out"); !ok)
            return ok;
        const LayerStore& store = (*cache)->store(layer);
        const int64_t group = (*cache)->model().layer(layer).group;
        ra_page_layout layout{};
        layout.page_size = store.layout.page_size;
        layout.num_pages = (*cache)->pools[(*cache)->pool_of(group)].total();
        layout.table_kind = RA_TABLE_INDEX32;
        layout.packed = store.layout.packed ? 1 : 0;
        layout.k_page_stride = store.layout.k_page_stride;
        layout.k_token_stride = store.layout.k_token_stride;
        layout.k_head_stride = store.layout.k_head_stride;
        layout.v_page_stride = store.layout.v_page_stride;
        layout.v_token_stride = store.layout.v_token_stride;
        layout.v_head_stride = store.layout.v_head_stride;
        ra_layer_memory memory{};
        memory.k_pages = store.pages.k;
        memory.v_pages = store.pages.v;
        // Both are checked before either is written.
        if (Result<void> ok = check_room(layout_out, layout_out->struct_size, "layout_out"); !ok)
            return ok;
        if (Result<void> ok =
                give_struct(memory, memory_out, memory_out->struct_size, "memory_out");
            !ok)
            return ok;
        return give_struct(layout, layout_out, layout_out->struct_size, "layout_out");
    });
}

void ra_cache_release(ra_cache k) {
    release(k);
}
