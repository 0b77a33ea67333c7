"""Checks the objects of impl/cpu that are compiled with instruction-set flags (see isa_symbols.sh)."""

import json
import pathlib
import re
import subprocess
import sys

FLAG = re.compile(r"\s(-m(?:avx|fma|f16c|bmi|amx|sse4|arch=|cpu=)\S*)")


def isa_objects(build):
    """Pairs (object, flags) of our own sources that ask for more than the platform's baseline."""
    for entry in json.loads((build / "compile_commands.json").read_text()):
        flags = FLAG.findall(entry["command"])
        if "/impl/cpu/" in entry["file"] and flags:
            name = re.search(r"\s-o\s+(\S+)", entry["command"]).group(1)
            yield pathlib.Path(entry["directory"]) / name, flags


def global_symbols(path):
    """(name, kind) of each symbol that another object could bind to; lower case is local to nm."""
    lines = subprocess.run(["nm", "-C", "--defined-only", str(path)], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    parsed = [line.split(maxsplit=2)[1:] for line in lines if line]
    return [(name, kind) for kind, name in parsed if kind.isupper() or kind in "uvw"]


def main():
    objects = list(isa_objects(pathlib.Path(sys.argv[1])))
    if not objects:
        sys.exit("FAILED: no object of impl/cpu is compiled for a higher instruction set")
    failures = []
    for path, flags in objects:
        symbols = global_symbols(path)
        print(f"{path.name} [{' '.join(flags)}]: {', '.join(n + ' ' + k for n, k in symbols)}")
        failures += [f"{path.name} leaks {n} ({k})" for n, k in symbols if k in "WVuvw"]
        if len(symbols) != 1:
            failures.append(f"{path.name} defines {len(symbols)} global symbols; it must be one")
    if failures:
        sys.exit("\n".join("FAILED: " + f for f in failures))


main()
