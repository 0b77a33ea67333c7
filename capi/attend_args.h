// From the C arguments of an attend to what a backend is given.
#pragma once

#include <relayattn/relayattn.h>

#include "impl/backend.h"
#include "impl/core/model.h"

namespace relayattn::capi {

Result<AttendCall> to_attend_call(const Model& model, int64_t layer, const ra_attend_args* given);

}  // namespace relayattn::capi
