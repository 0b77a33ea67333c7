#include "requests.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace serve {
namespace {

using nlohmann::json;

constexpr int64_t k_default_max_tokens = 64;

Turn parse_turn(const json& object, const std::string& place, const Vocabulary& vocabulary) {
    if (!object.is_object() || !object.contains("ask") || !object["ask"].is_string())
        throw std::runtime_error(place + ": each turn needs a text \"ask\"");
    Turn turn;
    turn.text = object["ask"].get<std::string>();
    turn.tokens = vocabulary.encode(turn.text, place);
    if (turn.tokens.empty())
        throw std::runtime_error(place + ": \"ask\" is empty");
    if (object.contains("answer")) {
        if (!object["answer"].is_string())
            throw std::runtime_error(place + ": \"answer\" must be a text");
        turn.right_answer = object["answer"].get<std::string>();
    }
    return turn;
}

int64_t parse_count(const json& object, const char* key, int64_t otherwise, int64_t least,
                    const std::string& place) {
    if (!object.contains(key))
        return otherwise;
    if (!object[key].is_number_integer() || object[key].get<int64_t>() < least)
        throw std::runtime_error(place + ": \"" + key + "\" is " + object[key].dump() +
                                 ", must be an integer of at least " + std::to_string(least));
    return object[key].get<int64_t>();
}

Request parse_request(const json& object, const std::string& place, const Vocabulary& vocabulary) {
    if (!object.is_object() || !object.contains("turns") || !object["turns"].is_array() ||
        object["turns"].empty())
        throw std::runtime_error(place + ": must be a JSON object with a list \"turns\"");
    Request request;
    request.arrive = parse_count(object, "arrive", 0, 0, place);
    request.max_tokens = parse_count(object, "max_tokens", k_default_max_tokens, 1, place);
    const json prompt = object.value("prompt", json("system"));
    if (prompt != "system" && prompt != "child")
        throw std::runtime_error(place + ": \"prompt\" is " + prompt.dump() +
                                 ", must be \"system\" or \"child\"");
    request.under_child = prompt == "child";
    for (const json& turn : object["turns"])
        request.turns.push_back(parse_turn(turn, place, vocabulary));
    return request;
}

}  // namespace

std::vector<Request> read_requests(const std::string& path, const Vocabulary& vocabulary) {
    std::istringstream text(read_text(path));
    std::vector<Request> requests;
    int64_t number = 0;
    for (std::string line; std::getline(text, line);) {
        ++number;
        if (line.find_first_not_of(" \t\r") == std::string::npos)
            continue;
        const std::string place = path + ":" + std::to_string(number);
        requests.push_back(parse_request(json::parse(line, nullptr, false), place, vocabulary));
        requests.back().number = number;
    }
    if (requests.empty())
        throw std::runtime_error(path + ": holds no request");
    std::sort(requests.begin(), requests.end(), [](const Request& a, const Request& b) {
        return std::pair(a.arrive, a.number) < std::pair(b.arrive, b.number);
    });
    return requests;
}

std::string read_text(const std::string& path) {
    std::ifstream stream(path);
    if (!stream)
        throw std::runtime_error("cannot open " + path);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
}

}  // namespace serve
