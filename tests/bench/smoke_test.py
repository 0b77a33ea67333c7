#!/usr/bin/env python3
"""The benchmark program does what its --help says, on shapes that take no time.

smoke_test.py PROGRAM [cuda[:N]]

With a GPU named, only what differs there: graphs or not, cold or warm, every mode, --calibrate.
"""
import json
import math
import os
import re
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
GPU = sys.argv[2] if len(sys.argv) > 2 else None
FIELDS = ("shape device isa dtype mode plan threads median_us min_us floor_us read_us begin_us "
          "begin_fresh_us launches error_rel").split()
# The foundation's bounds: rounding the exact result to the dtype, and 10 %; small shapes scatter.
MOST_ERROR = {"f32": 1e-6, "f16": 3e-4, "bf16": 2.2e-3}
GPU_SHARE = 1.3  # its kernels round probabilities, too


def run(*arguments, **more):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False,
                          timeout=120, **more)


def check(condition, what):
    if not condition:
        sys.exit(f"smoke_test: {what}")


def refuses(arguments, part_of_sentence):
    refuses_with({}, arguments, part_of_sentence)


def refuses_with(variables, arguments, part_of_sentence):
    done = run(*arguments, env={**os.environ, **variables})
    check(done.returncode == 2, f"{arguments} exits with {done.returncode}, not 2")
    lines = done.stderr.strip().splitlines()
    check(len(lines) == 1 and part_of_sentence in lines[0], f"{arguments} answers {done.stderr!r}")


