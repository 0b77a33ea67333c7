#include "plot.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include "shapes.h"

namespace relayattn::bench {
namespace {

std::string script() {
    return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "relayattn-plot.py";
}

std::string python() {
    const char* named = std::getenv("PYTHON");
    return named != nullptr && *named != '\0' ? named : "python3";
}

// Whether the command ran and ended well; its messages go where ours go.
bool runs(std::vector<std::string> words) {
    std::vector<char*> arguments;
    for (std::string& word : words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t child = 0;
    int status = 0;
    return posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) == 0 &&
           waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

void check_plotter() {
    if (!std::filesystem::exists(script()))
        throw UsageError("--plot needs " + script() + ", which is not there");
    if (!runs({python(), "-c",
               "import importlib.util, sys; "
               "sys.exit(importlib.util.find_spec('matplotlib') is None)"}))
        throw UsageError("--plot needs matplotlib in " + python() +
                         "; install it there, or let PYTHON name an interpreter that has it");
}

void draw_plot(const std::string& json, const std::string& out) {
    if (!runs({python(), script(), json, "--out", out}))
        throw std::runtime_error("the plot could not be drawn: " + python() + " " + script() + " " +
                                 json + " --out " + out + " failed");
}

}  // namespace relayattn::bench
