#include "impl/cuda/general/attend.h"
#include "impl/cuda/general/tiles.h"

namespace relayattn::cuda::general {

// Estimates from the kernel's shape; a calibrated table replaces them.
DeviceFigures figures(const Layer& layer, int num_sms) {
    const auto sms = static_cast<double>(num_sms);
    DeviceFigures figures;
    figures.num_workers = int64_t{4} * num_sms;
    figures.few_rows = k_tile_rows;
    figures.tile_rows = int64_t{4} * k_tile_rows;
    figures.chunk_granule = k_tile_tokens;
    figures.min_chunk = 128;
    figures.invariant_chunk = 1024;
    figures.read_bytes_per_ns = 20 * sms;
    figures.few_flops_per_ns = 25 * sms;
    figures.many_flops_per_ns = 80 * sms;
    figures.item_ns = 1500;
    figures.partial_ns = 0.002 * static_cast<double>(layer.kv.head_dim_v);
    figures.launch_ns = 3000;
    return figures;
}

}  // namespace relayattn::cuda::general
