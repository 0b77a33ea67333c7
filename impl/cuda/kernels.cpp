#include "impl/cuda/kernels.h"

#include <cstdlib>
#include <cstring>
#include <iterator>
#include <string>

#include "impl/cuda/error.h"
#include "impl/cuda/finish.h"
#include "impl/cuda/general/attend.h"
#include "impl/cuda/pages.h"
#include "impl/cuda/sm80/attend.h"
#include "impl/cuda/sm90/attend.h"

namespace relayattn::cuda {
namespace {

constexpr int k_any_sm = 1 << 30;

// Fastest first; the last serves everything.
constexpr KernelFamily k_families[] = {
    {"sm90", 90, 90, false, 3, sm90::supports, sm90::launch, sm90::figures},
    {"sm80", 80, k_any_sm, false, 2, sm80::supports, sm80::launch, sm80::figures},
    {"general", 75, k_any_sm, true, 3, general::supports, general::launch, general::figures},
};

const KernelFamily& k_general = *(std::end(k_families) - 1);

Result<const char*> chosen_name() {
    const char* name = std::getenv("RELAYATTN_CUDA_KERNELS");
    if (name == nullptr || *name == '\0')
        return static_cast<const char*>(nullptr);
    std::string names;
    for (const KernelFamily& family : k_families) {
        if (std::strcmp(name, family.name) == 0)
            return family.name;
        names += std::string(names.empty() ? "" : ", ") + family.name;
    }
    return error(Code::argument, "RELAYATTN_CUDA_KERNELS is \"", name, "\"; it must be one of ",
                 names);
}

}  // namespace

Result<Kernels> Kernels::load(const Gpu& gpu) {
    const Result<const char*> name = chosen_name();
    if (!name)
        return name.error();
    for (const cudaError_t status :
         {prepare_moves(), prepare_finish(), general::prepare(gpu.shared_bytes())}) {
        const Result<void> prepared = check(status, "the plugin's kernels do not load");
        if (!prepared)
            return prepared.error();
    }
    Kernels kernels;
    kernels.sm_ = gpu.sm();
    kernels.only_ = *name;
    return kernels;
}

const KernelFamily& Kernels::of(const AttendParams& params) const {
    for (const KernelFamily& family : k_families) {
        const bool allowed = only_ == nullptr || only_ == family.name;
        if (allowed && sm_ >= family.min_sm && sm_ <= family.max_sm && family.supports(params))
            return family;
    }
    return k_general;
}

const KernelFamily& Kernels::general() {
    return k_general;
}

const KernelFamily& Kernels::of(const Layer& layer) const {
    AttendParams params{};
    params.softmax_scale = layer.softmax_scale;
    params.logit_softcap = layer.logit_softcap;
    params.num_q_heads = static_cast<int32_t>(layer.num_q_heads);
    params.num_kv_heads = static_cast<int32_t>(layer.kv.num_kv_heads);
    params.head_dim_k = static_cast<int32_t>(layer.kv.head_dim_k);
    params.head_dim_v = static_cast<int32_t>(layer.kv.head_dim_v);
    params.q_dtype = layer.q_dtype;
    params.kv_dtype = layer.kv.dtype;
    params.out_dtype = layer.out_dtype;
    return of(params);
}

}  // namespace relayattn::cuda
