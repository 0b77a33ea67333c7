"""relayattn-bench as a partner that takes turns, and the shapes that it names."""
import json
import subprocess
import tempfile
import typing


class Shape(typing.NamedTuple):
    rows: int
    q_heads: int
    kv_heads: int
    dim: int
    levels: list  # of (prefixes, tokens), from the roots on
    tail: int


def parse_shape(spelled):
    """B,Hq/Hkv,D,Lp,Ls, as the program spells it."""
    rows, heads, dim, prefix, tail = spelled.split(",")
    levels = [tuple(map(int, level.split("x"))) if "x" in level else (1, int(level))
              for level in prefix.split("+")]
    return Shape(int(rows), *map(int, heads.split("/")), int(dim),
                 [level for level in levels if level[1] > 0], int(tail))


def known_shapes(program, wanted):
    """name -> Shape, of those that --list prints with numbers and equal tails."""
    listing = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    shapes, group = {}, None
    for line in listing.stdout.splitlines():
        words = line.split()
        if line.endswith(":"):
            group = line[:-1]
        elif len(words) == 2 and ".." not in words[1] and (group in wanted or words[0] in wanted):
            shapes[words[0]] = parse_shape(words[1])
    if not shapes:
        raise SystemExit(f"--shapes: none of {' '.join(wanted)} is listed by {program} --list "
                         "with numbers")
    return shapes


class Ours:
    """A run over some cells, which waits for a line before each cell and each round of samples."""

    def __init__(self, program, options):
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.process = subprocess.Popen([program, "--paced", "--check", *options], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors)
        self.cell_is_over = True
        self.machine = json.loads(self._answer(lambda line: line.startswith("{")))
        self._answer(lambda line: "ceilings:" in line)  # until then it uses all cores

    def start_cell(self):
        """Sets the next cell up."""
        self._turn("cell")

    def round(self):
        """One sample; whether it was the cell's last."""
        return self._turn("round", "last") == "last"

    def record(self):
        """The cell's record. Before its last round this ends the cell, and the run with it."""
        if not self.cell_is_over:
            self.process.stdin.close()
        return json.loads(self._answer(lambda line: line.startswith("[")))[0]

    def finish(self):
        self.process.stdin.close()
        self.process.stdout.read()
        if self.process.wait() != 0:
            self._fail()

    def _turn(self, *answers):
        try:
            self.process.stdin.write("go\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self._fail()
        answer = self._answer(lambda line: line in answers)
        self.cell_is_over = answer == "last"
        return answer

    def _answer(self, is_one):
        for line in self.process.stdout:
            if is_one(line.rstrip()):
                return line.rstrip()
        return self._fail()

    def _fail(self):
        status = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        raise SystemExit(lines[-1] if lines else f"relayattn-bench ended with status {status}")
