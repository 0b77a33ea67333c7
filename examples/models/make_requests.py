#!/usr/bin/env python3
"""Writes the demo's prompts and requests: a directory that the model has not seen, and questions about it.

    python3 make_requests.py --out prompts

The directory's bindings come from a random seed of their own; training draws its directories from another
generator altogether. The standard library is enough.
"""

import argparse
import json
import os
import random

import directory as d

SYSTEM_FACTS, CHILD_FACTS = 450, 40
REQUESTS = 64


def make_request(rng, number, system, child):
    """Between two and six questions; a third of the requests stand under the child prompt and ask for both."""
    under_child = number % 3 == 2
    known = {**system, **child} if under_child else system
    names = rng.sample(list(known), rng.randint(2, 6))
    if under_child:
        names[0] = rng.choice(list(child))
    turns = [{"ask": f"? {name} :", "answer": " ".join([*known[name], "."])} for name in names]
    # The first half is there within a few steps, the others come as places become free.
    arrive = number // 8 if number < REQUESTS // 2 else 6 + number // 4
    return {"arrive": arrive, "prompt": "child" if under_child else "system",
            "max_tokens": d.ANSWER_TOKENS + 3, "turns": turns}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for the three files")
    parser.add_argument("--seed", type=int, default=20261124)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    names = rng.sample(d.NAMES, SYSTEM_FACTS + CHILD_FACTS)
    system = d.make_facts(rng, names[:SYSTEM_FACTS])
    child = d.make_facts(rng, names[SYSTEM_FACTS:])
    os.makedirs(args.out, exist_ok=True)
    for name, facts in (("system", system), ("child", child)):
        with open(os.path.join(args.out, name + ".txt"), "w") as out:
            out.writelines(d.fact_line(*fact) + "\n" for fact in facts.items())
    with open(os.path.join(args.out, "requests.jsonl"), "w") as out:
        for number in range(REQUESTS):
            out.write(json.dumps(make_request(rng, number, system, child)) + "\n")


if __name__ == "__main__":
    main()
