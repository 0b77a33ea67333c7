#include "options.h"

#include <relayattn/relayattn.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <charconv>
#include <filesystem>

namespace relayattn::bench {
namespace {

// The arguments as they were written.
struct Words {
    std::string device = "cpu", json, isa, plot, calibrate;
    std::vector<std::string> shapes, dtypes{"bf16"}, modes;
    int64_t threads = 0, page_size = 0, repeat = 0;
    bool cold = false, warm = false, graph = false, check = false, paced = false, list = false;
};

constexpr const char* k_about =
    "Times one layer's decode attention over shared prefixes through the C API of relayattn, "
    "beside "
    "this machine's own limits.";

constexpr const char* k_footer =
    "The table gives, in microseconds: med and min of the samples and their spread "
    "((max-min)/med);\n"
    "floor = max(bytes / read bandwidth, flops / matrix rate), both measured in the same run;\n"
    "read = a kernel that only reads the same bytes; the ratios floor/t and read/t, where t is "
    "the\n"
    "minimum on a CPU and the median on a GPU; begin = ra_batch_begin of a steady decode step, and "
    "of one planned anew.\n"
    "A bad argument is answered by one sentence and exit code 2.";

void declare(CLI::App& app, Words& words) {
    app.add_option("--device", words.device, "cpu, or cuda[:N] (default cpu)");
    app.add_option("--shapes", words.shapes,
                   "groups (standard, cpu, trees, odd), models, names (see --list), or "
                   "B,Hq/Hkv,D,Lp,Ls[,q] with Ls = a..b for ragged tails and Lp = "
                   "1x4096+4x2048 for a tree's levels; default: cpu on a CPU, standard and trees "
                   "on a GPU");
    app.add_option("--dtype", words.dtypes,
                   "f32, f16 or bf16 for q, K, V and out, with ,kv=... another one for K and V "
                   "(default bf16)");
    app.add_option(
        "--mode", words.modes,
        "auto, relay, flat, or copies (every sequence has its own copy of its prefixes); "
        "several take turns in the same run (default auto)");
    app.add_option("--threads", words.threads, "threads of a CPU context; 0 = all (default)");
    app.add_option("--isa", words.isa,
                   "instruction set of a CPU context, as RELAYATTN_ISA; the floor is then that of "
                   "this set");
    app.add_option("--page-size", words.page_size,
                   "tokens a page; 0 = the shape's, as a rule the library's choice");
    app.add_option("--repeat", words.repeat, "clean samples of each cell (default 7; GPU 60)");
    app.add_option("--json", words.json, "write the machine and all results to this file");
    app.add_option("--plot", words.plot,
                   "also draw the results to this file (.svg, .png or .pdf); needs Python with "
                   "matplotlib");
    app.add_option("--calibrate", words.calibrate,
                   "instead of shapes, measure what the library's cost model needs to know, for "
                   "each --dtype, and write it to this file: RELAYATTN_FIGURES then names it");
    app.add_flag("--cold", words.cold,
                 "before each sample drop what it reads from the caches (default)");
    app.add_flag("--warm", words.warm, "repeat without that");
    app.add_flag("--graph", words.graph, "time replays of a captured graph (GPU)");
    app.add_flag("--check", words.check, "compare sampled rows with attention in float64");
    app.add_flag("--paced", words.paced,
                 "so that another program can take turns: wait for a line of standard input before "
                 "each cell, answered by the line cell, and before each of its rounds of samples, "
                 "answered by round, or by last and then a line of JSON with the cell's records; "
                 "the end of input ends the cell and the run");
    app.add_flag("--list", words.list, "print the names of all shapes");
    app.footer(k_footer);
}

[[noreturn]] void refuse(const std::string& option, const std::string& value,
                         const std::string& rule) {
    throw UsageError(option + " is \"" + value + "\"; it must be " + rule);
}

void take_device(const std::string& word, Options& options) {
    const std::string rule = "cpu, cuda or cuda:N";
    if (word == "cpu") {
        options.backend = RA_BACKEND_CPU;
        return;
    }
    options.backend = RA_BACKEND_CUDA;
    if (word == "cuda")
        return;
    if (!word.starts_with("cuda:"))
        refuse("--device", word, rule);
    const char* end = word.data() + word.size();
    const auto [stop, failed] = std::from_chars(word.data() + 5, end, options.ordinal);
    if (failed != std::errc{} || stop != end || options.ordinal < 0)
        refuse("--device", word, rule);
}

int32_t dtype_of(const std::string& word, const std::string& whole) {
    if (word == "f32")
        return RA_F32;
    if (word == "f16")
        return RA_F16;
    if (word == "bf16")
        return RA_BF16;
    refuse("--dtype", whole, "f32, f16 or bf16, or one of them with ,kv=f32, ,kv=f16 or ,kv=bf16");
}

Dtypes dtypes_of(const std::string& word) {
    const size_t comma = word.find(",kv=");
    const int32_t first = dtype_of(word.substr(0, comma), word);
    return {first, comma == word.npos ? first : dtype_of(word.substr(comma + 4), word)};
}

Mode mode_of(const std::string& word) {
    for (const Mode mode : {Mode::automatic, Mode::relay, Mode::flat, Mode::copies}) {
        if (word == name_of(mode))
            return mode;
    }
    refuse("--mode", word, "auto, relay, flat or copies");
}

void check_bounds(const char* option, int64_t value, int64_t most) {
    if (value < 0 || value > most)
        refuse(option, std::to_string(value), "from 0 to " + std::to_string(most));
}

void check_calibrate(const Words& words) {
    const bool others = !words.shapes.empty() || !words.modes.empty() || !words.json.empty() ||
                        !words.plot.empty() || words.cold || words.warm || words.check ||
                        words.paced;
    if (!words.calibrate.empty() && others)
        throw UsageError(
            "--calibrate measures shapes of its own, in its own way; leave out --shapes, --mode, "
            "--json, --plot, --cold, --warm, --check and --paced");
}

// Before hours of measuring: the file that they end in.
void check_file(const char* option, const std::string& path) {
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    const std::string place = folder.empty() ? "." : folder.string();
    if (!path.empty() && access(place.c_str(), W_OK) != 0)
        refuse(option, path, "in a folder that can be written to");
}

void check_files(const Words& words) {
    check_file("--json", words.json);
    check_file("--plot", words.plot);
    check_file("--calibrate", words.calibrate);
    const std::string kind = std::filesystem::path(words.plot).extension();
    if (!words.plot.empty() && kind != ".svg" && kind != ".png" && kind != ".pdf")
        refuse("--plot", words.plot, "a name that ends in .svg, .png or .pdf");
}

void check_together(const Words& words, const Options& options) {
    check_bounds("--threads", words.threads, 1024);
    check_bounds("--page-size", words.page_size, 65536);
    check_bounds("--repeat", words.repeat, 1000000);
    check_files(words);
    if (words.cold && words.warm)
        throw UsageError("--cold and --warm are both given; choose one");
    const bool gpu = options.backend == RA_BACKEND_CUDA;
    if (words.graph && !gpu)
        throw UsageError("--graph is given with --device cpu; only a GPU has graphs");
    check_calibrate(words);
    if (gpu && (words.threads != 0 || !words.isa.empty()))
        throw UsageError("--threads and --isa belong to --device cpu");
}

std::vector<Shape> shapes_of(std::vector<std::string> words, bool gpu) {
    if (words.empty())
        words =
            gpu ? std::vector<std::string>{"standard", "trees"} : std::vector<std::string>{"cpu"};
    std::vector<Shape> shapes;
    for (const std::string& word : words) {
        for (Shape& shape : find_shapes(word))
            shapes.push_back(std::move(shape));
    }
    return shapes;
}

Options options_of(const Words& words) {
    Options options;
    take_device(words.device, options);
    check_together(words, options);
    const bool gpu = options.backend == RA_BACKEND_CUDA;
    options.shapes = shapes_of(words.shapes, gpu);
    for (const std::string& word : words.dtypes)
        options.dtypes.push_back(dtypes_of(word));
    for (const std::string& word : words.modes)
        options.modes.push_back(mode_of(word));
    if (options.modes.empty())
        options.modes = {Mode::automatic};
    options.threads = words.threads;
    options.page_size = words.page_size;
    options.repeat = words.repeat > 0 ? words.repeat : gpu ? 60 : 7;
    options.isa = words.isa;
    options.cold = !words.warm;
    options.graph = words.graph;
    options.check = words.check;
    options.paced = words.paced;
    options.json = words.json;
    options.plot = words.plot;
    options.calibrate = words.calibrate;
    return options;
}

}  // namespace

const char* name_of(Mode mode) {
    switch (mode) {
        case Mode::automatic:
            return "auto";
        case Mode::relay:
            return "relay";
        case Mode::flat:
            return "flat";
        case Mode::copies:
            return "copies";
    }
    return "";
}

Options parse_options(int argc, char** argv) {
    CLI::App app(k_about, "relayattn-bench");
    Words words;
    declare(app, words);
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
        throw Answered{app.help()};
    } catch (const CLI::ConversionError& e) {
        throw UsageError(std::string(e.what()) + "; it must be a whole number");
    } catch (const CLI::ParseError& e) {
        throw UsageError(e.what());
    }
    if (words.list)
        throw Answered{list_shapes()};
    return options_of(words);
}

}  // namespace relayattn::bench
