#!/usr/bin/env python3
"""The record of a CPU in one command: ours and PyTorch at several numbers of threads.

    python3 tests/bench/cpu_record.py BUILD/tests/bench/relayattn-bench \\
        [--isa amx avx512_bf16] [--threads 2 16 1] [--dtype bf16] [--shapes cpu] [--rounds 5]
        [--time-limit 100] [--out DIR]

Each number of threads is one run of peers/torch_cpu.py, in which the instruction sets and PyTorch
take turns, or of the program alone where this Python has no PyTorch. The seconds that are left are
shared by the runs that are left. At the end a table of all: minima in us, the fraction of the floor
and of its memory side, how many times as fast as PyTorch's best form, and as the fewest threads.
DIR, by default a new one, keeps each run's JSON.
"""
import argparse
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time


def read_arguments():
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the relayattn-bench that was built")
    parser.add_argument("--isa", nargs="+", default=[], help="default: ours chooses")
    parser.add_argument("--threads", nargs="+", type=int, help="in this order (default: 2, all, 1)",
                        default=list(dict.fromkeys([2, cores, 1])))
    parser.add_argument("--dtype", nargs="+", default=["bf16"])
    parser.add_argument("--shapes", nargs="+", default=["cpu"])
    parser.add_argument("--rounds", type=int, default=5, help="clean samples of ours, at least")
    parser.add_argument("--time-limit", type=float, default=100, metavar="SECONDS")
    parser.add_argument("--out", type=pathlib.Path)
    return parser.parse_args()


def beside_torch(arguments, threads, seconds, path):
    script = pathlib.Path(__file__).parent / "peers" / "torch_cpu.py"
    command = [sys.executable, script, arguments.program, "--threads", str(threads), "--rounds",
               str(arguments.rounds), "--time-limit", f"{seconds:.0f}", "--json", path,
               "--shapes", *arguments.shapes, "--dtype", *arguments.dtype]
    subprocess.run(command + (["--isa", *arguments.isa] if arguments.isa else []), check=True)
    return load(path)


def alone(arguments, threads, seconds, path):
    records = []
    for isa in arguments.isa or [None]:
        command = [arguments.program, "--threads", str(threads), "--repeat", str(arguments.rounds),
                   "--check", "--json", path, "--shapes", *arguments.shapes, "--dtype",
                   *arguments.dtype, *(["--isa", isa] if isa else [])]
        subprocess.run(command, check=True, timeout=seconds)
        records += load(path)
    path.write_text(json.dumps(records, indent=1), encoding="utf-8")
    return records


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def print_table(records):
    cells = [record for record in records if "shape" in record]
    best, slowest = {}, {}
    for cell in cells:
        key = cell["shape"], cell["dtype"]
        if "peer" in cell:
            key += (cell["threads"],)
            best[key] = min(best.get(key, cell["min_us"]), cell["min_us"])
        else:
            key += (cell["isa"],)
            if key not in slowest or cell["threads"] < slowest[key]["threads"]:
                slowest[key] = cell
    print(f"{'shape':27} {'dtype':5} {'isa':12} {'threads':>7} {'us':>9} {'floor':>6} "
          f"{'memory':>6} {'torch':>6} {'threads':>8}")
    ours = [cell for cell in cells if "peer" not in cell]
    for cell in sorted(ours, key=lambda c: (c["dtype"], c["shape"], c["isa"], c["threads"])):
        key, us = (cell["shape"], cell["dtype"]), cell["min_us"]
        peer = best.get((*key, cell["threads"]))
        ahead = f"{peer / us:.2f}" if peer else "-"
        fewest = slowest[(*key, cell["isa"])]
        print(f"{cell['shape']:27} {cell['dtype']:5} {cell['isa']:12} {cell['threads']:7} "
              f"{us:9.1f} {cell['of_floor']:6.2f} {cell['floor_memory_us'] / us:6.2f} "
              f"{ahead:>6} {fewest['min_us'] / us:6.2f}/{fewest['threads']}")


def main():
    arguments = read_arguments()
    out = arguments.out or pathlib.Path(tempfile.mkdtemp(prefix="relayattn-record-"))
    out.mkdir(parents=True, exist_ok=True)
    run = beside_torch if importlib.util.find_spec("torch") else alone
    if run is alone:
        print(f"{sys.executable} has no torch: ours is measured alone", flush=True)
    end = time.monotonic() + arguments.time_limit
    records = []
    for index, threads in enumerate(arguments.threads):
        seconds = max(5, (end - time.monotonic()) / (len(arguments.threads) - index))
        print(f"== {threads} threads, at most {seconds:.0f} s", flush=True)
        try:
            records += run(arguments, threads, seconds, out / f"threads-{threads}.json")
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as reason:
            print(f"== {threads} threads: {reason}", flush=True)
    machine = next((record for record in records if "shape" not in record), {})
    print(json.dumps(machine))
    print_table(records)
    print(f"the records are in {out}")


if __name__ == "__main__":
    main()
