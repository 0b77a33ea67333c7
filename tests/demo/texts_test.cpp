// Words, requests and options: read right, and refused with a message that names the place.

#include <doctest/doctest.h>

#include "folder.h"
#include "options.h"
#include "requests.h"
#include "vocabulary.h"

using namespace serve;

namespace {

constexpr const char* k_words =
    R"({"model": {"type": "WordLevel", "vocab": {"<s>": 0, "red": 1, "lion": 2, ".": 3}}})";

std::string parse(std::vector<std::string> words) {
    words.insert(words.begin(), "relayattn-serve");
    std::vector<char*> argv;
    for (std::string& word : words)
        argv.push_back(word.data());
    return message_of([&] { parse_options(static_cast<int>(argv.size()), argv.data()); });
}

std::string read(const Folder& folder, const std::string& line) {
    folder.write("requests.jsonl", "\n" + line + "\n");
    return message_of(
        [&] { read_requests(folder.file("requests.jsonl"), Vocabulary(folder.path(), 4)); });
}

}  // namespace

TEST_CASE("words become tokens and back") {
    const Folder folder;
    folder.write("tokenizer.json", k_words);
    const Vocabulary vocabulary(folder.path(), 4);
    CHECK(vocabulary.encode(" red\nlion  . ", "here") == std::vector<int32_t>{1, 2, 3});
    CHECK(vocabulary.decode({2, 1}) == "lion red");
    CHECK(contains(message_of([&] { vocabulary.encode("red bear", "p.txt"); }),
                   "p.txt: the model's vocabulary has no word \"bear\""));
}

TEST_CASE("without a word-level tokenizer, text is token ids") {
    const Folder folder;
    const Vocabulary none(folder.path(), 10);
    CHECK(none.encode("7 0 9", "here") == std::vector<int32_t>{7, 0, 9});
    CHECK(none.decode({7, 0}) == "7 0");
    for (const char* bad : {"10", "-1", "x", "3x"})
        CHECK(
            contains(message_of([&] { none.encode(bad, "p.txt"); }), "is not a token id below 10"));
    folder.write("tokenizer.json", R"({"model": {"type": "BPE"}})");
    CHECK_FALSE(Vocabulary(folder.path(), 10).has_words());
}

TEST_CASE("a damaged tokenizer.json is refused") {
    const Folder folder;
    folder.write("tokenizer.json", "{");
    CHECK(contains(message_of([&] { Vocabulary(folder.path(), 4); }), "is not a JSON object"));
    folder.write("tokenizer.json", k_words);
    CHECK(contains(message_of([&] { Vocabulary(folder.path(), 3); }),
                   "the id of \".\" is 3, outside the model's vocabulary of 3"));
}

TEST_CASE("requests come in order of arrival, whatever their order in the file") {
    const Folder folder;
    folder.write("tokenizer.json", k_words);
    folder.write(
        "requests.jsonl",
        R"({"arrive": 5, "turns": [{"ask": "red"}]})"
        "\n\n"
        R"({"prompt": "child", "max_tokens": 7, "turns": [{"ask": "lion .", "answer": "red"}]})");
    const auto requests =
        read_requests(folder.file("requests.jsonl"), Vocabulary(folder.path(), 4));
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].number == 3);
    CHECK(requests[0].under_child);
    CHECK(requests[0].max_tokens == 7);
    CHECK(requests[0].turns[0].tokens == std::vector<int32_t>{2, 3});
    CHECK(requests[0].turns[0].right_answer == "red");
    CHECK(requests[1].arrive == 5);
    CHECK_FALSE(requests[1].under_child);
}

TEST_CASE("a wrong request is refused by file and line") {
    const Folder folder;
    folder.write("tokenizer.json", k_words);
    const std::string place = folder.file("requests.jsonl") + ":2";
    for (const char* line :
         {"nonsense", "{}", R"({"turns": []})", R"({"turns": [{}]})", R"({"turns": [{"ask": ""}]})",
          R"({"turns": [{"ask": "bear"}]})", R"({"turns": [{"ask": "red", "answer": 3}]})",
          R"({"arrive": -1, "turns": [{"ask": "red"}]})",
          R"({"arrive": "x", "turns": [{"ask": "red"}]})",
          R"({"max_tokens": 0, "turns": [{"ask": "red"}]})",
          R"({"prompt": "other", "turns": [{"ask": "red"}]})"}) {
        CAPTURE(line);
        CHECK(contains(read(folder, line), place));
    }
    folder.write("empty", "\n");
    CHECK(contains(
        message_of([&] { read_requests(folder.file("empty"), Vocabulary(folder.path(), 4)); }),
        "holds no request"));
}

TEST_CASE("a wrong option is refused by name, value and bound") {
    CHECK(contains(parse({"--speed", "9"}), "unknown option \"--speed\""));
    CHECK(contains(parse({"--threads"}), "--threads needs a value"));
    CHECK(contains(parse({"--threads", "0"}), "--threads is \"0\", must be from 1 to"));
    CHECK(contains(parse({"--page-size", "16k"}), "--page-size is \"16k\""));
    CHECK(contains(parse({"--mode", "fast"}), "--mode is \"fast\""));
    CHECK(contains(parse({"--kv-dtype", "f64"}), "--kv-dtype is \"f64\""));
    CHECK(contains(parse({"--model", "m", "--system", "s"}), "--requests is missing"));
    CHECK(parse({"--model", "m", "--system", "s", "--requests", "r", "--mode", "copy"}) == "");
}
