#include "vocabulary.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

namespace serve {

using nlohmann::json;

Vocabulary::Vocabulary(const std::string& folder, int64_t vocab_size) : vocab_size_(vocab_size) {
    const std::string path = folder + "/tokenizer.json";
    if (std::filesystem::exists(path))
        read_words(path);
}

void Vocabulary::read_words(const std::string& path) {
    std::ifstream stream(path);
    const json file = json::parse(stream, nullptr, false);
    if (!file.is_object())
        throw std::runtime_error(path + ": is not a JSON object");
    const json model = file.value("model", json::object());
    if (!model.is_object() || model.value("type", "") != "WordLevel")
        return;
    const json vocab = model.value("vocab", json());
    if (!vocab.is_object() || vocab.empty())
        throw std::runtime_error(path + ": model.vocab is missing or empty");
    words_.resize(static_cast<size_t>(vocab_size_));
    for (const auto& [word, id] : vocab.items()) {
        if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= vocab_size_)
            throw std::runtime_error(std::string(path)
                                         .append(": the id of \"")
                                         .append(word)
                                         .append("\" is ")
                                         .append(id.dump())
                                         .append(", outside the model's vocabulary of ")
                                         .append(std::to_string(vocab_size_)));
        ids_[word] = id.get<int32_t>();
        words_[id.get<size_t>()] = word;
    }
}

int32_t Vocabulary::encode_word(const std::string& word, const std::string& place) const {
    if (has_words()) {
        const auto found = ids_.find(word);
        if (found == ids_.end())
            throw std::runtime_error(place + ": the model's vocabulary has no word \"" + word +
                                     "\"");
        return found->second;
    }
    int32_t id = -1;
    const char* end = word.data() + word.size();
    const auto [stop, error] = std::from_chars(word.data(), end, id);
    if (error != std::errc() || stop != end || id < 0 || id >= vocab_size_)
        throw std::runtime_error(place + ": \"" + word + "\" is not a token id below " +
                                 std::to_string(vocab_size_) +
                                 " (this model has no word-level tokenizer.json)");
    return id;
}

std::vector<int32_t> Vocabulary::encode(const std::string& text, const std::string& place) const {
    std::vector<int32_t> tokens;
    std::istringstream stream(text);
    for (std::string word; stream >> word;)
        tokens.push_back(encode_word(word, place));
    return tokens;
}

std::string Vocabulary::decode(const std::vector<int32_t>& tokens) const {
    std::string text;
    for (int32_t token : tokens) {
        const std::string word =
            has_words() ? words_[static_cast<size_t>(token)] : std::to_string(token);
        text += (text.empty() ? "" : " ") + word;
    }
    return text;
}

}  // namespace serve
