// How the copy engine sees a layer's pages.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <climits>

#include "impl/cuda/attend_params.h"
#include "impl/cuda/sm90/tiles.h"

namespace relayattn::cuda::sm90 {

using EncodeTiled = decltype(&cuTensorMapEncodeTiled);

// The driver's encoder, found once; null where the driver is too old.
inline EncodeTiled tensor_map_encoder() {
    static const EncodeTiled encoder = [] {
        void* f = nullptr;
        cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
        constexpr unsigned int version = 12000;
        const cudaError_t error = cudaGetDriverEntryPointByVersion(
            "cuTensorMapEncodeTiled", &f, version, cudaEnableDefault, &found);
        return error == cudaSuccess && found == cudaDriverEntryPointSuccess
                   ? reinterpret_cast<EncodeTiled>(f)
                   : nullptr;
    }();
    return encoder;
}

// (dim, head, slot, page), boxes of 64 dims x 1 x up to 64 slots x 1. The page count is not known
// here: no page id of a table is beyond the pages, so the bound is the largest.
inline bool encode_pages(const AttendParams& call, const Pages& pages, CUtensorMap* out) {
    const EncodeTiled encode = tensor_map_encoder();
    if (!encode)
        return false;
    constexpr cuuint64_t element = 2;
    const auto bytes = [](int64_t stride) { return static_cast<cuuint64_t>(stride) * element; };
    const cuuint64_t sizes[4] = {static_cast<cuuint64_t>(call.head_dim_k),
                                 static_cast<cuuint64_t>(call.num_kv_heads),
                                 static_cast<cuuint64_t>(call.page_size), INT_MAX};
    const cuuint64_t strides[3] = {bytes(pages.head_stride), bytes(pages.token_stride),
                                   bytes(pages.page_stride)};
    const int32_t slots = std::min(call.page_size & -call.page_size, k_max_box_slots);
    const cuuint32_t box[4] = {k_box_columns, 1, static_cast<cuuint32_t>(slots), 1};
    const cuuint32_t steps[4] = {1, 1, 1, 1};
    const CUtensorMapDataType type = call.kv_dtype == Dtype::bf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                                                  : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    return encode(out, type, 4, pages.data, sizes, strides, box, steps,
                  CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                  CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                  CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

}  // namespace relayattn::cuda::sm90
