#!/usr/bin/env python3
"""Prints the overhead of each language as a table, from the lines of the programs.

table.py [--check] FILE
"""
import argparse
import json
import sys

# The most nanoseconds a call may cost more than in C, and bytes it may take from a collected heap.
BARS = {"rust": (50, 0), "go": (300, 64), "java": (300, 0)}
# A step that computes must cost the same in every language, up to what a busy machine adds.
LARGE_BAR = 1.10


def lowest(lines):
    """Per language, the lowest of each figure over the rounds."""
    figures = {}
    for line in lines:
        found = json.loads(line)
        best = figures.setdefault(found.pop("language"), found)
        for name, value in found.items():
            best[name] = min(best[name], value)
    return figures


def complaints(figures):
    for language, (most_ns, most_bytes) in BARS.items():
        if language not in figures:
            continue
        mine, c = figures[language], figures["c"]
        more = mine["empty_ns_per_call"] - c["empty_ns_per_call"]
        if more > most_ns:
            yield f"{language}: a call costs {more:.0f} ns more than in C; the bar is {most_ns}"
        if round(mine["bytes_per_call"], 1) > most_bytes:
            yield (f"{language}: a call allocates {mine['bytes_per_call']:.1f} bytes; "
                   f"the bar is {most_bytes}")
        if mine["large_us"] > LARGE_BAR * c["large_us"]:
            yield (f"{language}: the large step takes {mine['large_us']:.0f} us, in C "
                   f"{c['large_us']:.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if a figure is above its bar")
    parser.add_argument("file")
    arguments = parser.parse_args()
    with open(arguments.file, encoding="utf-8") as lines:
        figures = lowest(lines)
    print("| language | ns per empty attend | more than C | bar | bytes per attend | large step us |")
    print("|---|---|---|---|---|---|")
    for language, mine in figures.items():
        more = mine["empty_ns_per_call"] - figures["c"]["empty_ns_per_call"]
        bar = BARS[language][0] if language in BARS else ""
        print(f"| {language} | {mine['empty_ns_per_call']:.0f} | {more:+.0f} | {bar} "
              f"| {mine['bytes_per_call']:.1f} | {mine['large_us']:.0f} |")
    found = list(complaints(figures))
    for sentence in found:
        print(sentence)
    if found and arguments.check:
        sys.exit(1)


if __name__ == "__main__":
    main()
