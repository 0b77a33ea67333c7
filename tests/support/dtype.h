// The three value types of the library, rounded and encoded without its help.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace relayattn::test {

int64_t size_of(int32_t dtype);
const char* name_of(int32_t dtype);

// The nearest value of the dtype (ties to even), as a float that holds it exactly.
float rounded(float value, int32_t dtype);

// Half the distance between 1 and the next value: the largest relative error of rounding.
double half_ulp(int32_t dtype);

// `out` receives values.size() elements; values that the dtype cannot hold are rounded.
void encode(const float* values, int64_t count, int32_t dtype, void* out);
void decode(const void* bytes, int64_t count, int32_t dtype, float* out);

}  // namespace relayattn::test
