// Drops memory from all caches of the CPU. Also a small library of its own,
// librelayattn-bench-flush.so, with which the peers' scripts make their samples as cold as ours.
//
// Reading a large buffer does not do it: caches keep lines that were used twice against such a
// stream. Beside a last-level cache of 32 MiB, 16 MiB that were in use were read a quarter faster
// after 512 MiB of other data than after 1 GiB or after this.
#pragma once

#include <cstdint>

extern "C" void relayattn_bench_flush(const void* data, int64_t bytes);
