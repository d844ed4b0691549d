#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""test_intake.py - clients that do wrong, against the real sluiced.

Every row of intake_rows.py and every smuggling sequence is played against
sluiced; what it answers and what arrives behind it, byte for byte, has to be
what the table says. docs/smtp.md has the same tables (doc_tables.py).
"""

import re
import signal

from doc_tables import DOCS, keep
from harness import (Sluiced, case, check, configuration,
                     drained, equal, free_port, main, wait_for)
from intake_client import Client, Do, Row, Step, Wrong, play
from intake_rows import (DATA, EHLO, ENVELOPE, LISTENERS, ROWS, SEQUENCES,
                         STORED)
from receiver import Receiver

EVIL = (b"MAIL FROM:<evil@s.test>\r\nRCPT TO:<victim@d.test>\r\nDATA\r\n"
        b"Subject: smuggled\r\n\r\nsmuggled")


class Intake:
    """sluiced with all listeners, and a receiver behind it."""

    def __init__(self, rig, listeners):
        self.ports = {name: free_port() for name in listeners}
        self.receiver = Receiver("127.0.2.1", free_port())
        route = f"127.0.2.1:{self.receiver.server_address[1]}"
        lines = [f"  - {{address: \"127.0.0.1:{self.ports[name]}\", {keys}}}"
                 for name, keys in listeners.items()]
        self.sluiced = Sluiced(rig, configuration(
            rig, route=route, extra="listen:\n" + "\n".join(lines) + "\n"))
        self.sluiced.start()

    def play(self, rows, first=0):
        """What went wrong, row by row."""
        wrong = []
        for n, row in enumerate(rows, first):
            try:
                play(row, n, self.ports[row.to], self.sluiced.process.pid)
            except Wrong as e:
                wrong.append(str(e))
            check(self.sluiced.process.alive(), f"sluiced died: {row.name}")
        return wrong

    def arrived(self):
        """All that is under way has arrived: contents by first recipient."""
        drained(self.sluiced, 60)
        found = {}
        for m in self.receiver.arrived():
            received, content = m.below_received()
            check(re.match(rb"Received: from \S+ \((\S+ )?\[[\w.:]+\]\)\r\n"
                           rb"\tby \S+ with (UTF8|E)?SMTPA? id [0-9a-f]{16}"
                           rb"(\r\n\tfor <[^\r\n]+>)?;\r\n"
                           rb"\t\w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000\r\n$",
                           received), f"Received: {received!r}")
            key = m.recipients()[0]
            check(key not in found, f"{key!r} arrived twice")
            found[key] = content
        return found

    def stop(self):
        self.sluiced.stop()
        self.receiver.stop()


def row_key(content):
    """Which row's message it is: the number in its first recipient."""
    m = re.search(rb"(\d+)\W*@", content)
    return int(m[1]) if m else None


@case
def every_row_is_answered_and_delivered_as_the_table_says(rig):
    """Catches a client's mistake that is taken for something else, loses a
    message, makes one, or stops the server."""
    intake = Intake(rig, LISTENERS)
    wrong = intake.play(ROWS)
    found = {}
    for key, content in intake.arrived().items():
        found.setdefault(row_key(key), []).append((key, content))
    for n, row in enumerate(ROWS):
        got = [content for _, content in sorted(found.pop(n, []))]
        if got != row.arrives:
            wrong.append(f"{n} {row.name}: {got!r} arrived, "
                         f"not {row.arrives!r}")
    equal(wrong, [], "wrong rows")
    equal(found, {}, "mail of no row")
    intake.stop()


def unstuffed(wire):
    lines = wire.split(b"\r\n")
    return b"\r\n".join(x[1:] if x.startswith(b".") else x for x in lines)


def repaired(wire):
    return re.sub(rb"\r+\n|\n\.?|\r+", b"\r\n", unstuffed(wire))


def is_bare(wire):
    return re.search(rb"(?<!\r)\n|\r(?!\n)", wire) is not None


def smuggling_row(sequence, to, split):
    head = b"Subject: a\r\n\r\nfirst"
    wire = head + sequence + EVIL + b"\r\n"
    refused = to == "open" and is_bare(wire)
    arrives = [] if refused else [
        repaired(wire) if to == "repairing" else unstuffed(wire)]
    return Row(f"{sequence!r} to {to}, {'bytes' if split else 'one piece'}",
               EHLO, ENVELOPE, DATA,
               Step(wire + b".\r\n", "550 5.6.11" if refused else STORED,
                    split=split), arrives=arrives, to=to)


@case
def nothing_but_crlf_dot_crlf_ends_a_message(rig):
    """Catches SMTP smuggling: a second message out of one."""
    rows = [smuggling_row(s, to, split) for s in SEQUENCES
            for to in ("open", "repairing") for split in (0, 1)]
    intake = Intake(rig, {k: LISTENERS[k] for k in ("open", "repairing")})
    wrong = intake.play(rows)
    found = {row_key(k): v for k, v in intake.arrived().items()}
    for n, row in enumerate(rows):
        got = [found.pop(n)] if n in found else []
        if got != row.arrives:
            wrong.append(f"{row.name}: {got!r} arrived, not {row.arrives!r}")
    equal(wrong, [], "wrong rows")
    equal(found, {}, "mail of no row")
    for m in intake.receiver.arrived():
        check(b"evil" not in m.mail and b"victim" not in b"".join(m.rcpt),
              f"smuggled: {m.mail!r} {m.rcpt!r}")
    intake.stop()


