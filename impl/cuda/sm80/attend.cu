#include "impl/cuda/sm80/attend.h"

#include "impl/cuda/sm80/launch.h"
#include "impl/cuda/sm80/legality.h"

namespace relayattn::cuda::sm80 {
namespace {

constexpr int k_tile_rows = 64;

}  // namespace

bool supports(const AttendParams& params) {
    return is_legal(params) && params.num_q_heads / params.num_kv_heads <= k_tile_rows;
}

void launch(const AttendParams& params, const LaunchBounds& bounds, cudaStream_t stream) {
    if (params.kv_dtype == Dtype::bf16)
        launch_typed<__nv_bfloat16>(params, bounds, stream);
    else
        launch_typed<__half>(params, bounds, stream);
}

// Per SM, from what mma.sync kernels reach on an H200 and from the A100's memory.
DeviceFigures figures(const Layer&, int num_sms) {
    constexpr double few_flops_per_ns_sm = 500;
    constexpr double many_flops_per_ns_sm = 1500;
    constexpr double read_bytes_per_ns_sm = 15;
    DeviceFigures f;
    f.num_workers = num_sms * 2;
    f.few_rows = 8;
    f.tile_rows = k_tile_rows;
    f.chunk_granule = 64;
    f.min_chunk = 128;
    f.invariant_chunk = 1024;
    f.read_bytes_per_ns = read_bytes_per_ns_sm * num_sms;
    f.few_flops_per_ns = few_flops_per_ns_sm * num_sms;
    f.many_flops_per_ns = many_flops_per_ns_sm * num_sms;
    f.item_ns = 3000;
    f.partial_ns = 0.3;
    f.launch_ns = 3000;
    return f;
}

}  // namespace relayattn::cuda::sm80
