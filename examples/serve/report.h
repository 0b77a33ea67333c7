#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "server.h"

namespace serve {

struct Score {
    int64_t right = 0, asked = 0;
};

// Right answers among the turns whose right answer is known.
Score score(const std::vector<Request>& requests, const ServeResult& result,
            const Vocabulary& vocabulary);

struct ModeRow {
    std::string name;
    ServeResult result;
    Score score;
};

// The table that compares the modes; the first one is what the others are compared to.
void print_report(const std::vector<ModeRow>& rows, std::ostream& out);

}  // namespace serve
