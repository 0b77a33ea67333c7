// What the library's cost model needs to know of this machine, measured through the library.
#pragma once

#include <relayattn/relayattn.h>

#include <string>

#include "device.h"
#include "options.h"

namespace relayattn::bench {

// The text of a file for RELAYATTN_FIGURES: a line for each dtype and a few head dimensions.
// `target` is the instruction set or sm_NN that the context uses; `threads` is 0 on a GPU.
std::string calibrate(Device& device, ra_context context, const Options& options,
                      const std::string& target, int64_t threads);

}  // namespace relayattn::bench
