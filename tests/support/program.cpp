#include "program.h"

#include <relayattn/relayattn.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include "device.h"

namespace relayattn::test {
namespace {

const char* text_option(int argc, char** argv, const char* name) {
    for (int i = 1; i + 1 < argc; ++i)
        if (std::strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return nullptr;
}

}  // namespace

void read_program_options(int argc, char** argv) {
    const char* text = text_option(argc, argv, "--backend");
    const std::string backend = text != nullptr ? text : "cpu";
    if (backend != "cpu" && backend != "cuda")
        throw std::runtime_error("--backend is " + backend + "; it must be cpu or cuda");
    set_backend_under_test(backend == "cpu" ? RA_BACKEND_CPU : RA_BACKEND_CUDA);
}

uint64_t number_option(int argc, char** argv, const char* name, uint64_t otherwise) {
    const char* text = text_option(argc, argv, name);
    return text != nullptr ? std::stoull(text) : otherwise;
}

}  // namespace relayattn::test
