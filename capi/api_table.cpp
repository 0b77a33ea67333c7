// The table for dlopen hosts. It only ever grows at its end: the asserts pin what is released.
#include <cstddef>
#include <cstdio>

#include "capi/boundary.h"

namespace {

constexpr ra_api table = {
    sizeof(ra_api),          ra_version,
    ra_last_error,           ra_status_name,
    ra_context_options_init, ra_context_create,
    ra_context_set_log,      ra_context_query,
    ra_context_release,      ra_layer_options_init,
    ra_model_create,         ra_model_set_layers,
    ra_model_layer_group,    ra_context_supports,
    ra_model_release,        ra_plan_options_init,
    ra_merge_state,          ra_cache_options_init,
    ra_cache_memory,         ra_cache_create,
    ra_cache_pages,          ra_cache_layer,
    ra_cache_release,        ra_prefix_create,
    ra_prefix_write,         ra_prefix_read,
    ra_prefix_seal,          ra_prefix_from_sequence,
    ra_prefix_split,         ra_prefix_length,
    ra_prefix_save,          ra_prefix_load,
    ra_prefix_release,       ra_sequence_attach,
    ra_sequence_fork,        ra_sequence_truncate,
    ra_sequence_length,      ra_sequence_erase,
    ra_sequence_pages,       ra_sequence_release,
    ra_batch_memory,         ra_batch_create,
    ra_batch_pages_needed,   ra_batch_begin,
    ra_batch_begin_dummy,    ra_batch_attend,
    ra_batch_attend_worker,  ra_batch_commit,
    ra_batch_commit_device,  ra_batch_abort,
    ra_batch_query,          ra_batch_release,
};

constexpr size_t entry_0_1_last = offsetof(ra_api, batch_release);
static_assert(offsetof(ra_api, version) == 1 * sizeof(void*));
static_assert(entry_0_1_last == 51 * sizeof(void*));
static_assert(sizeof(ra_api) == entry_0_1_last + sizeof(void*));

constexpr int64_t oldest_served = 100;  // 0.1.0

}  // namespace

const ra_api* ra_get_api(int64_t version) {
    if (version >= oldest_served && version <= RA_VERSION)
        return &table;
    char text[96];
    std::snprintf(text, sizeof text, "version is %lld; it must be from %lld to %d, this library's",
                  static_cast<long long>(version), static_cast<long long>(oldest_served),
                  RA_VERSION);
    relayattn::capi::set_last_error(__func__, text);
    return nullptr;
}
