"""The baseline: read and parse recordings by the standard library alone, and say what that took."""

from __future__ import annotations

import gzip
import io
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path


def lines_of(path: Path) -> Iterable[bytes]:
    if path.suffix == ".gz":
        return gzip.open(path)
    import zstandard

    return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(path.open("rb")))


def main(paths: list[Path]) -> None:
    lines = 0
    size_bytes = 0
    begun_s = time.process_time()
    for path in paths:
        stamp = 20 if path.suffix == ".gz" else 0  # before the JSON
        for line in lines_of(path):
            json.loads(line[stamp:])
            size_bytes += len(line)
            lines += 1
    taken_s = time.process_time() - begun_s
    print(json.dumps({"cpu_s": taken_s, "lines": lines, "bytes": size_bytes}))


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
