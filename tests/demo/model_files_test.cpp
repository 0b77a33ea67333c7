// Model folders that are wrong or damaged: refused with a message that names file, tensor or key.

#include <doctest/doctest.h>

#include <functional>

#include "config.h"
#include "folder.h"
#include "safetensors.h"
#include "weights.h"

using nlohmann::json;

namespace {

std::string load(const Folder& folder) {
    return message_of(
        [&] { serve::read_weights(folder.path(), serve::read_config(folder.path())); });
}

constexpr const char* k_tensor = "model.layers.1.self_attn.k_proj.weight";

// What loading says after a change to the header entry of one tensor.
std::string after_change(const std::function<void(json&)>& change) {
    const Folder folder("llama");
    TensorFile file(folder.read("model.safetensors"));
    change(file.header[k_tensor]);
    folder.write("model.safetensors", file.bytes());
    return load(folder);
}

std::string after_config_change(const std::string& fixture,
                                const std::function<void(json&)>& change) {
    const Folder folder(fixture);
    json config = json::parse(folder.read("config.json"));
    change(config);
    folder.write("config.json", config.dump());
    return load(folder);
}

}  // namespace

TEST_CASE("whole fixtures load, from one file and from shards, in every stored type") {
    for (const char* name : {"llama", "llama_linear", "llama_yarn", "mistral", "qwen2"})
        CHECK(load(Folder(name)) == "");
}

TEST_CASE("a tensor that is missing is named") {
    const Folder folder("llama");
    TensorFile file(folder.read("model.safetensors"));
    file.header.erase(k_tensor);
    folder.write("model.safetensors", file.bytes());
    const std::string message = load(folder);
    CHECK(contains(message, k_tensor));
    CHECK(contains(message, "is missing"));
}

TEST_CASE("a tensor whose header entry is wrong is named, with what is wrong") {
    struct Case {
        std::function<void(json&)> change;
        const char* says;
    };
    const Case cases[] = {
        {[](json& t) { t["shape"] = {32, 64}; },
         "shape is [32, 64], config.json asks for [64, 32]"},
        {[](json& t) { t["shape"] = {64, 33}; }, "shape [64, 33] needs 2112 values"},
        {[](json& t) { t["shape"] = {64, -32}; }, "shape holds -32"},
        {[](json& t) { t["shape"] = "no"; }, "shape is missing or not a list"},
        {[](json& t) { t["shape"] = {int64_t{1} << 40, int64_t{1} << 40}; }, "is too large"},
        {[](json& t) { t["dtype"] = "I64"; }, "dtype is I64"},
        {[](json& t) { t.erase("dtype"); }, "dtype is null"},
        {[](json& t) { t["data_offsets"] = {8, 4}; }, "data_offsets [8, 4] do not lie"},
        {[](json& t) { t["data_offsets"] = {0, 1 << 30}; }, "do not lie in the"},
        {[](json& t) { t["data_offsets"] = {0}; }, "do not lie in the"},
        {[](json& t) { t.erase("data_offsets"); }, "data_offsets is missing"},
        {[](json& t) { t = 5; }, "is not an object"},
    };
    for (const Case& c : cases) {
        const std::string message = after_change(c.change);
        INFO(message);
        CHECK(contains(message, k_tensor));
        CHECK(contains(message, c.says));
    }
}

TEST_CASE("a value that is no number is found, in the tensor that holds it") {
    const Folder folder("llama");
    TensorFile file(folder.read("model.safetensors"));
    const auto at = file.header[k_tensor]["data_offsets"][0].get<size_t>() + 4 * 7;
    const uint32_t nan = 0x7fc00000;
    file.data.replace(at, 4, reinterpret_cast<const char*>(&nan), 4);
    folder.write("model.safetensors", file.bytes());
    const std::string message = load(folder);
    CHECK(contains(message, k_tensor));
    CHECK(contains(message, "value 7 is not a finite number"));
}

TEST_CASE("a file cut short names a tensor that is no longer whole, at whatever byte it is cut") {
    const Folder folder("llama");
    const std::string whole = folder.read("model.safetensors");
    folder.write("model.safetensors", whole.substr(0, whole.size() - 1));
    CHECK(contains(load(folder), "do not lie in the"));
    CHECK(contains(load(folder), "tensor \""));
    for (size_t size : {size_t{0}, size_t{7}, size_t{8}, size_t{500}, whole.size() / 2}) {
        folder.write("model.safetensors", whole.substr(0, size));
        CHECK(contains(load(folder), "model.safetensors"));
    }
}

