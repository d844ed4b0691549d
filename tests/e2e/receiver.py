# SPDX-License-Identifier: BSD-2-Clause
"""receiver.py - a mail server that keeps what it gets, byte for byte.

For end-to-end tests that look at single messages; for many of them there is
`sluice-bench sink`. Standard library only.
"""

import re
import socketserver
import threading

OFFERS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES",
          "SIZE")


class Message:
    def __init__(self, sender):
        self.mail = sender  # MAIL's whole line
        self.rcpt = []      # RCPT's, the same
        self.content = b""  # unstuffed

    def recipients(self):
        return [re.search(rb"<(.*)>", line)[1] for line in self.rcpt]

    def below_received(self):
        """The Received: line that Sluice added, and the rest."""
        m = re.match(rb"Received: (?:[^\r\n]|\r\n\t)*\r\n", self.content)
        if m is None:
            raise AssertionError(f"no Received: in {self.content[:200]!r}")
        return m[0], self.content[m.end():]


class Session(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def line(self):
        """Up to CRLF: nothing else ends a line here."""
        data = b""
        while not data.endswith(b"\r\n"):
            more = self.rfile.readline()
            if not more:
                raise EOFError
            data += more
        return data[:-2]

    def content(self):
        lines = []
        while (line := self.line()) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(line + b"\r\n" for line in lines)

    def transaction(self, message, line):
        verb = line[:4].upper()
        if verb == b"MAIL":
            self.say("250 2.1.0 ok")
            return Message(line)
        if verb == b"RCPT":
            message.rcpt.append(line)
            self.say("250 2.1.5 ok")
            return message
        self.say("354 go")
        message.content = self.content()
        with self.server.lock:
            self.server.messages.append(message)
        self.say("250 2.0.0 kept")
        return None

    def handle(self):
        message = None
        self.say("220 receiver.test ESMTP")
        try:
            while True:
                line = self.line()
                verb = line[:4].upper()
                if verb in (b"MAIL", b"RCPT", b"DATA"):
                    message = self.transaction(message, line)
                elif verb == b"EHLO":
                    for word in OFFERS:
                        self.say(f"250-{word}")
                    self.say("250 receiver.test")
                else:
                    self.say("221 bye" if verb == b"QUIT" else "250 ok")
                if verb == b"QUIT":
                    return
        except (EOFError, ConnectionError):
            pass


class Receiver(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, port):
        super().__init__((address, port), Session)
        self.lock = threading.Lock()
        self.messages = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def arrived(self):
        with self.lock:
            return list(self.messages)

    def stop(self):
        self.shutdown()
        self.server_close()
