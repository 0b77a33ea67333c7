// Plots by the Python script that is installed beside the program.
#pragma once

#include <string>

namespace relayattn::bench {

// Before anything is measured: throws UsageError, which says what is missing, if plots cannot be
// drawn.
void check_plotter();

// Draws the results in a JSON file.
void draw_plot(const std::string& json, const std::string& out);

}  // namespace relayattn::bench
