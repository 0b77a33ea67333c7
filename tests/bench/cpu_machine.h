// What Linux tells about the CPU and about how this process was treated.
#pragma once

#include <cstdint>
#include <string>

namespace relayattn::bench {

std::string cpu_name();

// Bytes of all caches of the highest level together.
int64_t last_level_cache();

// How long all threads of this process have waited for a core, in seconds; 0 where Linux does not
// tell.
double time_in_run_queue();

// The time that the calling thread has run, in seconds.
double thread_cpu_time();

}  // namespace relayattn::bench
