#include "safetensors.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "half.h"

namespace serve {
namespace {

using nlohmann::json;

// The format's own bound on the header; it keeps a damaged length from asking for gigabytes.
constexpr uint64_t k_max_header = 100'000'000;

[[noreturn]] void fail(const std::string& file, const std::string& tensor, const std::string& why) {
    const std::string who = tensor.empty() ? "" : " tensor \"" + tensor + "\":";
    throw std::runtime_error(file + ":" + who + " " + why);
}

json parse_header(const MappedFile& file, const std::string& path, size_t* payload_out) {
    if (file.size() < 8)
        fail(path, "", "is " + std::to_string(file.size()) + " bytes long, a header needs 8");
    uint64_t length = 0;
    std::memcpy(&length, file.data(), 8);
    if (length > k_max_header || length > file.size() - 8)
        fail(path, "",
             "its header claims " + std::to_string(length) + " bytes, the file has " +
                 std::to_string(file.size() - 8) + " after the length: damaged or cut short");
    *payload_out = 8 + length;
    const char* text = reinterpret_cast<const char*>(file.data()) + 8;
    json header = json::parse(text, text + length, nullptr, false);
    if (!header.is_object())
        fail(path, "", "its header is not a JSON object: damaged, or not a safetensors file");
    return header;
}

StoredType parse_type(const json& entry, const std::string& path, const std::string& name) {
    const json& value = entry.value("dtype", json());
    const std::string type = value.is_string() ? value.get<std::string>() : value.dump();
    if (type == "F32")
        return StoredType::f32;
    if (type == "F16")
        return StoredType::f16;
    if (type == "BF16")
        return StoredType::bf16;
    fail(path, name, "dtype is " + type + ", this program reads F32, F16 and BF16");
}

std::vector<int64_t> parse_sizes(const json& entry, const char* key, const std::string& path,
                                 const std::string& name) {
    const json& list = entry.value(key, json());
    if (!list.is_array())
        fail(path, name, std::string(key) + " is missing or not a list");
    std::vector<int64_t> sizes;
    for (const json& value : list) {
        if (!value.is_number_unsigned() ||
            value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
            fail(path, name, std::string(key) + " holds " + value.dump() + ", not a size");
        sizes.push_back(value.get<int64_t>());
    }
    return sizes;
}

int64_t count_elements(const std::vector<int64_t>& shape, const std::string& path,
                       const std::string& name) {
    int64_t count = 1;
    for (int64_t extent : shape)
        if (__builtin_mul_overflow(count, extent, &count))
            fail(path, name, "shape " + shape_text(shape) + " is too large");
    return count;
}

int64_t element_size(StoredType type) {
    return type == StoredType::f32 ? 4 : 2;
}

StoredTensor parse_tensor(const json& entry, const MappedFile& file, size_t payload,
                          const std::string& path, const std::string& name) {
    if (!entry.is_object())
        fail(path, name, "its header entry is not an object");
    StoredTensor tensor{parse_type(entry, path, name), parse_sizes(entry, "shape", path, name),
                        nullptr, path};
    const auto offsets = parse_sizes(entry, "data_offsets", path, name);
    const auto available = static_cast<int64_t>(file.size() - payload);
    if (offsets.size() != 2 || offsets[0] > offsets[1] || offsets[1] > available)
        fail(path, name,
             "data_offsets " + shape_text(offsets) + " do not lie in the " +
                 std::to_string(available) + " bytes of data: damaged or cut short");
    const int64_t count = count_elements(tensor.shape, path, name);
    const int64_t held = (offsets[1] - offsets[0]) / element_size(tensor.type);
    if (count != held || (offsets[1] - offsets[0]) % element_size(tensor.type) != 0)
        fail(path, name,
             "shape " + shape_text(tensor.shape) + " needs " + std::to_string(count) +
                 " values, its data_offsets hold " + std::to_string(held));
    tensor.data = file.data() + payload + offsets[0];
    return tensor;
}

float value_at(const StoredTensor& tensor, size_t i) {
    if (tensor.type == StoredType::f32) {
        float value = 0;
        std::memcpy(&value, tensor.data + 4 * i, 4);
        return value;
    }
    uint16_t bits = 0;
    std::memcpy(&bits, tensor.data + 2 * i, 2);
    return tensor.type == StoredType::f16 ? f16_to_float(bits) : bf16_to_float(bits);
}

}  // namespace

std::string shape_text(const std::vector<int64_t>& shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); ++i)
        text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
    return text + "]";
}

WeightFiles::WeightFiles(const std::string& folder) : folder_(folder) {
    const std::string single = folder + "/model.safetensors";
    const std::string index = single + ".index.json";
    if (std::filesystem::exists(single))
        add_file(single);
    else if (std::filesystem::exists(index))
        add_index(folder, index);
    else
        throw std::runtime_error(folder + ": holds neither model.safetensors nor " +
                                 "model.safetensors.index.json");
}

void WeightFiles::add_file(const std::string& path) {
    files_.push_back(std::make_unique<MappedFile>(path));
    const MappedFile& file = *files_.back();
    size_t payload = 0;
    const json header = parse_header(file, path, &payload);
    for (const auto& [name, entry] : header.items()) {
        if (name == "__metadata__")
            continue;
        if (has(name))
            fail(path, name, "is in " + tensors_.at(name).file + " too");
        tensors_.emplace(name, parse_tensor(entry, file, payload, path, name));
    }
}

void WeightFiles::add_index(const std::string& folder, const std::string& path) {
    std::ifstream stream(path);
    const json index = json::parse(stream, nullptr, false);
    const json map = index.is_object() ? index.value("weight_map", json()) : json();
    if (!map.is_object() || map.empty())
        fail(path, "", "has no weight_map: damaged, or not a safetensors index");
    std::set<std::string> shards;
    for (const auto& [name, shard] : map.items()) {
        if (!shard.is_string())
            fail(path, name, "its shard is " + shard.dump() + ", not a file name");
        if (shards.insert(shard.get<std::string>()).second)
            add_file(folder + "/" + shard.get<std::string>());
    }
    for (const auto& [name, shard] : map.items())
        if (!has(name))
            fail(folder + "/" + shard.get<std::string>(), name,
                 "is missing, though the index puts it here");
}

const StoredTensor& WeightFiles::find(const std::string& name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end())
        fail(folder_, name, "is missing");
    return found->second;
}

std::vector<float> WeightFiles::read(const std::string& name,
                                     const std::vector<int64_t>& shape) const {
    const StoredTensor& tensor = find(name);
    if (tensor.shape != shape)
        fail(
            tensor.file, name,
            "shape is " + shape_text(tensor.shape) + ", config.json asks for " + shape_text(shape));
    size_t count = 1;
    for (int64_t extent : shape)
        count *= static_cast<size_t>(extent);
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) {
        values[i] = value_at(tensor, i);
        if (!std::isfinite(values[i]))
            fail(tensor.file, name,
                 "value " + std::to_string(i) + " is not a finite number: damaged");
    }
    return values;
}

}  // namespace serve
