"""The shapes that the peers share with relayattn-bench."""
import subprocess


def known_shapes(program, wanted):
    """name -> (B, Hq, Hkv, D, Lp, Ls), as the program lists them."""
    listing = subprocess.run([program, "--list"], capture_output=True, text=True, check=True)
    shapes, group = {}, None
    for line in listing.stdout.splitlines():
        words = line.split()
        if line.endswith(":"):
            group = line[:-1]
        elif len(words) == 2 and ".." not in words[1] and (group in wanted or words[0] in wanted):
            batch, heads, *rest = words[1].split(",")
            shapes[words[0]] = tuple(int(n) for n in [batch, *heads.split("/"), *rest])
    if not shapes:
        raise SystemExit(f"--shapes: none of {' '.join(wanted)} is listed by {program} --list")
    return shapes
