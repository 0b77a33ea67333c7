// How the library looks for its CUDA plugin, and what it says when there is none. Needs no GPU.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "impl/backend.h"

namespace relayattn::test {
namespace {

// Files that CMake names: a plugin of another build, and a library that is no plugin at all.
std::string other_build, no_plugin;

std::string failure_with(const std::string& path) {
    setenv("RELAYATTN_PLUGIN_PATH", path.c_str(), 1);
    const auto backend = create_cuda_backend(0);
    unsetenv("RELAYATTN_PLUGIN_PATH");
    REQUIRE(!backend);
    CHECK(backend.error().code == Code::device);
    return backend.error().text;
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a named path is the only one that is tried, and the reason names it") {
    const std::string text = failure_with("/no/such/place/plugin.so");
    CHECK(contains(text, "/no/such/place/plugin.so"));
    CHECK_MESSAGE(!contains(text, "librelayattn-cuda.so"), text);
}

TEST_CASE("a named folder is searched for the plugin's own file name") {
    CHECK(contains(failure_with("/tmp"), "/tmp/librelayattn-cuda.so"));
}

TEST_CASE("a plugin of another build is refused before anything of it is used") {
    const std::string text = failure_with(other_build);
    CHECK_MESSAGE(contains(text, other_build), text);
    CHECK_MESSAGE(contains(text, "is of build \"of another day\""), text);
}

TEST_CASE("a library that is no plugin is refused") {
    const std::string text = failure_with(no_plugin);
    CHECK_MESSAGE(contains(text, "has no symbol relayattn_cuda_plugin"), text);
}

}  // namespace relayattn::test

int main(int argc, char** argv) {
    if (argc < 3)
        return 2;
    relayattn::test::other_build = argv[1];
    relayattn::test::no_plugin = argv[2];
    return doctest::Context(argc - 2, argv + 2).run();
}
