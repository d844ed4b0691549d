# SPDX-License-Identifier: BSD-2-Clause
"""queue_files.py - writes Postfix queue files, good ones and bad ones.

By the documented record format, sharing no code with Sluice.
"""

import xxhash


def record(kind, payload):
    out = bytearray(kind.encode())
    n = len(payload)
    while True:
        out.append((n & 0x7F) | (0x80 if n > 0x7F else 0))
        n >>= 7
        if n == 0:
            return bytes(out) + payload


def content_records(content, limit=2048):
    """`content` has LF line ends; a last line without one stays partial."""
    out = bytearray()
    lines = content.split(b"\n")
    last = lines.pop()
    for line in lines:
        while len(line) > limit:
            out += record("L", line[:limit])
            line = line[limit:]
        out += record("N", line)
    if last:
        while len(last) > limit:
            out += record("L", last[:limit])
            last = last[limit:]
        out += record("N", last)
    return bytes(out)


def queue_file(sender, recipients, content, arrival=1760000000, attributes=()):
    """The bytes of one queue file as cleanup(8) writes it."""
    envelope = bytearray()
    envelope += record("T", f"{arrival} 0".encode())
    for name, value in (("log_ident", "TEST"), ("rewrite_context", "local"),
                        *attributes):
        envelope += record("A", f"{name}={value}".encode())
    envelope += record("S", sender)
    for r in recipients:
        envelope += record("R", r)
    body = content_records(content)
    head_len = 2 + 95  # the size record: type, length, fixed-width fields
    offset = head_len + len(envelope) + 2  # behind the M record
    size = f"{len(body):15d} {offset:15d} {len(recipients):15d} " \
           f"{0:15d} {len(body):15d} {0:15d}"
    assert len(size) == 95
    return (record("C", size.encode()) + bytes(envelope) + record("M", b"") +
            body + record("X", b"") + record("E", b""))


def arrives(content):
    """What the receiver must get: CRLF line ends."""
    if content and not content.endswith(b"\n"):
        content += b"\n"
    return content.replace(b"\n", b"\r\n")


def unquoted(address):
    """`"a b"@x` is `a b@x` inside Postfix."""
    if not address.startswith(b'"'):
        return address
    local, at, domain = address.rpartition(b"@")
    return local[1:-1] + at + domain


def ledger_line(mark, sender, recipient, content):
    wire = arrives(content)
    return "\t".join([mark, recipient.decode(), sender.decode(),
                      xxhash.xxh3_128(wire).hexdigest(), str(len(wire))])


class QueueDirectory:
    """A Postfix queue directory filled by hand, with its ledger."""

    def __init__(self, path):
        self.path = path
        self.lines = []
        self.count = 0
        for q in ("incoming", "active", "deferred", "hold", "defer", "pid"):
            (path / q).mkdir(parents=True, exist_ok=True)

    def raw(self, name, data, queue="deferred", mode=0o700):
        p = self.path / queue / name
        p.write_bytes(data)
        p.chmod(mode)
        return p

    def message(self, sender, recipients, body, header=b"", queue="deferred",
                arrival=1760000000, attributes=()):
        """Queues a good message; returns its name. Addresses as on the wire:
        a queue file has them without the quotes."""
        self.count += 1
        mark = f"9-{self.count}"
        name = f"{0xA0000000 + self.count:X}"
        content = (b"X-Sluice-Bench: " + mark.encode() + b"\n" + header + body)
        self.raw(name, queue_file(unquoted(sender),
                                  [unquoted(r) for r in recipients], content,
                                  arrival, attributes), queue)
        for r in recipients:
            self.lines.append(ledger_line(mark, sender, r, content))
        return name

    def ledger(self, path):
        path.write_text("\n".join(self.lines) + "\n")
        return path