@case
def one_client_does_not_take_all_places(rig):
    """Catches limits of sessions that are not kept, or whose refusal a client
    cannot read."""
    intake = Intake(rig, {"few": "allow: [127.0.0.0/8], sessions: 3, "
                                 "sessions_per_client: 2"})
    port = intake.ports["few"]
    clients = [Client(port) for _ in range(2)]
    for c in clients:
        c.expect(["220 "])
    for _ in range(200):  # more than there is memory to be polite with
        c = Client(port)
        c.send(b"EHLO c.test\r\n", 0)  # does not wait
        c.expect(["421 4.7.0"])
        c.socket.close()
    third = Client(port, source="127.0.0.9")
    third.expect(["220 "])
    fourth = Client(port, source="127.0.0.10")
    fourth.expect(["421 4.3.2"])
    fourth.closed()
    clients[0].send(b"QUIT\r\n", 0)
    clients[0].expect(["221 "])
    clients[0].closed()
    clients[0].socket.close()

    def place():
        c = Client(port)
        return c.reply().startswith("220 ")
    wait_for("the place to be free", 10, place)
    intake.stop()


@case
def a_stop_says_421_and_finishes_what_is_under_way(rig):
    """Catches a shutdown that loses a message after its 250, cuts one off that
    is nearly through, or resets connections."""
    intake = Intake(rig, {"open": LISTENERS["open"]})
    idle, busy = (Client(intake.ports["open"]) for _ in range(2))
    for c in (idle, busy):
        c.expect(["220 "])
        c.send(EHLO.bytes(0), 0)
        c.expect(EHLO.expect)
    busy.send(ENVELOPE.bytes(7), 0)
    busy.expect(ENVELOPE.expect)
    busy.send(DATA.bytes(7), 0)
    busy.expect(DATA.expect)
    intake.sluiced.process.child.send_signal(signal.SIGTERM)
    idle.expect(["421 4.3.2"])
    idle.closed()
    busy.send(b"x\r\n.\r\n", 0)
    busy.expect([STORED, "421 4.3.2"])
    busy.closed()
    equal(intake.sluiced.process.stop(), 0, "exit status")
    intake.sluiced.start()
    equal(intake.arrived(), {b"r7@d.test": b"x\r\n"}, "after the restart")
    intake.stop()


@case
def the_mta_in_front_says_whose_mail_it_is(rig):
    """Catches a client address or account that is lost on the way."""
    intake = Intake(rig, {"front": "allow: [127.0.0.0/8], "
                                   "trust: [127.0.0.1]"})
    intake.sluiced.cli("hold", "--all", "--reason", "look at it")
    row = Row("forwarded", EHLO,
              Step(b"XFORWARD ADDR=192.0.2.77 NAME=u.test IDENT=4XYZ "
                   b"PROTO=ESMTP HELO=u SOURCE=REMOTE LOGIN=joe+2Bx\r\n",
                   "250"), ENVELOPE, DATA, Step(b"x\r\n.\r\n", STORED),
              to="front")
    equal(intake.play([row]), [], "the dialogue")
    listed = intake.sluiced.json("list", "--all")
    equal(len(listed), 1, "messages")
    shown = intake.sluiced.json("show", listed[0]["id"])[0]["message"]
    equal((shown["client"], shown["account"], shown["origin"]),
          ("192.0.2.77", "joe+x", "4XYZ"), "client, account, queue id")
    equal(shown["forwarded"], "NAME=u.test PROTO=ESMTP HELO=u SOURCE=REMOTE",
          "forwarded")
    intake.stop()


# ---- docs/smtp.md
def code(text, most=64):
    if len(text) > most:
        text = text[:most - 3] + "..."
    text = text.replace("`", "'")
    return f"`{text}`"


def escaped(data):
    text = data.decode("latin-1").encode("unicode_escape").decode()
    return text.replace("\\r\\n", "⏎").replace("\\x00", "\\0")


def step_text(step):
    if isinstance(step, Do):
        return step.shown
    times = f" × {step.times}" if step.times > 1 else ""
    each = ", each byte by itself" if step.split else ""
    return code(escaped(step.data)) + times + each


def answers(row):
    said = [x for s in row.steps if s not in (EHLO, ENVELOPE, DATA)
            for x in s.expect]
    if len(said) > 6:
        said = said[:2] + ["…"] + said[-1:]
    return ", ".join(x.strip() for x in said) + \
        (", closed" if row.ends else "")


def becomes(row):
    if not row.arrives:
        return "–"
    return ", ".join(code(escaped(a), 32) if a else "an empty message"
                     for a in row.arrives)


def plain(steps):
    return [s for s in steps if s not in (EHLO, ENVELOPE, DATA)]


def row_cells(row):
    sent = "<br>".join(step_text(s) for s in plain(row.steps))
    return row.name, row.to, sent, answers(row), becomes(row)


def sequence_cells(s):
    verdict = "550 5.6.11" if is_bare(b"x" + s + b"x") else \
        "no line end: content"
    return (code(repr(s)[2:-1]), verdict,
            "one message, " + code(escaped(repaired(b"first" + s + b"MAIL"))))


@case
def the_tables_in_the_docs_are_these(rig):
    """Catches docs that say something else than what is tested."""
    keep("smtp.md", "intake", ["the client", "to", "sends", "is answered",
                               "arrives"], map(row_cells, ROWS))
    keep("smtp.md", "smuggling", ["sequence", "by default", "with "
                                  "`bare_newline: normalise`"],
         map(sequence_cells, SEQUENCES))
    text = (DOCS / "smtp.md").read_text()
    for name, keys in LISTENERS.items():
        check(f"| {name} | `{keys}` |" in text, f"listener {name}")


if __name__ == "__main__":
    main()
