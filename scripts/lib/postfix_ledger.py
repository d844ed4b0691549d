# SPDX-License-Identifier: BSD-2-Clause
"""postfix_ledger.py - what must arrive of the messages in Postfix queue files.

An oracle that shares no code with Sluice: it reads queue files by the
documented record format and prints ledger lines (id, recipient, sender,
XXH3-128 of the content with CRLF, bytes) for messages that carry an
X-Sluice-Bench header. Needs python3-xxhash.
"""

import re
import sys

import xxhash

MARK = re.compile(rb"^X-Sluice-Bench:[ \t]*([0-9A-Za-z]+-[0-9A-Za-z]+)",
                  re.MULTILINE | re.IGNORECASE)


def records(data):
    """(type, payload) of each record; ValueError on a torn file."""
    at = 0
    while at < len(data):
        kind = chr(data[at])
        at += 1
        length = shift = 0
        while True:
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        payload = data[at:at + length]
        if len(payload) != length:
            raise ValueError("torn record")
        at += length
        yield kind, payload


def read(path):
    """(sender, [recipients], content) of one queue file without pointers."""
    with open(path, "rb") as f:
        data = f.read()
    sender, recipients, content, partial = b"", [], bytearray(), False
    for kind, payload in records(data):
        if kind == "S":
            sender = payload
        elif kind == "R":
            recipients.append(payload)
        elif kind == "L":
            content += payload
            partial = True
        elif kind == "N":
            content += payload + b"\r\n"
            partial = False
        elif kind == "p" and int(payload) != 0:
            raise ValueError(f"{path}: pointer records are not read here")
        elif kind == "E":
            break
    if partial:
        content += b"\r\n"
    return sender, recipients, bytes(content)


def ledger_lines(paths):
    for path in paths:
        sender, recipients, content = read(path)
        mark = MARK.search(content)
        if mark is None:
            raise ValueError(f"{path}: no X-Sluice-Bench header")
        digest = xxhash.xxh3_128(content).hexdigest()
        for r in recipients:
            yield "\t".join([mark.group(1).decode(), r.decode(),
                             sender.decode(), digest, str(len(content))])


def main():
    for line in ledger_lines(sys.argv[1:]):
        print(line)


if __name__ == "__main__":
    main()
