#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""First corpus for libFuzzer from what the other tests have.

    classify, smtp_reply  one input per reply of tests/unit/classify/replies.tsv
    postfix_queue         queue files as sluice-bench makes them, if it is built

Usage: seeds.py NAME DIR [SLUICE_BENCH]
A NAME without seeds of this kind is fine. Exit status: 0, or 1 with a reason.
"""

import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PHASES = ["", "connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data",
          "eom"]
SEED_BYTES_MAX = 12 << 10


def replies():
    path = os.path.join(ROOT, "tests/unit/classify/replies.tsv")
    with open(path, encoding="utf-8") as f:
        for line in f:
            columns = line.rstrip("\n").split("\t")
            if not line.startswith("#") and len(columns) >= 5:
                phase, code, enhanced, text = columns[-5:-1]
                yield phase, int(code), enhanced, text


def classify():
    for phase, code, enhanced, text in replies():
        numbers = [int(n) % 256 for n in enhanced.split(".") if n.isdigit()]
        numbers = (numbers + [0, 0, 0])[:3]
        head = [code >> 2, code & 3,
                PHASES.index(phase) if phase in PHASES else 0, *numbers, 0]
        yield bytes(head) + text.encode()


def smtp_reply():
    for _, code, enhanced, text in replies():
        lines = [f"{enhanced} {part}".strip() for part in text.split("\\n")]
        yield "".join(
            f"{code}{' ' if i + 1 == len(lines) else '-'}{line}\r\n"
            for i, line in enumerate(lines)).encode()


def postfix_queue(bench):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([bench, "backlog", "--messages", "60", "--size", "1KiB",
                        "--format", "postfix", "--output", folder],
                       check=True, stdout=subprocess.DEVNULL)
        for where, _, names in os.walk(folder):
            for name in names:
                with open(os.path.join(where, name), "rb") as f:
                    yield f.read()


def main():
    if len(sys.argv) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 1
    name, out = sys.argv[1:3]
    bench = sys.argv[3] if len(sys.argv) > 3 else ""
    seeds = {"classify": classify, "smtp_reply": smtp_reply}.get(name)
    if name == "postfix_queue" and os.access(bench, os.X_OK):
        made = postfix_queue(bench)
    else:
        made = seeds() if seeds else []
    for number, data in enumerate(d for d in made if len(d) <= SEED_BYTES_MAX):
        with open(os.path.join(out, f"seed-{number}"), "wb") as f:
            f.write(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
