#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace serve {

// Words to tokens and back. Reads a WordLevel tokenizer.json (words split at white space), which is
// what the committed model has. A folder with any other tokenizer, or none, is served with token
// ids as text: "12 7 403" is then three tokens.
class Vocabulary {
  public:
    Vocabulary(const std::string& folder, int64_t vocab_size);
    std::vector<int32_t> encode(const std::string& text, const std::string& place) const;
    std::string decode(const std::vector<int32_t>& tokens) const;
    bool has_words() const { return !words_.empty(); }

  private:
    void read_words(const std::string& path);
    int32_t encode_word(const std::string& word, const std::string& place) const;

    int64_t vocab_size_;
    std::map<std::string, int32_t> ids_;
    std::vector<std::string> words_;
};

}  // namespace serve
