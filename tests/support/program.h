// Options that every test program understands.
#pragma once

#include <cstdint>

namespace relayattn::test {

// --backend cpu|cuda chooses the device under test; anything else is left to others.
void read_program_options(int argc, char** argv);

// The number after `name`, or `otherwise`.
uint64_t number_option(int argc, char** argv, const char* name, uint64_t otherwise);

}  // namespace relayattn::test
