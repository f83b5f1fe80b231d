"""Reads one beneficiaries file from standard input, under limits, and writes what it came to as lines of JSON.

Run by `authz.issuing.sheets.process`: `python -m authz.issuing.sheets csv`.
"""

import os
import resource
import sys

import msgspec

from authz.issuing.sheets.media import Media
from authz.issuing.sheets.process import CPU_S_MAX, MEMORY_BYTES_MAX, NICENESS, parts
from authz.issuing.sheets.reading import READERS


def main() -> None:
    """Limit this process, then read."""
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
    # A core dump would hold everybody's names.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    media = msgspec.convert(sys.argv[1], Media)
    for part in parts(READERS[media](sys.stdin.buffer.read())):
        sys.stdout.buffer.write(msgspec.json.encode(part) + b"\n")


if __name__ == "__main__":
    main()
