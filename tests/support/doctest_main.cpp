#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "program.h"

int main(int argc, char** argv) {
    relayattn::test::read_program_options(argc, argv);
    return doctest::Context(argc, argv).run();
}
