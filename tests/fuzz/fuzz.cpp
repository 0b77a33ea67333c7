// A libFuzzer target: bytes become calls of the C API, good ones and bad ones, on a small cache.
// Asserts that nothing crashes, that every status is a named one, and that all pages are free when
// all is released.
#include "world.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    relayattn::fuzz::Reader reader(data, size);
    relayattn::fuzz::World world(reader);
    while (!reader.is_empty())
        world.act();
    return 0;
}
