// What is tested, as rows of data.
#pragma once

#include <relayattn/relayattn.h>

#include <cstdint>
#include <string>
#include <vector>

namespace relayattn::test {

// One layer, for the library and the reference alike.
struct LayerSpec {
    int64_t q_heads = 4;
    int64_t kv_heads = 2;
    int64_t dim_k = 32;
    int64_t dim_v = 32;
    int32_t q = RA_F32;
    int32_t kv = RA_F32;
    int32_t out = RA_F32;
    int32_t window_kind = RA_WINDOW_NONE;
    int64_t window = 0;
    int64_t retain = 0;
    int64_t kv_layer = -1;
    bool sinks = false;
    bool alibi = false;
    float scale = 0;
    float softcap = 0;
    bool unset = false;  // the index exists in the model, the layer is another device's

    bool owns_kv() const { return !unset && kv_layer < 0; }
};

struct CacheSpec {
    std::vector<LayerSpec> layers = {LayerSpec{}};
    int64_t page_size = 16;
    int64_t capacity = 1024;
    int64_t max_sequences = 0;
    int64_t threads = 1;
};

struct PlanSpec {
    int32_t mode = RA_MODE_AUTO;
    int32_t flags = 0;
};

ra_layer_options options_of(const LayerSpec& layer);
ra_plan_options options_of(const PlanSpec& plan);
std::string describe(const LayerSpec& layer);
std::string describe(const CacheSpec& cache);

struct Dtypes {
    int32_t q, kv, out;
};
// Every mix of query, KV and output dtype.
std::vector<Dtypes> all_dtypes();

struct Heads {
    int64_t q, kv;
};
inline const std::vector<Heads> head_rows = {{1, 1}, {4, 4},  {4, 2}, {8, 2},
                                             {7, 1}, {14, 2}, {8, 1}};

struct Dims {
    int64_t k, v;
};
inline const std::vector<Dims> dim_rows = {
    {32, 32},   {40, 32},   {32, 40},   {64, 64},   {72, 120}, {96, 96},  {104, 88},
    {128, 128}, {136, 128}, {192, 128}, {128, 192}, {248, 32}, {32, 248}, {256, 256}};

inline const std::vector<int64_t> page_sizes = {1, 5, 16, 17, 64};

inline constexpr int32_t modes[] = {RA_MODE_AUTO, RA_MODE_FLAT, RA_MODE_RELAY};

}  // namespace relayattn::test
