// What the planner knows of a device. Backends give measured rows; the planner holds no device
// constant.
#pragma once

#include <cstdint>

namespace relayattn {

struct DeviceFigures {
    int64_t num_workers = 1;  // threads, or CTAs that run at once
    int64_t few_rows = 8;  // items with at most so many rows per KV head go to the few-row kernel
    int64_t tile_rows = 128;         // most rows per KV head of one many-row item
    int64_t chunk_granule = 64;      // items are cut at multiples of so many tokens
    int64_t min_chunk = 256;         // no item is cut shorter than this
    int64_t invariant_chunk = 1024;  // chunk of the batch-invariant mode, by token position
    double read_bytes_per_ns = 20;   // all workers together, beyond the caches
    double few_flops_per_ns = 50;    // all workers together, few-row kernel
    double many_flops_per_ns = 200;  // all workers together, many-row kernel
    double item_ns = 300;            // fixed cost of one item on one KV head
    double many_item_ns = 0;         // what it is more for an item with many rows
    double partial_ns = 20;          // writing and merging one partial of one query head
    int64_t few_beside = 1;          // few-row items that a worker has under way at once, at most
    int64_t many_row_granule = 1;    // the many-row kernel pays for multiples of so many rows
    double balance = 1;              // largest item, as a share of one worker's part of the work
    double launch_ns = 0;            // fixed cost of an attend that has partials to merge
};

}  // namespace relayattn
