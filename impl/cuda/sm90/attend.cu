#include "impl/cuda/sm90/attend.h"

#include "impl/cuda/sm80/legality.h"
#include "impl/cuda/sm90/launch.h"
#include "impl/cuda/sm90/tensor_map.h"

namespace relayattn::cuda::sm90 {

bool supports(const AttendParams& params) {
    return is_legal(params) && params.num_q_heads / params.num_kv_heads <= k_tile_rows &&
           tensor_map_encoder() != nullptr;
}

void launch(const AttendParams& params, const LaunchBounds& bounds, cudaStream_t stream) {
    if (params.kv_dtype == Dtype::bf16)
        launch_typed<__nv_bfloat16>(params, bounds, stream);
    else
        launch_typed<__half>(params, bounds, stream);
}

// As measured on an H200: rates per SM where they grow with the SMs at work.
DeviceFigures figures(const Layer& layer, int num_sms) {
    constexpr double few_flops_per_ns_sm = 700;    // mma.sync, 8 rows in N, half of them used
    constexpr double many_flops_per_ns_sm = 4450;  // 137 GFLOP in 230 us on 132 SMs
    constexpr double small_dim_share = 0.65;       // below 128 dims the softmax sets the pace
    constexpr double read_bytes_per_ns_sm = 35.4;  // 4.67 TB/s on 132 SMs
    DeviceFigures f;
    f.num_workers = num_sms;
    f.few_rows = 8;
    f.tile_rows = k_tile_rows;
    f.chunk_granule = 64;
    f.min_chunk = 128;
    f.invariant_chunk = 1024;
    f.read_bytes_per_ns = read_bytes_per_ns_sm * num_sms;
    f.few_flops_per_ns = few_flops_per_ns_sm * num_sms;
    f.many_flops_per_ns =
        many_flops_per_ns_sm * num_sms * (layer.kv.head_dim_k < 128 ? small_dim_share : 1.0);
    f.item_ns = 700;        // other items of the SM go on meanwhile
    f.many_item_ns = 3300;  // the first step's wait and cold code, and the end, with nothing beside
    f.few_beside = 4;
    f.many_row_granule = k_group_rows;
    f.balance = 1.04;    // a cut more costs more than this much imbalance
    f.partial_ns = 0.6;  // 3 partials of 4096 rows cost about 7 us on the whole chip
    f.launch_ns = 4000;  // from the end of the items to that of a finish with little to merge
    return f;
}

}  // namespace relayattn::cuda::sm90
