// The results for people and for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "measure.h"

namespace relayattn::bench {

struct Report {
    nlohmann::json machine;
    Ceilings ceilings;  // the best so far
    std::vector<Cell> cells;
    std::string isa;    // the context's
    int32_t floor_isa;  // the highest RA_ISA_* of which the floor may be made
    int64_t threads;
    bool by_minimum;
};

void print_ceilings(std::ostream& out, const Ceilings& ceilings);
void print_table(std::ostream& out, const Report& report);

// An array: the machine and its ceilings, then a record a cell.
nlohmann::json to_json(const Report& report, const Options& options);
// The records alone, from cell `first` on.
nlohmann::json cell_records(const Report& report, const Options& options, size_t first);

const char* isa_name(int64_t isa);

}  // namespace relayattn::bench
