// Makes the n-th allocation of the process fail. Linked only into programs that ask for it: it
// replaces operator new for the program and, by interposition, for the library. A library that was
// linked with a C++ runtime of its own (gcc's -static-libstdc++, which some toolchains imply) keeps
// its own operator new.
#pragma once

#include <cstdint>

namespace relayattn::test::faults {

// Whether the C++ runtime is a shared library, whose operator new can be replaced everywhere.
bool reaches_the_library();

// The n-th allocation from now on (1 = the next) throws std::bad_alloc, once.
void fail_allocation(int64_t nth);

// Stops counting. Returns how many allocations were made since, and whether one was refused.
struct Count {
    int64_t allocations;
    bool refused;
};
Count disarm();

}  // namespace relayattn::test::faults
