# SPDX-License-Identifier: BSD-2-Clause
"""exporting.py - what the tests of `sluice export` share."""

from harness import Sluiced, configuration, free_port
from queue_files import QueueDirectory, ledger_line, queue_file, record


def started(rig, name="sluiced", **kw):
    port = free_port()
    s = Sluiced(rig, configuration(rig, route=f"127.0.2.1:{port}", **kw),
                name=name)
    s.start()
    return s, port


def held_queue(rig, name="back"):
    """An empty queue directory, as of a Postfix that is not running."""
    q = QueueDirectory(rig.dir / name)
    return q.path


def files(directory, *queues):
    return [p for q in queues or ("hold", "incoming", "deferred")
            for p in (directory / q).rglob("*") if p.is_file()]


def export(s, *args, check=True):
    return s.cli("export", *args, "--reason", "test", check=check)


def content_of(s):
    """What sluice says of every recipient, but for ids and places."""
    rows = s.json("list", "--all")
    keys = ("sender", "recipient", "size", "arrival", "domain")
    return sorted(tuple(r[k] for k in keys) for r in rows)


def odd_messages(q):
    h = b"Subject: odd\n"
    for body in (b"\nNUL \0 inside\n", b"\n8-bit \xe4\xf6\xfc \xff\n",
                 b"\n" + b"x" * (1 << 20) + b"\nafter a long line\n",
                 b"\n" + b"y" * 2048 + b"\n" + b"z" * 2049 + b"\n",
                 b"", b"\n", b"\n.\n..\n.leading dots\n...\n"):
        q.message(b"a@x.test", [b"b@y.test"], body, h)
    for sender in (b"", b"\"quoted local\"@x.test", b"a+b=c@x.test"):
        q.message(sender, [b"b@y.test"], b"\nsenders\n", h)
    q.message(b"a@x.test", [b"\"odd local\"@y.test", b"o'b@y.test"],
              b"\nrecipients\n", h)
    q.message(b"a@x.test", [b"user%d@y.test" % n for n in range(3000)],
              b"\nto all of you\n")


def dsn_message(q, n):
    """A queue file that asks for everything a sender may ask for."""
    body = b"X-Sluice-Bench: 9-8%03d\nSubject: dsn\n\n%d\n" % (n, n)
    data = queue_file(b"a@x.test", [b"b@y.test"], body)
    before, after = data[:97], data[97:]
    options = (record("A", b"envelope_id=Q+%d" % n)
               + record("A", b"ret_flags=2")
               + record("A", b"sasl_username=jane"))
    rcpt = (record("A", b"notify_flags=10")
            + record("A", b"dsn_orig_rcpt=rfc822;c+d@y.test"))
    at = after.index(record("R", b"b@y.test"))
    first = after.index(record("S", b"a@x.test"))
    whole = (before + after[:first] + options + after[first:at] + rcpt
             + after[at:])
    size = whole[2:97].split()
    size[1] = b"%d" % (int(size[1]) + len(options) + len(rcpt))
    whole = (whole[:2] + b" ".join(b"%15d" % int(x) for x in size)
             + whole[97:])
    q.raw(f"D{n:05X}", whole)
    q.lines.append(ledger_line(f"9-8{n:03}", b"a@x.test", b"b@y.test", body))
