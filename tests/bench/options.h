#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "floor.h"
#include "shapes.h"

namespace relayattn::bench {

enum class Mode { automatic, relay, flat, copies };
const char* name_of(Mode mode);

struct Options {
    int32_t backend = 0;  // RA_BACKEND_*
    int64_t ordinal = 0;
    std::vector<Shape> shapes;
    std::vector<Dtypes> dtypes;
    std::vector<Mode> modes;
    int64_t threads = 0;    // 0 = all
    int64_t page_size = 0;  // 0 = the library's choice
    int64_t repeat = 0;
    std::string isa;
    bool cold = true;
    bool graph = false;
    bool check = false;
    bool paced = false;
    std::string json, plot;
    std::string calibrate;  // the file to write; then no shape is measured
};

// Throws UsageError, or Answered when the arguments asked for nothing but a text.
struct Answered {
    std::string text;
};
Options parse_options(int argc, char** argv);

}  // namespace relayattn::bench
