#include "options.h"

#include <charconv>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>
#include <thread>

namespace serve {
namespace {

constexpr const char* k_help =
    R"(relayattn-serve: many requests over one system prompt, served from a shared prefix

  --model DIR           Hugging Face folder: config.json and safetensors of a Llama, Mistral or Qwen2 model
  --system FILE         the system prompt, computed once and shared by every request
  --child FILE          a second-level prompt that continues it, shared by some requests
  --requests FILE       one JSON object a line:
                        {"arrive": STEP, "prompt": "system" or "child", "max_tokens": N,
                         "turns": [{"ask": "text", "answer": "the right answer, if known"}, ...]}
  --mode MODE           relay  prefix once per batch      flat  prefix once per request, shared pages
                        auto   the library chooses        copy  every request holds its own copy
                        all    relay, flat and copy, one after the other, compared (default)
  --threads N           threads of attention and linear layers (default: all cores)
  --kv-dtype TYPE       f32 (default), f16 or bf16: how keys and values are stored
  --page-size N         tokens in a page (default: the library's choice)
  --max-concurrent N    requests that run at once (default 32)
  --quiet               the final table only
  --help                this text

Texts are words of the model's tokenizer.json if that is a WordLevel one split at white space (as the
committed model's is), else token ids separated by spaces. Decoding is greedy.
)";

const std::map<std::string, Mode>& known_modes() {
    static const std::map<std::string, Mode> modes = {
        {"auto", {"auto", RA_MODE_AUTO, Sharing::shared}},
        {"relay", {"relay", RA_MODE_RELAY, Sharing::shared}},
        {"flat", {"flat", RA_MODE_FLAT, Sharing::shared}},
        {"copy", {"own copy", RA_MODE_AUTO, Sharing::own_copy}},
    };
    return modes;
}

std::vector<Mode> parse_mode(const std::string& value) {
    if (value == "all")
        return {known_modes().at("relay"), known_modes().at("flat"), known_modes().at("copy")};
    const auto found = known_modes().find(value);
    if (found == known_modes().end())
        throw std::runtime_error("--mode is \"" + value +
                                 "\", must be auto, relay, flat, copy or all");
    return {found->second};
}

int32_t parse_dtype(const std::string& value) {
    if (value == "f32")
        return RA_F32;
    if (value == "f16")
        return RA_F16;
    if (value == "bf16")
        return RA_BF16;
    throw std::runtime_error("--kv-dtype is \"" + value + "\", must be f32, f16 or bf16");
}

int64_t parse_count(const std::string& option, const std::string& value, int64_t most) {
    int64_t count = 0;
    const char* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, count);
    if (error != std::errc() || stop != end || count < 1 || count > most)
        throw std::runtime_error(option + " is \"" + value + "\", must be from 1 to " +
                                 std::to_string(most));
    return count;
}

using Setter = std::function<void(Options&, const std::string&)>;

const std::map<std::string, Setter>& setters() {
    static const std::map<std::string, Setter> table = {
        {"--model", [](Options& o, const std::string& v) { o.model = v; }},
        {"--system", [](Options& o, const std::string& v) { o.system = v; }},
        {"--child", [](Options& o, const std::string& v) { o.child = v; }},
        {"--requests", [](Options& o, const std::string& v) { o.requests = v; }},
        {"--mode", [](Options& o, const std::string& v) { o.modes = parse_mode(v); }},
        {"--kv-dtype",
         [](Options& o, const std::string& v) { o.server.kv_dtype = parse_dtype(v); }},
        {"--threads",
         [](Options& o, const std::string& v) {
             o.server.threads = parse_count("--threads", v, 1024);
         }},
        {"--page-size",
         [](Options& o, const std::string& v) {
             o.server.page_size = parse_count("--page-size", v, 65536);
         }},
        {"--max-concurrent",
         [](Options& o, const std::string& v) {
             o.server.max_concurrent = parse_count("--max-concurrent", v, 4096);
         }},
    };
    return table;
}

void require(const std::string& value, const char* option) {
    if (value.empty())
        throw std::runtime_error(std::string(option) + " is missing; --help tells what it is");
}

}  // namespace

std::optional<Options> parse_options(int argc, char** argv) {
    Options options;
    options.modes = parse_mode("all");
    options.server.threads = std::max<int64_t>(1, std::thread::hardware_concurrency());
    const std::vector<std::string> words(argv + 1, argv + argc);
    for (size_t i = 0; i < words.size(); ++i) {
        if (words[i] == "--help" || words[i] == "-h") {
            std::cout << k_help;
            return std::nullopt;
        }
        if (words[i] == "--quiet") {
            options.quiet = true;
            continue;
        }
        const auto setter = setters().find(words[i]);
        if (setter == setters().end())
            throw std::runtime_error("unknown option \"" + words[i] + "\"; --help lists them");
        if (i + 1 == words.size())
            throw std::runtime_error(words[i] + " needs a value");
        setter->second(options, words[++i]);
    }
    require(options.model, "--model");
    require(options.system, "--system");
    require(options.requests, "--requests");
    return options;
}

}  // namespace serve
