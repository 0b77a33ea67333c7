#!/usr/bin/env python3
"""The benchmark program does what its --help says, on shapes that take no time.

smoke_test.py PROGRAM
"""
import json
import math
import os
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
FIELDS = ("shape device isa dtype mode plan threads median_us min_us floor_us read_us begin_us "
          "begin_fresh_us launches error_rel").split()
# The foundation's bounds: rounding the exact result to the dtype, and 10 %; small shapes scatter.
MOST_ERROR = {"f32": 1e-6, "f16": 3e-4, "bf16": 2.2e-3}


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


def measures_and_writes_json():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "results.json")
        done = run("--shapes", "3,4/2,64,200,9..40", "2,8/1,32,100,6,3", "4,2/2,40,0,33",
                   "--dtype", "f32", "bf16", "f16,kv=bf16",
                   "--mode", "auto", "relay", "flat", "copies",
                   "--check", "--warm", "--repeat", "1", "--threads", "2", "--json", path)
        check(done.returncode == 0, f"exit code {done.returncode}: {done.stderr}")
        with open(path, encoding="utf-8") as file:
            machine, *cells = json.load(file)
    check(machine["record"] == "machine" and machine["read_gb_per_s"] > 0, f"machine: {machine}")
    check(machine["gflops"] and all(rate > 0 for rate in machine["gflops"].values()),
          f"rates: {machine}")
    check(len(cells) == 3 * 3 * 4, f"{len(cells)} cells")
    for cell in cells:
        check_cell(cell)
    relayed = [cell for cell in cells if cell["mode"] == "relay" and ",0," not in cell["shape"]]
    check(all(cell["plan"] == "relay" for cell in relayed), "mode relay did not relay")
    check(all(cell["plan"] == "flat" for cell in cells if cell["mode"] in ("flat", "copies")),
          "modes flat and copies are not flat")


def check_cell(cell):
    for field in FIELDS:
        check(field in cell, f"{field} is missing in {cell}")
    check(0 < cell["min_us"] <= cell["median_us"] and cell["floor_us"] > 0 and cell["read_us"] > 0
          and cell["begin_us"] > 0 and cell["begin_fresh_us"] > 0 and cell["launches"] >= 1
          and cell["threads"] == 2,
          f"a time is wrong in {cell}")
    out_dtype = cell["dtype"].split(",")[0]
    error = cell["error_rel"]
    check(error is not None and not math.isnan(error) and error <= MOST_ERROR[out_dtype],
          f"error {error} in {cell}")


def answers_paced_rounds():
    done = run("--shapes", "1,2/1,32,16,4", "--repeat", "3", "--paced", input="go\n" * 2)
    check(done.returncode == 0 and done.stdout.count("round\n") == 2,
          f"paced: {done.returncode} {done.stdout} {done.stderr}")


def answers_bad_arguments():
    refuses(["--device", "tpu"], '--device is "tpu"; it must be cpu, cuda or cuda:N')
    refuses(["--shapes", "nonsense"], 'no shape or group is called "nonsense"')
    refuses(["--shapes", "1,3/2,64,9,9"], "Hq is 3; it must be a multiple of Hkv, 2")
    refuses(["--shapes", "1,2/2,64,9,9..4"], "Ls's end")
    refuses(["--shapes", "1,2/2,36,9,9"], "D is 36; it must be a multiple of 8")
    refuses(["--dtype", "f8"], '--dtype is "f8"')
    refuses(["--mode", "fast"], '--mode is "fast"; it must be auto, relay, flat or copies')
    refuses(["--threads", "-1"], '--threads is "-1"; it must be from 0 to 4096')
    refuses(["--isa", "mmx"], '"mmx"')
    refuses(["--cold", "--warm"], "--cold and --warm")
    refuses(["--graph"], "only a GPU has graphs")
    refuses(["--calibrate", "x", "--shapes", "cpu"], "--calibrate measures shapes of its own")
    refuses(["--unknown"], "--unknown")
    check(run("--help").returncode == 0 and "--json" in run("--help").stdout, "--help")
    check("llama3-8b/B32/P8192/S128" in run("--list").stdout, "--list")


def calibrates():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "figures")
        done = run("--calibrate", path, "--dtype", "f32", "--repeat", "1", "--threads", "2")
        check(done.returncode == 0, f"--calibrate: exit code {done.returncode}: {done.stderr}")
        with open(path, encoding="utf-8") as file:
            header, _, *lines = file.read().splitlines()
        check(header == "relayattn-figures 1" and len(lines) == 3, f"--calibrate wrote {lines}")
        for line in lines:
            fields = dict(word.split("=") for word in line.split())
            check(all(float(fields[name]) > 0 for name in ("read", "few", "many")), line)
        tiny = ["--shapes", "2,4/2,64,64,8", "--dtype", "f32", "--repeat", "1", "--warm"]
        done = run(*tiny, env={**os.environ, "RELAYATTN_FIGURES": path})
        check(done.returncode == 0, f"the figures are not taken: {done.stderr}")
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


measures_and_writes_json()
calibrates()
plots_or_says_what_is_missing()
answers_paced_rounds()
answers_bad_arguments()
