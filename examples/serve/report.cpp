#include "report.h"

#include <algorithm>
#include <iomanip>
#include <ostream>
#include <sstream>

namespace serve {
namespace {

// The steps that carried the most requests: there the modes differ, and there they are compared.
struct FullLoad {
    int64_t rows = 0, steps = 0, kv_bytes = 0, memory = 0;
    double attend_ms = 0;  // median
};

FullLoad full_load(const std::vector<StepSample>& steps) {
    FullLoad load;
    for (const StepSample& step : steps)
        load.rows = std::max(load.rows, step.rows);
    std::vector<double> times;
    for (const StepSample& step : steps) {
        load.memory = std::max(load.memory, step.memory);
        if (step.rows != load.rows)
            continue;
        times.push_back(1e3 * step.attend_seconds);
        load.kv_bytes += step.kv_bytes;
    }
    load.steps = static_cast<int64_t>(times.size());
    load.kv_bytes /= std::max<int64_t>(load.steps, 1);
    std::sort(times.begin(), times.end());
    load.attend_ms = times.empty() ? 0 : times[times.size() / 2];
    return load;
}

std::string fixed(double value, int digits) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(digits) << value;
    return text.str();
}

double total_attend(const ServeResult& result) {
    double seconds = 0;
    for (const StepSample& step : result.steps)
        seconds += step.attend_seconds;
    return seconds;
}

constexpr double k_mib = 1 << 20;
constexpr int k_first_column = 10, k_column = 14;

void print_row(const std::vector<std::string>& cells, std::ostream& out) {
    out << std::left << std::setw(k_first_column) << cells[0] << std::right;
    for (size_t i = 1; i < cells.size(); ++i)
        out << std::setw(k_column) << cells[i];
    out << '\n';
}

void print_mode(const ModeRow& row, const ModeRow& first, std::ostream& out) {
    const FullLoad load = full_load(row.result.steps);
    const auto& r = row.result;
    print_row({row.name, fixed(static_cast<double>(r.generated) / std::max(r.seconds, 1e-9), 0),
               fixed(total_attend(r), 3), fixed(load.attend_ms, 3),
               fixed(static_cast<double>(load.kv_bytes) / k_mib, 1),
               fixed(static_cast<double>(load.memory) / k_mib, 1),
               &row == &first                      ? "-"
               : r.answers == first.result.answers ? "identical"
                                                   : "DIFFERENT",
               std::to_string(row.score.right) + "/" + std::to_string(row.score.asked)},
              out);
}

void print_ratios(const ModeRow& row, const ModeRow& first, std::ostream& out) {
    const FullLoad other = full_load(row.result.steps), base = full_load(first.result.steps);
    if (base.attend_ms <= 0 || base.memory <= 0)
        return;
    const double smaller = static_cast<double>(other.memory) / static_cast<double>(base.memory);
    out << first.name << " against " << row.name << ": attention time "
        << fixed(other.attend_ms / base.attend_ms, 2) << "x better, KV memory "
        << (other.memory == base.memory ? "the same" : fixed(smaller, 1) + "x smaller") << '\n';
}

}  // namespace

Score score(const std::vector<Request>& requests, const ServeResult& result,
            const Vocabulary& vocabulary) {
    Score total;
    for (size_t i = 0; i < requests.size(); ++i)
        for (size_t turn = 0; turn < requests[i].turns.size(); ++turn) {
            const std::string& right = requests[i].turns[turn].right_answer;
            if (right.empty())
                continue;
            ++total.asked;
            total.right += vocabulary.decode(result.answers[i][turn]) == right;
        }
    return total;
}

void print_report(const std::vector<ModeRow>& rows, std::ostream& out) {
    const ModeRow& first = rows.front();
    const FullLoad load = full_load(first.result.steps);
    out << "\nAt full load " << load.rows << " requests run at once (" << load.steps << " of "
        << first.result.steps.size()
        << " steps).\nattention ms and MiB read are of one such step (median, mean), KV MiB is the "
           "peak; the time that\nown copies take to be made is not counted.\n\n";
    print_row({"mode", "tokens/s", "attention s", "attention ms", "MiB read", "KV MiB", "tokens",
               "right"},
              out);
    for (const ModeRow& row : rows)
        print_mode(row, first, out);
    out << '\n';
    for (size_t i = 1; i < rows.size(); ++i)
        print_ratios(rows[i], first, out);
    if (first.score.asked > 0)
        out << "score: " << first.score.right << " of " << first.score.asked << " answers right ("
            << fixed(100.0 * static_cast<double>(first.score.right) /
                         static_cast<double>(first.score.asked),
                     1)
            << " %)\n";
}

}  // namespace serve
