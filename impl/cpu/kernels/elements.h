// Storage types of the elements, and what a K or V element of each is to the products.
//
// Headers in this folder are compiled once per instruction set, with that set's flags. Everything
// in them is in an unnamed namespace and nothing comes from std::, so that no function compiled for
// a newer machine can be the copy that the linker keeps for all.
#pragma once

#include <cstdint>

namespace relayattn::cpu {
namespace {

struct F16 {
    uint16_t bits;
};
struct Bf16 {
    uint16_t bits;
};
// Stored as Bf16, but multiplied by an instruction that takes pairs of it: the other operand then
// lies in words of two bf16, too.
struct Bf16Dot {
    uint16_t bits;
};

// The same, multiplied by a unit of tiles.
struct Bf16Tile {
    uint16_t bits;
};

// How many consecutive terms of a product lie side by side in K and V (see page_layout.h).
template <class T>
constexpr int interleave = 1;
template <>
constexpr int interleave<Bf16> = 2;
template <>
constexpr int interleave<Bf16Dot> = 2;
template <>
constexpr int interleave<Bf16Tile> = 2;

template <class T>
constexpr bool is_dot = false;
template <>
constexpr bool is_dot<Bf16Dot> = true;
template <>
constexpr bool is_dot<Bf16Tile> = true;

template <class T>
constexpr bool is_tile = false;
template <>
constexpr bool is_tile<Bf16Tile> = true;

constexpr int k_both = 2;  // terms of a pair, where 0 and 1 stand for one of them

constexpr float k_log2_e = 1.44269504088896340736f;
constexpr double k_ln_2 = 0.693147180559945309417;
constexpr float k_infinity = __builtin_inff();

}  // namespace
}  // namespace relayattn::cpu
