# SPDX-License-Identifier: BSD-2-Clause
"""intake_client.py - plays one row of the intake table against sluiced.

A row is a list of steps. A step sends bytes (or does something else to the
connection) and says how each reply to it begins. Replies of several lines
count as one, by their last line.
"""

import os
import signal
import socket
import struct
import time


class Row:
    """`expect` of a step: a text with one beginning of a reply per line.
    `arrives`: what is below our Received: line of each message that the row
    makes, in the order of their recipients."""

    def __init__(self, name, *steps, arrives=(), to="open", ends=False):
        self.name = name
        self.steps = steps
        self.arrives = list(arrives)
        self.to = to
        self.ends = ends  # the server closes; else QUIT is said


class Step:
    """Bytes to send, cut into `split` bytes each, and what is answered.
    `shown` stands for them in the table."""

    def __init__(self, data, expect="", shown=None, split=0, times=1):
        self.data = data
        self.expect = expect.split("\n") if expect else []
        self.shown = shown
        self.split = split
        self.times = times

    def bytes(self, row):
        return self.data.replace(b"{n}", b"%d" % row) * self.times


class Do:
    """Something else than bytes: pause, half-close, close, reset."""

    def __init__(self, what, expect="", seconds=0):
        self.what = what
        self.expect = expect.split("\n") if expect else []
        self.seconds = seconds

    @property
    def shown(self):
        return f"*{self.what}*"


class Wrong(Exception):
    """The server did not say what it should."""


class Client:
    def __init__(self, port, early=None, pid=None, source="127.0.0.1"):
        self.buffer = b""
        if early is not None:
            os.kill(pid, signal.SIGSTOP)  # or it would be faster
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), 30,
                                                   (source, 0))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if early is not None:
                self.socket.sendall(early)
        finally:
            if early is not None:
                os.kill(pid, signal.SIGCONT)

    def line(self):
        while b"\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                if self.buffer:
                    raise Wrong(f"closed inside {self.buffer!r}")
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode("ascii", "backslashreplace")

    def reply(self):
        while True:
            line = self.line()
            if line is None or not line.endswith("\r"):
                raise Wrong(f"{line!r} instead of a reply")
            if line[3:4] != "-":
                return line[:-1]

    def expect(self, replies):
        for wanted in replies:
            got = self.reply()
            if not got.startswith(wanted):
                raise Wrong(f"{got!r} instead of {wanted!r}")

    def closed(self):
        """A clean end: no more bytes, and no reset."""
        line = self.line()
        if line is not None:
            raise Wrong(f"{line!r} instead of the end")

    def send(self, data, split):
        try:
            if not split:
                self.socket.sendall(data)
            for at in range(0, len(data) if split else 0, split or 1):
                self.socket.sendall(data[at:at + split])
        except ConnectionError:
            pass  # what the server said counts

    def trickle(self):
        """A byte now and then until the server says something."""
        self.socket.settimeout(0.2)
        for _ in range(300):
            try:
                self.socket.sendall(b"N")
                self.buffer += self.socket.recv(65536)
                break
            except TimeoutError:
                continue
        self.socket.settimeout(30)

    def do(self, step):
        if step.what.startswith("waits"):
            time.sleep(step.seconds)
        elif step.what == "sends a byte now and then":
            self.trickle()
        elif step.what == "closes its half":
            self.socket.shutdown(socket.SHUT_WR)
        elif step.what == "closes":
            self.socket.close()
        elif step.what == "resets":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
            self.socket.close()
        elif step.what != "sends before the greeting":
            raise ValueError(step.what)
        self.expect(step.expect)


def early_bytes(row):
    first = row.steps[0]
    return b"EHLO c.test\r\n" if isinstance(first, Do) and \
        first.what == "sends before the greeting" else None


def play(row, number, port, pid):
    """Raises Wrong, with the step that went wrong."""
    early = early_bytes(row)
    c = Client(port, early, pid)
    try:
        if early is None:
            c.expect(["220 "])
        for step in row.steps:
            if isinstance(step, Do):
                c.do(step)
                if step.what in ("closes", "resets"):
                    return
                continue
            c.send(step.bytes(number), step.split)
            c.expect(step.expect)
        if not row.ends:
            c.send(b"QUIT\r\n", 0)
            c.expect(["221 "])
        c.closed()
    except (OSError, Wrong) as e:
        raise Wrong(f"{number} {row.name}: {type(e).__name__} {e}") from e
    finally:
        c.socket.close()
