#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vocabulary.h"

namespace serve {

// One question of a request: its tokens, and the right answer if the file tells it.
struct Turn {
    std::string text, right_answer;
    std::vector<int32_t> tokens;
};

struct Request {
    int64_t number = 0;  // line in the file
    int64_t arrive = 0;  // step at which the server first sees it
    bool under_child = false;
    int64_t max_tokens = 0;  // for each answer
    std::vector<Turn> turns;
};

// Reads one JSON object a line, in order of arrival:
// {"arrive": 3, "prompt": "system" or "child", "max_tokens": 8, "turns": [{"ask": "...", "answer":
// "..."}]} Only "turns" and "ask" are required. Throws std::runtime_error naming file and line.
std::vector<Request> read_requests(const std::string& path, const Vocabulary& vocabulary);

std::string read_text(const std::string& path);

}  // namespace serve
