#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "config.h"

namespace serve {

// Typed access to a JSON object, with messages that name file, key and value. An absent key and a
// null are the same, as in Hugging Face's files.
class ConfigReader {
  public:
    explicit ConfigReader(const std::string& path);
    ConfigReader(std::string place, nlohmann::json object)
        : place_(std::move(place)), object_(std::move(object)) {}

    bool has(const char* key) const { return object_.contains(key) && !object_.at(key).is_null(); }
    const nlohmann::json& at(const char* key) const { return object_.at(key); }
    ConfigReader child(const char* key) const;
    int64_t integer(const char* key, int64_t otherwise) const;
    int64_t positive(const char* key) const;
    int64_t positive(const char* key, int64_t otherwise) const;
    double number(const char* key, double otherwise) const;
    double required_number(const char* key) const;
    bool boolean(const char* key, bool otherwise) const;
    std::string text(const char* key, const char* otherwise) const;
    [[noreturn]] void fail(const char* key, const std::string& why) const;

  private:
    std::string place_;
    nlohmann::json object_;
};

RopeConfig read_rope_config(const ConfigReader& reader, int64_t max_length);

}  // namespace serve
