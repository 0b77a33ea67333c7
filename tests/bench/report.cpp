#include "report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace relayattn::bench {

using nlohmann::json;

namespace {

template <class... Args>
std::string format(const char* pattern, Args... args) {
    char text[512];
    std::snprintf(text, sizeof text, pattern, args...);
    return text;
}

double us(double seconds) {
    return seconds * 1e6;
}

// The times by which a cell is judged.
struct Judged {
    double attend, read;
};
Judged judged(const Cell& cell, bool by_minimum) {
    return by_minimum ? Judged{cell.attend.minimum(), cell.read.minimum()}
                      : Judged{cell.attend.median(), cell.read.median()};
}

std::string table_row(const Report& report, const Cell& cell) {
    const Floor floor = floor_of(cell.work, report.ceilings, cell.dtypes.kv, report.floor_isa);
    const Judged t = judged(cell, report.by_minimum);
    std::string row =
        format("%-34s %-9s %-6s %10.1f %10.1f %5.0f%% %3lld/%-3lld %10.1f %10.1f %7.2f %7.2f  ",
               cell.shape.name.c_str(), cell.dtypes.name().c_str(), name_of(cell.mode),
               us(cell.attend.median()), us(cell.attend.minimum()), 100 * cell.attend.spread(),
               static_cast<long long>(cell.attend.clean), static_cast<long long>(cell.attend.taken),
               us(floor.seconds), us(t.read), floor.seconds / t.attend, t.read / t.attend);
    row += format("%-5s %4lld/%-5lld %6lld %10.2f %6.1f/%-6.1f", cell.plan.name().c_str(),
                  static_cast<long long>(cell.plan.relay_runs),
                  static_cast<long long>(cell.plan.runs), static_cast<long long>(cell.plan.items),
                  static_cast<double>(cell.plan.kv_bytes) / 1e6, us(cell.begin_steady),
                  us(cell.begin_fresh));
    return row + (cell.error >= 0 || cell.error != cell.error ? format("  %.2e", cell.error) : "");
}

json cell_record(const Report& report, const Cell& cell, const Options& options) {
    const Floor floor = floor_of(cell.work, report.ceilings, cell.dtypes.kv, report.floor_isa);
    const Judged t = judged(cell, report.by_minimum);
    json samples = json::array();
    for (const double seconds : cell.attend.seconds)
        samples.push_back(us(seconds));
    const Shape& shape = cell.shape;
    int64_t longest_chain = 0;
    for (const Row& row : shape.rows)
        longest_chain = std::max(longest_chain, shape.chain_tokens(row.prefix));
    return {{"shape", shape.name},
            {"batch", shape.num_rows()},
            {"q_heads", shape.q_heads},
            {"kv_heads", shape.kv_heads},
            {"head_dim", shape.head_dim},
            {"prefix_tokens", longest_chain},
            {"tail_tokens", shape.tail_tokens()},
            {"q_len", shape.q_len},
            {"page_size", options.page_size > 0 ? options.page_size : shape.page_size},
            {"device", report.machine.at("device")},
            {"isa", report.isa},
            {"dtype", cell.dtypes.name()},
            {"mode", name_of(cell.mode)},
            {"plan", cell.plan.name()},
            {"threads", report.threads},
            {"cold", options.cold},
            {"graph", options.graph},
            {"median_us", us(cell.attend.median())},
            {"min_us", us(cell.attend.minimum())},
            {"spread", cell.attend.spread()},
            {"samples_us", samples},
            {"samples_clean", cell.attend.clean},
            {"samples_taken", cell.attend.taken},
            {"floor_us", us(floor.seconds)},
            {"floor_memory_us", us(floor.memory)},
            {"floor_matrix_us", us(floor.matrix)},
            {"floor_rate", floor.rate},
            {"read_us", us(t.read)},
            {"of_floor", floor.seconds / t.attend},
            {"of_read", t.read / t.attend},
            {"begin_us", us(cell.begin_steady)},
            {"begin_fresh_us", us(cell.begin_fresh)},
            {"begin_first_us", us(cell.begin_first)},
            {"launches", cell.plan.launches},
            {"items", cell.plan.items},
            {"runs", cell.plan.runs},
            {"relay_runs", cell.plan.relay_runs},
            {"partials", cell.plan.partials},
            {"kv_bytes", cell.plan.kv_bytes},
            {"predicted_us", static_cast<double>(cell.plan.predicted_ns) / 1e3},
            {"error_rel", cell.error < 0 ? json() : json(cell.error)}};
}

}  // namespace

const char* isa_name(int64_t isa) {
    switch (isa) {
        case RA_ISA_SCALAR:
            return "scalar";
        case RA_ISA_AVX2:
            return "avx2";
        case RA_ISA_AVX512:
            return "avx512";
        case RA_ISA_AVX512_BF16:
            return "avx512_bf16";
        case RA_ISA_AMX:
            return "amx";
        case RA_ISA_NEON:
            return "neon";
        default:
            return "unknown";
    }
}

void print_ceilings(std::ostream& out, const Ceilings& ceilings) {
    out << format("read %.1f GB/s", ceilings.read / 1e9);
    for (const MatrixRate& rate : ceilings.matrix)
        out << format("; %s %.1f GFLOP/s", rate.name.c_str(), rate.flops / 1e9);
    out << "\n";
}

void print_table(std::ostream& out, const Report& report) {
    out << format(
        "%-34s %-9s %-6s %10s %10s %6s %-7s %10s %10s %7s %7s  %-5s %-10s %6s %10s %13s  %s\n",
        "shape", "dtype", "mode", "med us", "min us", "spread", "samples", "floor us", "read us",
        "floor/t", "read/t", "plan", "relay/runs", "items", "KV MB", "begin us", "error");
    for (const Cell& cell : report.cells)
        out << table_row(report, cell) << "\n";
}

json cell_records(const Report& report, const Options& options, size_t first) {
    json records = json::array();
    for (size_t i = first; i < report.cells.size(); ++i)
        records.push_back(cell_record(report, report.cells[i], options));
    return records;
}

json to_json(const Report& report, const Options& options) {
    json machine = report.machine;
    machine["record"] = "machine";
    machine["isa"] = report.isa;
    machine["read_gb_per_s"] = report.ceilings.read / 1e9;
    for (const MatrixRate& rate : report.ceilings.matrix)
        machine["gflops"][rate.name] = rate.flops / 1e9;
    json records = json::array({machine});
    for (json& record : cell_records(report, options, 0))
        records.push_back(std::move(record));
    return records;
}

}  // namespace relayattn::bench