def records_of(arguments):
    """The machine, and the cells, which are checked one by one."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "results.json")
        done = run(*arguments, "--check", "--json", path)
        check(done.returncode == 0, f"{arguments}: exit code {done.returncode}: {done.stderr}")
        with open(path, encoding="utf-8") as file:
            machine, *cells = json.load(file)
    for cell in cells:
        check_cell(cell)
    return machine, cells


def measures_on_gpu():
    for graph in ([], ["--graph"]):
        for cold in ("--cold", "--warm"):
            _, cells = records_of([
                "--device", GPU, *graph, cold, "--repeat", "3",
                "--shapes", "3,4/2,64,200,9..40", "8,4/1,128,2x64+4x128,70", "4,2/2,40,0,33",
                "2,8/1,128,300,16,3", "--dtype", "f32", "bf16", "f16",
                "--mode", "auto", "relay", "flat", "copies"])
            check(len(cells) == 4 * 3 * 4, f"{len(cells)} cells")
            check(all(cell["graph"] == bool(graph) and cell["cold"] == (cold == "--cold")
                      for cell in cells), "a cell tells a wrong graph or cold")
            check(all(cell["plan"] == "relay" for cell in cells
                      if cell["mode"] == "relay" and ",0," not in cell["shape"]),
                  "mode relay did not relay")


def measures_and_writes_json():
    machine, cells = records_of([
        "--shapes", "3,4/2,64,200,9..40", "2,8/1,32,100,6,3", "4,2/2,40,0,33",
        "8,4/1,32,2x20+4x30,5",
        "--dtype", "f32", "bf16", "f16,kv=bf16", "--mode", "auto", "relay", "flat", "copies",
        "--warm", "--repeat", "1", "--threads", "2"])
    check(machine["record"] == "machine" and machine["read_gb_per_s"] > 0, f"machine: {machine}")
    check(machine["gflops"] and all(rate > 0 for rate in machine["gflops"].values()),
          f"rates: {machine}")
    check(len(cells) == 4 * 3 * 4, f"{len(cells)} cells")
    relayed = [cell for cell in cells if cell["mode"] == "relay" and ",0," not in cell["shape"]]
    check(all(cell["plan"] == "relay" for cell in relayed), "mode relay did not relay")
    check(all(cell["plan"] == "flat" for cell in cells if cell["mode"] in ("flat", "copies")),
          "modes flat and copies are not flat")


def check_cell(cell):
    for field in FIELDS:
        check(field in cell, f"{field} is missing in {cell}")
    check(0 < cell["min_us"] <= cell["median_us"] and cell["floor_us"] > 0 and cell["read_us"] > 0
          and cell["begin_us"] > 0 and cell["begin_fresh_us"] > 0 and cell["launches"] >= 1
          and cell["threads"] == (0 if GPU else 2),
          f"a time is wrong in {cell}")
    out_dtype = cell["dtype"].split(",")[0]
    error = cell["error_rel"]
    most = MOST_ERROR[out_dtype] * (GPU_SHARE if GPU else 1)
    check(error is not None and not math.isnan(error) and error <= most,
          f"error {error} in {cell}")


def answers_paced_rounds():
    shapes = ["--shapes", "1,2/1,32,16,4", "1,2/1,32,16,5", "--warm", "--repeat", "2", "--paced"]

    def answers(lines):
        done = run(*shapes, input="go\n" * lines)
        told = [line for line in done.stdout.splitlines() if line in ("cell", "round", "last")]
        cells = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
        return done.returncode, told, [len(records) for records in cells]

    check(answers(1) == (2, ["cell"], [0]), f"paced: {answers(1)}")
    check(answers(2) == (0, ["cell", "round"], [1]), f"paced: {answers(2)}")
    status, told, cells = answers(40)  # more than it needs, however many are not clean
    rests = "".join(f"{word} " for word in told).split("last ")
    check(status == 0 and cells == [1, 1] and len(rests) == 3 and rests[2] == "" and
          all(rest.startswith("cell round ") for rest in rests[:2]), f"paced: {told} {cells}")


def answers_bad_arguments():
    refuses(["--device", "tpu"], '--device is "tpu"; it must be cpu, cuda or cuda:N')
    refuses(["--shapes", "nonsense"], 'no shape or group is called "nonsense"')
    refuses(["--shapes", "1,3/2,64,9,9"], "Hq is 3; it must be a multiple of Hkv, 2")
    refuses(["--shapes", "1,2/2,64,9,9..4"], "Ls's end")
    refuses(["--shapes", "1,2/2,36,9,9"], "D is 36; it must be a multiple of 8")
    refuses(["--shapes", "4,2/2,32,2x9+3x9,9"], "prefixes 3; it must be a multiple of")
    refuses(["--shapes", "5,2/2,32,2x9,9"], "B is 5; it must be a multiple of the prefixes above")
    refuses(["--shapes", "4,2/2,32,2x9x1,9"], 'Lp has "2x9x1"')
    refuses(["--dtype", "f8"], '--dtype is "f8"')
    refuses(["--mode", "fast"], '--mode is "fast"; it must be auto, relay, flat or copies')
    refuses(["--threads", "-1"], '--threads is "-1"; it must be from 0 to 1024')
    refuses(["--isa", "mmx"], '"mmx"')
    refuses(["--cold", "--warm"], "--cold and --warm")
    refuses(["--threads", "two"], "--threads = two; it must be a whole number")
    refuses(["--json", "/nonexistent/x"], "--json")
    refuses(["--calibrate", "/nonexistent/x"], "--calibrate")
    refuses(["--plot", "x.bmp"], "ends in .svg, .png or .pdf")
    refuses(["--shapes", "65536,2/2,32,9,9999999"], "capacity_tokens")
    refuses(["--graph"], "only a GPU has graphs")
    refuses(["--calibrate", "x", "--shapes", "cpu"], "--calibrate measures shapes of its own")
    refuses(["--calibrate", "x", "--warm"], "--calibrate measures shapes of its own")
    refuses(["--unknown"], "--unknown")
    check(run("--help").returncode == 0 and "--json" in run("--help").stdout, "--help")
    listed = dict(line.split() for line in run("--list").stdout.splitlines() if ",32/8," in line)
    check(listed["llama3-8b/B32/P8192/S128"] == "32,32/8,128,8192,128" and
          listed["tree/root4096/4x2048/64x256"] == "64,32/8,128,1x4096+4x2048,256" and
          listed["noprefix/B64/S4096"] == "64,32/8,128,0,4096", f"--list: {listed}")


def calibrates():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "figures")
        where = ["--device", GPU, "--graph"] if GPU else ["--threads", "2"]
        done = run("--calibrate", path, "--dtype", "f32", "--repeat", "1", *where)
        check(done.returncode == 0, f"--calibrate: exit code {done.returncode}: {done.stderr}")
        with open(path, encoding="utf-8") as file:
            header, _, *lines = file.read().splitlines()
        check(header == "relayattn-figures 1" and len(lines) == 3, f"--calibrate wrote {lines}")
        for line in lines:
            fields = dict(word.split("=") for word in line.split())
            check(all(float(fields[name]) > 0 for name in ("read", "few", "many")) and
                  all(float(fields[name]) >= 0
                      for name in ("item", "many_item", "partial", "launch")), line)
        tiny = [*where, "--shapes", "2,4/2,64,64,8", "--dtype", "f32", "--repeat", "1", "--warm"]
        done = run(*tiny, env={**os.environ, "RELAYATTN_FIGURES": path})
        check(done.returncode == 0, f"the figures are not taken: {done.stderr}")
        with open(path, "w", encoding="utf-8") as file:  # as written before it was measured
            file.write("\n".join([header, "# comment",
                                  *(re.sub(r" many_item=\S+", "", line) for line in lines), ""]))
        done = run(*tiny, env={**os.environ, "RELAYATTN_FIGURES": path})
        check(done.returncode == 0, f"figures without many_item are not taken: {done.stderr}")
        with open(path, "a", encoding="utf-8") as file:
            file.write("device=cpu\n")
        done = run(*tiny, env={**os.environ, "RELAYATTN_FIGURES": path})
        check(done.returncode == 2 and f"{path} line 6: target is missing" in done.stderr,
              f"a malformed file is answered by {done.stderr!r}")


def plots_or_says_what_is_missing():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "plot.svg")
        done = run("--shapes", "2,4/2,64,64,8", "--repeat", "1", "--warm", "--plot", path)
        if done.returncode == 0:
            with open(path, encoding="utf-8") as file:
                check("<svg" in file.read(), "--plot wrote no SVG")
            check(os.listdir(directory) == ["plot.svg"], "--plot left something behind")
        else:
            check(done.returncode == 2 and "matplotlib" in done.stderr, f"--plot: {done.stderr}")
    refuses_with({"PYTHON": "/nonexistent/python"}, ["--plot", "x.svg"], "--plot needs matplotlib")


if GPU:
    measures_on_gpu()
    calibrates()
else:
    measures_and_writes_json()
    calibrates()
    plots_or_says_what_is_missing()
    answers_paced_rounds()
    answers_bad_arguments()
