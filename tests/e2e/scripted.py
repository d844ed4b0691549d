# SPDX-License-Identifier: BSD-2-Clause
"""scripted.py - a receiver that answers each recipient as its name says.

`fail-1@y.test` is refused for good, `defer...` for now, `odd...` in words that
no rule knows; all others are taken. What was taken is kept, by recipient.
"""

import socketserver
import threading

REPLIES = {
    "fail": b"550 5.1.1 no such user here",
    "defer": b"450 4.2.1 come back later",
    "odd": b"554 5.9.9 the moon is in the wrong house",
}


class Session(socketserver.StreamRequestHandler):
    def say(self, line):
        self.wfile.write(line + b"\r\n")

    def content(self):
        lines = []
        while True:
            line = self.rfile.readline()
            if not line or line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)

    def rcpt(self, line):
        address = line.split(b"<", 1)[1].split(b">", 1)[0].decode()
        word = address.split("-", 1)[0].split("@", 1)[0]
        reply = None if self.server.kind else REPLIES.get(word)
        if reply is None:
            self.recipients.append(address)
        self.say(reply or b"250 2.1.5 ok")

    def handle(self):
        self.recipients = []
        self.say(b"220 scripted.test ESMTP")
        while True:
            line = self.rfile.readline()
            verb = line[:4].upper()
            if not line or verb == b"QUIT":
                return
            if verb == b"EHLO":
                self.say(b"250-scripted.test")
                self.say(b"250 PIPELINING")
            elif verb == b"RCPT":
                self.rcpt(line)
            elif verb == b"DATA" and not self.recipients:
                self.say(b"554 5.5.1 no valid recipients")
            elif verb == b"DATA":
                self.say(b"354 go")
                content = self.content()
                for r in self.recipients:
                    self.server.taken.append((r, content))
                    self.server.clients.append((r, self.client_address[0]))
                self.recipients = []
                self.say(b"250 2.0.0 taken")
            else:
                self.say(b"250 2.0.0 ok")


class Scripted(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address, port):
        self.taken = []
        self.clients = []
        self.kind = False  # True: takes everybody from now on
        super().__init__((address, port), Session)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def recipients(self):
        return sorted(r for r, _ in self.taken)

    def stop(self):
        self.shutdown()
        self.server_close()
