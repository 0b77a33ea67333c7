"""Sizes, alignments and offsets of C structs, as a compiled program prints them."""
import os
import subprocess
import tempfile


def program(structs):
    lines = ["#include <relayattn/relayattn.h>", "#include <stddef.h>", "#include <stdio.h>",
             "int main(void) {"]
    for struct in structs:
        lines.append(f'    printf("{struct.name} %zu %zu\\n", sizeof({struct.name}), '
                     f"_Alignof({struct.name}));")
        for one in struct.members:
            lines.append(f'    printf("{struct.name}.{one.name} %zu\\n", '
                         f"offsetof({struct.name}, {one.name}));")
    return "\n".join(lines + ["    return 0;", "}", ""])


def measure(structs, include):
    """{"struct": [size, alignment], "struct.field": [offset]}"""
    with tempfile.TemporaryDirectory() as folder:
        source, binary = os.path.join(folder, "layout.c"), os.path.join(folder, "layout")
        with open(source, "w", encoding="utf-8") as file:
            file.write(program(structs))
        subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-I", include, source, "-o", binary],
                       check=True)
        out = subprocess.run([binary], check=True, capture_output=True, text=True).stdout
    return {name: [int(one) for one in numbers] for name, *numbers in map(str.split, out.splitlines())}
