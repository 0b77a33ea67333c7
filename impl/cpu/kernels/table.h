// The table of an instruction set, made from its vector.
#pragma once

#include "impl/cpu/kernels/attend.h"
#include "impl/cpu/kernels/merge.h"

namespace relayattn::cpu {
namespace {

template <class V>
constexpr KernelTable kernels_of{attend_item<V>, finish_token<V>, blank_token, merge_tokens<V>};

}  // namespace
}  // namespace relayattn::cpu
