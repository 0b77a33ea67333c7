// One cell of the table: a shape, its dtypes and a mode, timed in turns with the others.
#pragma once

#include <relayattn/relayattn.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "device.h"
#include "options.h"

namespace relayattn::bench {

struct Times {
    std::vector<double> seconds;  // the clean samples; all, if none is
    int64_t clean = 0, taken = 0;

    double minimum() const;
    double median() const;
    double spread() const;  // (max - min) / median
};

struct PlanFacts {
    int64_t launches, items, runs, relay_runs, partials, kv_bytes, predicted_ns;

    std::string name() const;  // "relay" if any run is, else "flat"
};

struct Cell {
    Shape shape;
    Dtypes dtypes;
    Mode mode;
    PlanFacts plan;
    Times attend, read;
    double begin_first = 0;  // seconds, this and the next two; the first of the batch
    double begin_fresh = 0, begin_steady = 0;  // planned anew, and going on from the last step
    double error = -1;                         // -1 = not checked
    Work work;
};

// With --paced another program's turn ends with a line of standard input; it is false when there
// will be none. The answer ends ours.
bool wait_for_turn();
void end_turn(const char* answer);

// All modes of a shape, their samples interleaved with each other's and the read kernel's. Empty
// when --paced is given and standard input ended before the first round.
std::vector<Cell> measure(Device& device, ra_context context, const Shape& shape, Dtypes dtypes,
                          const Options& options);

}  // namespace relayattn::bench
