#pragma once

#include "impl/cpu/job.h"

namespace relayattn::cpu {

extern const KernelTable k_emulated_amx_kernels;

}  // namespace relayattn::cpu
