"""Rounds that once found something, as the file `regressions` lists them."""

from pathlib import Path

import kinds

FILE = Path(__file__).resolve().parent / "regressions"


def read(file=FILE):
    """The rounds of a file, each a kind and a seed. Raises ValueError for a line that is none."""
    lines = enumerate(Path(file).read_text().splitlines(), 1)
    return [_round(f"{file}:{at}", line) for at, line in lines if line.strip() and not line.startswith("#")]


def _round(place, line):
    words, _, comment = line.partition("#")
    try:
        kind, seed = words.split()
        found = kinds.Kind.parse(kind), int(seed)
    except ValueError as error:
        raise ValueError(f"{place}: no `KIND SEED`: {error}") from None
    if not comment.strip():
        raise ValueError(f"{place}: what the round is stands behind a #")
    return found
