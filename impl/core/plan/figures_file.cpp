#include "impl/core/plan/figures_file.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

namespace relayattn {
namespace {

constexpr const char* k_header = "relayattn-figures 1";
constexpr const char* k_isa_names[] = {"scalar", "avx2", "avx512", "avx512_bf16", "amx", "neon"};

std::string target_of(const BackendInfo& info) {
    if (info.backend == 2)
        return "sm_" + std::to_string(info.sm);
    return k_isa_names[static_cast<size_t>(info.isa)];
}

using Fields = std::map<std::string, std::string>;

// "key=value key=value ..."
Result<Fields> split(const std::string& text, const std::string& where) {
    Fields fields;
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        const size_t equals = word.find('=');
        if (equals == 0 || equals == word.npos)
            return error(Code::argument, where, ": \"", word, "\" is not of the form key=value");
        if (!fields.emplace(word.substr(0, equals), word.substr(equals + 1)).second)
            return error(Code::argument, where, ": ", word.substr(0, equals),
                         " stands there twice");
    }
    return fields;
}

// Takes fields away one by one, so that what is left at the end is unknown.
class Reader {
  public:
    Reader(Fields fields, const std::string& where) : fields_(std::move(fields)), where_(where) {}

    bool has(const char* key) const { return fields_.contains(key); }
    std::string text(const char* key) {
        const auto found = fields_.find(key);
        if (found == fields_.end()) {
            fail(std::string(key) + " is missing");
            return {};
        }
        std::string value = std::move(found->second);
        fields_.erase(found);
        return value;
    }
    double number(const char* key, double least) {
        const std::string value = text(key);
        double parsed = 0;
        const char* end = value.data() + value.size();
        const auto [stop, bad] = std::from_chars(value.data(), end, parsed);
        if (bad != std::errc{} || stop != end || !std::isfinite(parsed) || parsed < least)
            fail(std::string(key) + " is \"" + value + "\"; it must be a number of at least " +
                 std::to_string(least));
        return parsed;
    }
    int64_t count(const char* key, int64_t least, int64_t most) {
        const std::string value = text(key);
        int64_t parsed = 0;
        const char* end = value.data() + value.size();
        const auto [stop, bad] = std::from_chars(value.data(), end, parsed);
        if (bad != std::errc{} || stop != end || parsed < least || parsed > most)
            fail(std::string(key) + " is \"" + value + "\"; it must be a whole number from " +
                 std::to_string(least) + " to " + std::to_string(most));
        return parsed;
    }
    template <class T>
    T one_of(const char* key, std::initializer_list<std::pair<const char*, T>> known) {
        const std::string value = text(key);
        std::string names;
        for (const auto& [name, meaning] : known) {
            if (value == name)
                return meaning;
            names += (names.empty() ? "" : ", ") + std::string(name);
        }
        fail(std::string(key) + " is \"" + value + "\"; it must be one of " + names);
        return known.begin()->second;
    }
    Result<void> finish() {
        if (problem_.empty() && !fields_.empty())
            fail("unknown key " + fields_.begin()->first);
        if (problem_.empty())
            return {};
        return error(Code::argument, where_, ": ", problem_);
    }

  private:
    void fail(const std::string& problem) {
        if (problem_.empty())  // the first one is told
            problem_ = problem;
    }

    Fields fields_;
    std::string where_, problem_;
};

}  // namespace

Result<FiguresTable::Line> FiguresTable::parse_line(const std::string& text,
                                                    const std::string& where) {
    Result<Fields> fields = split(text, where);
    if (!fields)
        return fields.error();
    Reader reader(std::move(*fields), where);
    constexpr double least = 1e-9;
    Line line;
    line.device = reader.one_of<const char*>("device", {{"cpu", "cpu"}, {"cuda", "cuda"}});
    line.target = reader.text("target");
    line.dtype = reader.one_of<Dtype>(
        "dtype", {{"f32", Dtype::f32}, {"f16", Dtype::f16}, {"bf16", Dtype::bf16}});
    line.head_dim = reader.count("head_dim", 1, 1024);
    line.threads = reader.count("threads", 0, 4096);
    line.read = reader.number("read", least);
    line.few = reader.number("few", least);
    line.many = reader.number("many", least);
    line.item = reader.number("item", 0);
    if (reader.has("many_item"))
        line.many_item = reader.number("many_item", 0);
    line.partial = reader.number("partial", 0);
    line.launch = reader.number("launch", 0);
    if (const Result<void> ok = reader.finish(); !ok)
        return ok.error();
    return line;
}

Result<FiguresTable> FiguresTable::parse(const std::string& text, const std::string& name) {
    FiguresTable table;
    std::istringstream lines(text);
    std::string line;
    if (!std::getline(lines, line) || line != k_header)
        return error(Code::argument, name, " line 1: it must be \"", k_header, "\"");
    for (int number = 2; std::getline(lines, line); ++number) {
        if (line.find_first_not_of(" \t\r") == line.npos || line[0] == '#')
            continue;
        Result<Line> parsed = parse_line(line, name + " line " + std::to_string(number));
        if (!parsed)
            return parsed.error();
        table.lines_.push_back(std::move(*parsed));
    }
    return table;
}

Result<FiguresTable> FiguresTable::from_environment() {
    const char* path = std::getenv("RELAYATTN_FIGURES");
    if (path == nullptr || *path == '\0')
        return FiguresTable{};
    const std::string name = std::string("RELAYATTN_FIGURES, ") + path;
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (file)
        text << file.rdbuf();
    if (!file)
        return error(Code::argument, name, ": the file cannot be read");
    return parse(text.str(), name);
}

void FiguresTable::apply(const BackendInfo& info, const Layer& layer,
                         DeviceFigures& figures) const {
    if (lines_.empty())
        return;
    const char* device = info.backend == 2 ? "cuda" : "cpu";
    const std::string target = target_of(info);
    const auto distance = [&](const Line& line) {
        return std::abs(line.head_dim - layer.kv.head_dim_k);
    };
    const Line* best = nullptr;
    for (const Line& line : lines_) {
        if (line.device == device && line.target == target && line.dtype == layer.kv.dtype &&
            (best == nullptr || distance(line) < distance(*best)))
            best = &line;
    }
    if (best == nullptr)
        return;
    const double share = best->threads > 0 ? static_cast<double>(info.num_threads) /
                                                 static_cast<double>(best->threads)
                                           : 1;
    const auto workers = static_cast<double>(figures.num_workers);
    const double dims =
        static_cast<double>(layer.kv.head_dim_v) / static_cast<double>(best->head_dim);
    figures.read_bytes_per_ns = best->read * share;
    figures.few_flops_per_ns = best->few * share;
    figures.many_flops_per_ns = best->many * share;
    figures.item_ns = best->item / share * workers;
    if (best->many_item)
        figures.many_item_ns = *best->many_item / share * workers;
    figures.partial_ns = best->partial / share * workers * dims;
    figures.launch_ns = best->launch;
}

}  // namespace relayattn
