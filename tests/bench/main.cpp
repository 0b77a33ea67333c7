// relayattn-bench: how far from the machine's limits is attention over shared prefixes?
#include <relayattn/relayattn.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "calibrate.h"
#include "device.h"
#include "measure.h"
#include "options.h"
#include "plot.h"
#include "report.h"
#include "support/api.h"

namespace {

using namespace relayattn::bench;
namespace api = relayattn::test;

// A context refuses what the arguments asked for; anything else that fails is no usage error.
api::Context make_context(const Options& options) {
    if (!options.isa.empty())
        setenv("RELAYATTN_ISA", options.isa.c_str(), 1);
    ra_context_options wanted = api::context_options();
    wanted.backend = options.backend;
    wanted.ordinal = static_cast<int32_t>(options.ordinal);
    wanted.num_threads = options.threads;
    api::Context context;
    const ra_status status = ra_context_create(&wanted, context.out());
    if (status == RA_ERROR_DEVICE)
        throw UsageError("--device cannot be used: " + api::last_error());
    if (status == RA_ERROR_ARGUMENT || status == RA_ERROR_UNSUPPORTED)
        throw UsageError(api::last_error());
    api::ok(status);
    return context;
}

int64_t query(ra_context context, int32_t property) {
    int64_t value = 0;
    api::ok(ra_context_query(context, property, &value));
    return value;
}

// A forced instruction set is judged by its own floor, a free choice by the best of the machine.
int32_t floor_isa(int64_t in_use) {
    const char* forced = std::getenv("RELAYATTN_ISA");
    return forced != nullptr && *forced != '\0' ? static_cast<int32_t>(in_use) : RA_ISA_NEON;
}

std::vector<Cell> measure_cell(Device& device, ra_context context, const Shape& shape,
                               Dtypes dtypes, const Options& options) {
    std::cerr << shape.name << " " << dtypes.name() << " ..." << std::flush;
    std::vector<Cell> cells = measure(device, context, shape, dtypes, options);
    for (const Cell& cell : cells)
        std::cerr << " " << name_of(cell.mode) << " " << cell.attend.minimum() * 1e3 << " ms";
    std::cerr << "\n" << std::flush;
    return cells;
}

// True when the other program, which takes turns with this one, has no more of them.
bool is_over(const Options& options) {
    return options.paced && !wait_for_turn();
}

void measure_all(Device& device, ra_context context, const Options& options, Report& report) {
    for (const Dtypes dtypes : options.dtypes) {
        for (const Shape& shape : options.shapes) {
            if (is_over(options))
                return;
            report.ceilings = device.measure_ceilings();
            const size_t before = report.cells.size();
            for (Cell& cell : measure_cell(device, context, shape, dtypes, options))
                report.cells.push_back(std::move(cell));
            if (options.paced)
                std::cout << cell_records(report, options, before) << "\n" << std::flush;
        }
    }
    is_over(options);  // the other program's last sample ends first
}

void write_text(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text;
    file.close();
    if (!file)
        throw std::runtime_error("cannot write " + path);
}

// A plot is drawn from the JSON: without a name of its own, that lies beside the plot for a moment.
void write_results(const Options& options, const nlohmann::json& records) {
    const std::string path = options.json.empty() ? options.plot + ".json" : options.json;
    write_text(path, records.dump(1) + "\n");
    if (options.plot.empty())
        return;
    draw_plot(path, options.plot);
    if (options.json.empty())
        std::filesystem::remove(path);
}

void run(const Options& options) {
    if (!options.plot.empty())
        check_plotter();
    if (!options.calibrate.empty())
        unsetenv("RELAYATTN_FIGURES");  // it is to be measured anew
    const api::Context context = make_context(options);
    const bool gpu = options.backend == RA_BACKEND_CUDA;
    const int64_t threads = gpu ? 0 : query(context, RA_CONTEXT_INFO_NUM_THREADS);
    const std::string isa = gpu ? "sm_" + std::to_string(query(context, RA_CONTEXT_INFO_SM))
                                : isa_name(query(context, RA_CONTEXT_INFO_ISA));
    const auto device = gpu ? make_cuda_device(options.ordinal) : make_cpu_device(threads);
    if (!options.calibrate.empty()) {
        const std::string text = calibrate(*device, context, options, isa, threads);
        write_text(options.calibrate, text);
        std::cout << text;
        return;
    }
    Report report{device->describe(),
                  {},
                  {},
                  isa,
                  gpu ? 0 : floor_isa(query(context, RA_CONTEXT_INFO_ISA)),
                  threads,
                  device->judged_by_minimum()};
    std::cout << report.machine << "\ninstruction set " << isa << "; ceilings: " << std::flush;
    print_ceilings(std::cout, device->measure_ceilings());
    std::cout << std::flush;

    measure_all(*device, context, options, report);
    if (report.cells.empty())
        throw UsageError("--paced is given, but standard input ended before the first round");
    report.ceilings = device->measure_ceilings();
    std::cout << "best ceilings of the run: ";
    print_ceilings(std::cout, report.ceilings);
    print_table(std::cout, report);
    if (!options.json.empty() || !options.plot.empty())
        write_results(options, to_json(report, options));
}

}  // namespace

int main(int argc, char** argv) {
    try {
        run(parse_options(argc, argv));
        return 0;
    } catch (const Answered& answer) {
        std::cout << answer.text;
        return 0;
    } catch (const UsageError& e) {
        std::cerr << "relayattn-bench: " << e.what() << "\n";
        return 2;
    } catch (const std::exception& e) {
        std::cerr << "relayattn-bench: " << e.what() << "\n";
        return 1;
    }
}
