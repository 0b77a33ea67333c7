#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server.h"

namespace serve {

struct Options {
    std::string model, system, child, requests;
    std::vector<Mode> modes;
    ServerSettings server;
    bool quiet = false;
};

// Nothing when --help was asked for (and printed). Throws std::runtime_error naming the option.
std::optional<Options> parse_options(int argc, char** argv);

}  // namespace serve
