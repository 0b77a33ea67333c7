#!/usr/bin/env python3
"""Writes scenario.json; README.md says what it is. make_scenario.py [--check]"""
import argparse
import json
import math
import pathlib
import sys

import stories
from steps import StepScript

FILE = pathlib.Path(__file__).with_name("scenario.json")
# Decimals of expected values may differ between machines in the last digit.
SLACK = 3e-7


def differences(old, new, place="file"):
    """Yields a sentence for each place where two parsed files differ."""
    if isinstance(old, (int, float)) and isinstance(new, (int, float)):
        if not math.isclose(old, new, rel_tol=SLACK, abs_tol=SLACK):
            yield f"{place} is {old}, and would be {new}"
    elif type(old) is not type(new):
        yield f"{place} is {old!r}, and would be {new!r}"
    elif isinstance(old, dict) and list(old) == list(new):
        for key in old:
            yield from differences(old[key], new[key], f"{place}.{key}")
    elif isinstance(old, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new)):
            yield from differences(a, b, f"{place}[{i}]")
    elif old != new:
        yield f"{place} has another length or other fields"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the file instead")
    check = parser.parse_args().check
    script = StepScript()
    stories.tell(script)
    text = script.text(stories.STATUSES)
    if not check:
        FILE.write_text(text, encoding="ascii")
        return
    found = list(differences(json.loads(FILE.read_text(encoding="ascii")), json.loads(text)))
    for sentence in found[:10]:
        print(sentence)
    if found:
        sys.exit(f"{len(found)} differences: run make_scenario.py and look at the change")


if __name__ == "__main__":
    main()
