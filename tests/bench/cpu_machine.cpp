#include "cpu_machine.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

namespace relayattn::bench {
namespace {

namespace fs = std::filesystem;

std::string first_word(const fs::path& path) {
    std::ifstream file(path);
    std::string word;
    file >> word;
    return word;
}

int64_t size_in_bytes(const std::string& text) {  // "32768K"
    const int64_t number = std::atoll(text.c_str());
    const char unit = text.empty() ? ' ' : text.back();
    return unit == 'K' ? number << 10 : unit == 'M' ? number << 20 : number;
}

}  // namespace

std::string cpu_name() {
    std::ifstream file("/proc/cpuinfo");
    std::string line, name = "unknown", family, model;
    const auto value = [&] { return line.substr(std::min(line.size(), line.find(": ") + 2)); };
    while (std::getline(file, line) && !line.empty()) {
        if (line.starts_with("model name"))
            name = value();
        else if (line.starts_with("cpu family"))
            family = ", family " + value();
        else if (line.starts_with("model\t"))
            model = ", model " + value();
    }
    return name + family + model;
}

int64_t last_level_cache() {
    // A cache is told once by each CPU that shares it.
    std::map<int, std::set<std::string>> sharers;
    std::map<int, int64_t> size;
    std::error_code ignored;
    for (const auto& cpu : fs::directory_iterator("/sys/devices/system/cpu", ignored)) {
        for (const auto& cache : fs::directory_iterator(cpu.path() / "cache", ignored)) {
            const int level = std::atoi(first_word(cache.path() / "level").c_str());
            if (level == 0)
                continue;
            sharers[level].insert(first_word(cache.path() / "shared_cpu_list"));
            size[level] = size_in_bytes(first_word(cache.path() / "size"));
        }
    }
    if (size.empty())
        return int64_t{1} << 25;
    const int highest = size.rbegin()->first;
    return size[highest] * static_cast<int64_t>(sharers[highest].size());
}

double time_in_run_queue() {
    uint64_t waited = 0;
    std::error_code ignored;
    for (const auto& task : fs::directory_iterator("/proc/self/task", ignored)) {
        std::ifstream file(task.path() / "schedstat");
        uint64_t on_core = 0, waiting = 0;
        if (file >> on_core >> waiting)
            waited += waiting;
    }
    return static_cast<double>(waited) * 1e-9;
}

double thread_cpu_time() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace relayattn::bench