TEST_CASE("a file that is no safetensors file is refused by name") {
    const Folder folder("llama");
    folder.write("model.safetensors", std::string(4096, 'x'));
    CHECK(contains(load(folder), "its header claims"));
    folder.write("model.safetensors", std::string("\x04\0\0\0\0\0\0\0nope", 12));
    CHECK(contains(load(folder), "is not a JSON object"));
    std::filesystem::remove(folder.file("model.safetensors"));
    CHECK(contains(load(folder), "holds neither model.safetensors nor"));
}

TEST_CASE("shards: a missing file, a misplaced tensor and a damaged index are told apart") {
    const Folder folder("mistral");
    const json index = json::parse(folder.read("model.safetensors.index.json"));
    const std::string name = "model.norm.weight";
    const std::string shard = index["weight_map"][name].get<std::string>();

    json wrong = index;
    wrong["weight_map"]["model.layers.9.mlp.up_proj.weight"] = shard;
    folder.write("model.safetensors.index.json", wrong.dump());
    CHECK(contains(load(folder), "model.layers.9.mlp.up_proj.weight"));

    wrong = index;
    wrong["weight_map"][name] = 3;
    folder.write("model.safetensors.index.json", wrong.dump());
    CHECK(contains(load(folder), name));

    folder.write("model.safetensors.index.json", "{}");
    CHECK(contains(load(folder), "has no weight_map"));

    folder.write("model.safetensors.index.json", index.dump());
    std::filesystem::copy(folder.file(shard), folder.file("copy"));
    std::filesystem::remove(folder.file(shard));
    CHECK(contains(load(folder), shard));
}

TEST_CASE("a config.json that is wrong is refused by key and value") {
    CHECK(contains(after_config_change("llama", [](json& c) { c["model_type"] = "gpt2"; }),
                   "\"model_type\" is \"gpt2\""));
    CHECK(contains(after_config_change("llama", [](json& c) { c.erase("hidden_size"); }),
                   "\"hidden_size\" is missing"));
    CHECK(contains(after_config_change("llama", [](json& c) { c["num_hidden_layers"] = 0; }),
                   "\"num_hidden_layers\" is 0"));
    CHECK(contains(after_config_change("llama", [](json& c) { c["vocab_size"] = 1e300; }),
                   "\"vocab_size\""));
    CHECK(contains(after_config_change("llama", [](json& c) { c["num_key_value_heads"] = 3; }),
                   "must be a multiple of num_key_value_heads"));
    CHECK(contains(after_config_change("llama", [](json& c) { c["hidden_act"] = "gelu"; }),
                   "\"hidden_act\" is \"gelu\""));
    CHECK(contains(
        after_config_change("llama", [](json& c) { c["rope_scaling"]["rope_type"] = "longrope"; }),
        "\"rope_type\" is \"longrope\""));
    CHECK(contains(after_config_change("llama", [](json& c) { c["rope_scaling"]["factor"] = 0; }),
                   "\"factor\" is 0"));
    CHECK(contains(after_config_change("mistral", [](json& c) { c["sliding_window"] = -4; }),
                   "\"sliding_window\" is -4"));
    const Folder folder("llama");
    folder.write("config.json", "[");
    CHECK(contains(load(folder), "is not a JSON object"));
    std::filesystem::remove(folder.file("config.json"));
    CHECK(contains(load(folder), "cannot open"));
}

TEST_CASE("windows: every layer of Mistral, the later layers of Qwen2, none without a window") {
    CHECK(serve::read_config(std::string(FIXTURES) + "/mistral").layer_window ==
          std::vector<int64_t>{9, 9});
    CHECK(serve::read_config(std::string(FIXTURES) + "/qwen2").layer_window ==
          std::vector<int64_t>{0, 12});
    CHECK(serve::read_config(std::string(FIXTURES) + "/llama").layer_window ==
          std::vector<int64_t>{0, 0});

    // Files older than layer_types say it by max_window_layers.
    const Folder folder("qwen2");
    json config = json::parse(folder.read("config.json"));
    config.erase("layer_types");
    folder.write("config.json", config.dump());
    CHECK(serve::read_config(folder.path()).layer_window == std::vector<int64_t>{0, 12});
    config["use_sliding_window"] = false;
    folder.write("config.json", config.dump());
    CHECK(serve::read_config(folder.path()).layer_window == std::vector<int64_t>{0, 0});
}
