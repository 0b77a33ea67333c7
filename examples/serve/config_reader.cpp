#include "config_reader.h"

#include <cmath>
#include <fstream>
#include <stdexcept>

namespace serve {

ConfigReader::ConfigReader(const std::string& path) : place_(path) {
    std::ifstream stream(path);
    if (!stream)
        throw std::runtime_error("cannot open " + path);
    object_ = nlohmann::json::parse(stream, nullptr, false);
    if (!object_.is_object())
        throw std::runtime_error(path + ": is not a JSON object");
}

void ConfigReader::fail(const char* key, const std::string& why) const {
    const std::string value = object_.contains(key) ? object_.at(key).dump() : "missing";
    throw std::runtime_error(place_ + ": \"" + key + "\" is " + value + ": " + why);
}

ConfigReader ConfigReader::child(const char* key) const {
    if (!at(key).is_object())
        fail(key, "must be an object");
    return {place_ + ": " + key, at(key)};
}

int64_t ConfigReader::integer(const char* key, int64_t otherwise) const {
    if (!has(key))
        return otherwise;
    if (!at(key).is_number_integer())
        fail(key, "must be an integer");
    return at(key).get<int64_t>();
}

// Sizes beyond this are damage; the bound also keeps their products inside 64 bits.
constexpr int64_t k_largest_size = int64_t{1} << 30;

int64_t ConfigReader::positive(const char* key) const {
    if (!has(key))
        fail(key, "it is required");
    const int64_t value = integer(key, 0);
    if (value < 1 || value > k_largest_size)
        fail(key, "must be from 1 to " + std::to_string(k_largest_size));
    return value;
}

int64_t ConfigReader::positive(const char* key, int64_t otherwise) const {
    return has(key) ? positive(key) : otherwise;
}

double ConfigReader::number(const char* key, double otherwise) const {
    return has(key) ? required_number(key) : otherwise;
}

double ConfigReader::required_number(const char* key) const {
    if (!has(key) || !at(key).is_number())
        fail(key, "must be a number");
    return at(key).get<double>();
}

bool ConfigReader::boolean(const char* key, bool otherwise) const {
    if (!has(key))
        return otherwise;
    if (!at(key).is_boolean())
        fail(key, "must be true or false");
    return at(key).get<bool>();
}

std::string ConfigReader::text(const char* key, const char* otherwise) const {
    if (!has(key))
        return otherwise;
    if (!at(key).is_string())
        fail(key, "must be a text");
    return at(key).get<std::string>();
}

namespace {

// YaRN (Peng et al., 2023, arXiv 2309.00071), section 3.4: the temperature as a factor on cos and
// sin.
double yarn_scale(double factor, double weight) {
    return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1;
}

void read_yarn(const ConfigReader& scaling, RopeConfig& rope) {
    rope.beta_fast = scaling.number("beta_fast", 32);
    rope.beta_slow = scaling.number("beta_slow", 1);
    rope.truncate = scaling.boolean("truncate", true);
    const double mscale = scaling.number("mscale", 0);
    const double mscale_all = scaling.number("mscale_all_dim", 0);
    const double inferred = mscale != 0 && mscale_all != 0 ? yarn_scale(rope.factor, mscale) /
                                                                 yarn_scale(rope.factor, mscale_all)
                                                           : yarn_scale(rope.factor, 1);
    rope.attention_factor = scaling.number("attention_factor", inferred);
}

void read_scaling(const ConfigReader& scaling, const std::string& kind, RopeConfig& rope) {
    rope.factor = scaling.required_number("factor");
    if (!(rope.factor >= 1))
        scaling.fail("factor", "must be at least 1");
    rope.original_length =
        scaling.positive("original_max_position_embeddings", rope.original_length);
    if (kind == "linear") {
        rope.kind = RopeKind::linear;
    } else if (kind == "llama3") {
        rope.kind = RopeKind::llama3;
        rope.low_freq_factor = scaling.required_number("low_freq_factor");
        rope.high_freq_factor = scaling.required_number("high_freq_factor");
        if (!(rope.low_freq_factor > 0 && rope.high_freq_factor > rope.low_freq_factor))
            scaling.fail("high_freq_factor", "must exceed low_freq_factor, which must exceed 0");
    } else if (kind == "yarn") {
        rope.kind = RopeKind::yarn;
        read_yarn(scaling, rope);
    } else if (kind != "dynamic") {  // dynamic is plain up to max_position_embeddings, our limit
        scaling.fail(scaling.has("rope_type") ? "rope_type" : "type",
                     "this program knows default, linear, dynamic, llama3 and yarn");
    }
}

}  // namespace

RopeConfig read_rope_config(const ConfigReader& reader, int64_t max_length) {
    RopeConfig rope;
    rope.original_length = max_length;
    rope.theta = reader.number("rope_theta", 10000);
    const char* key = reader.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
    if (reader.has(key)) {
        const ConfigReader scaling = reader.child(key);
        rope.theta = scaling.number("rope_theta", rope.theta);
        const std::string kind = scaling.text("rope_type", scaling.text("type", "default").c_str());
        if (kind != "default")
            read_scaling(scaling, kind, rope);
    }
    if (!(rope.theta > 1))
        reader.fail("rope_theta", "must exceed 1");
    return rope;
}

}  // namespace serve
