// Reads what the library says when it refuses.
#pragma once

#include <doctest/doctest.h>

#include <initializer_list>
#include <string>

#include "api.h"

namespace relayattn::test {

// The status, and every one of these words in the message: the function, the argument, its value.
inline void check_refused(ra_status got, ra_status want, std::initializer_list<const char*> words) {
    const std::string text = last_error();
    const std::string statuses =
        std::string("got ") + ra_status_name(got) + ", want " + ra_status_name(want);
    CHECK_MESSAGE(got == want, statuses << "; last error: " << text);
    for (const std::string word : words)
        CHECK_MESSAGE(text.find(word) != std::string::npos, "no \"" << word << "\" in: " << text);
}

}  // namespace relayattn::test
