#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes a file as a C array: embed.py INPUT OUTPUT.c NAME HEADER

Called by meson. The array is followed by its size, NAME_bytes.
"""
import sys


def main() -> int:
    if len(sys.argv) != 5:
        print(__doc__, file=sys.stderr)
        return 64
    source, target, name, header = sys.argv[1:]
    with open(source, "rb") as f:
        data = f.read()
    lines = [
        ",".join(str(byte) for byte in data[at:at + 24])
        for at in range(0, len(data), 24)
    ]
    with open(target, "w", encoding="ascii") as f:
        f.write(f'#include "{header}"\n\n')
        f.write(f"const unsigned char {name}[] = {{\n")
        f.write(",\n".join(lines))
        f.write("};\n")
        f.write(f"const size_t {name}_bytes = sizeof({name});\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
