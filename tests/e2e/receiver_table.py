# SPDX-License-Identifier: BSD-2-Clause
"""receiver_table.py - receivers that do one thing wrong, and the fate of mail.

One row: what it is, the sink's policies (docs/bench.md), and the fate of four
recipients (two messages of two) that go there:

delivered   each exactly once, none left
deferred    still ours, tried again, nothing arrived, no doubt
stopped     still ours and waiting, the path is stopped, nothing bounces
failed      for good, by a fact about the recipient or the message
decide      still ours, an operator has to decide; at least of one message
doubt       may have arrived: listed by `sluice recovered`, tried again
"""

DELIVERED, DEFERRED, STOPPED, FAILED, DECIDE, DOUBT = (
    "delivered", "deferred", "stopped", "failed", "decide", "doubt")

BIG = 20 << 20  # more than the sockets hold

# Refusals: (reply, fate at MAIL, at DATA, at the final dot)
REFUSALS = [
    ("451 4.3.0 try again later", DEFERRED, DEFERRED, DEFERRED),
    ("450 later", DEFERRED, DEFERRED, DEFERRED),
    ("421 4.3.2 closing", DEFERRED, DEFERRED, DEFERRED),
    ("554 frobnicated", STOPPED, DECIDE, DECIDE),
    ("554 5.7.1 your IP address has a poor reputation", STOPPED, STOPPED,
     STOPPED),
]

# Replies that are odd and right: everything is delivered.
HARMLESS = [
    ("in lower case", "lower"), ("of three lines", "lines/3"),
    ("the code alone", "bare"), ("ended by LF alone", "lf"),
    ("a line of 5,000 bytes", "long/5000"),
    ("byte by byte, 20 ms apart", "trickle/20"),
]


def harmless():
    for phase in ("greeting", "mail", "rcpt", "data", "dot"):
        for text, action in HARMLESS:
            yield f"{phase}: {text}", [f"at={phase}/{action}"], DELIVERED


def refused():
    for reply, mail, data, dot in REFUSALS:
        yield f"mail: {reply}", [f"at=mail/reply/{reply}"], mail
        yield f"data: {reply}", [f"at=data/reply/{reply}"], data
        yield f"dot: {reply}", [f"at=dot/reply/{reply}"], dot


def lost():
    """The connection goes, or nothing comes."""
    for phase in ("greeting", "ehlo", "mail", "rcpt", "data", "content",
                  "dot"):
        for text, action in (("closed", "close"), ("reset", "reset"),
                             ("no word", "stall")):
            fate = DOUBT if phase == "dot" else DEFERRED
            if (phase, action) == ("content", "stall"):
                fate = DOUBT  # all of it was read, the dot too
            yield f"{phase}: {text}", [f"at={phase}/{action}"], fate


def nonsense():
    """What is no reply, or the reply to something else."""
    for phase in ("greeting", "ehlo", "mail", "rcpt", "data", "dot"):
        fate = DOUBT if phase == "dot" else DEFERRED
        yield (f"{phase}: 512 bytes of garbage", [f"at={phase}/garbage"],
               fate)
        yield (f"{phase}: half a line, then closed", [f"at={phase}/cut/25"],
               fate)
        yield (f"{phase}: a reply that never ends", [f"at={phase}/flood/3000"],
               fate)
        yield (f"{phase}: a byte a second", [f"at={phase}/trickle/1000"],
               fate)
    yield "mail: 354", ["at=mail/reply/354 go on"], DEFERRED
    yield "rcpt: 354", ["at=rcpt/reply/354 go on"], DEFERRED
    yield "data: 250", ["at=data/reply/250 fine"], DEFERRED
    yield "dot: 354", ["at=dot/reply/354 more"], DOUBT
    yield "greeting: 250", ["at=greeting/reply/250 hello"], DELIVERED
    yield "mail: code 199", ["at=mail/reply/199 what"], DEFERRED
    yield "mail: code 600", ["at=mail/reply/600 what"], DEFERRED
    yield "mail: two codes in one reply", \
        ["at=mail/reply/250-a|550 b"], STOPPED


def miscounted():
    """Replies too many, or too few."""
    yield "greeting: a reply before it", ["at=greeting/before/250 early"], \
        DEFERRED
    yield "greeting: twice", ["at=greeting/twice"], DEFERRED
    yield "ehlo: its first line twice", ["at=ehlo/twice"], DELIVERED
    for phase in ("mail", "rcpt", "data"):
        yield f"{phase}: twice", [f"at={phase}/twice"], DEFERRED
        yield f"{phase}: left out", [f"at={phase}/skip"], DEFERRED
    yield "data: 354, then 354 again", ["at=data/then/354 again"], DEFERRED
    yield "dot: twice", ["at=dot/twice"], DELIVERED
    yield "dot: left out", ["at=dot/skip"], DOUBT


def single():
    yield "greeting: 554 frobnicated", ["at=greeting/reply/554 frobnicated"], \
        STOPPED
    yield "greeting: 554 by reputation", \
        ["banner=554 5.7.1 your IP address has a poor reputation"], STOPPED
    yield "greeting: 421", ["at=greeting/reply-close/421 4.3.2 too busy"], \
        DEFERRED
    yield "greeting: 450", ["at=greeting/reply-close/450 later"], DEFERRED
    yield "greeting: of three lines, one with nothing", \
        ["at=greeting/reply/220-hello|220-|220 ready"], DELIVERED
    yield "ehlo: 502, then HELO", ["at=ehlo/reply/502 no such command"], \
        DELIVERED
    yield "ehlo: 500, then HELO", ["no-ehlo"], DELIVERED
    yield "ehlo: 421", ["at=ehlo/reply-close/421 4.3.2 closing"], DEFERRED
    yield "ehlo: 451", ["at=ehlo/reply/451 later"], DEFERRED
    yield "ehlo: 500, helo: 550", ["no-ehlo", "at=helo/reply/550 go away"], \
        STOPPED
    yield "rcpt: 450", ["at=rcpt/reply/450 4.2.1 later"], DEFERRED
    yield "rcpt: 421", ["at=rcpt/reply-close/421 4.3.2 closing"], DEFERRED
    yield "rcpt: 452 too many", ["at=rcpt/reply/452 4.5.3 too many"], DEFERRED
    yield "rcpt: 550 5.1.1", ["at=rcpt/reply/550 5.1.1 no such user"], FAILED
    # the same for four recipients: no fact about them
    yield "rcpt: 550 frobnicated", ["at=rcpt/reply/550 frobnicated"], STOPPED
    yield "rcpt: 251", ["at=rcpt/reply/251 forwarded"], DELIVERED
    yield "rcpt: 252", ["at=rcpt/reply/252 perhaps"], DELIVERED
    yield "greylisted", ["greylist=3600"], DEFERRED
    yield "content: 552 in the middle", \
        ["at=content/reply-close/552 5.3.4 message too big"], FAILED
    yield "dot: 552 too big", ["at=dot/reply/552 5.3.4 message too big"], \
        FAILED
    yield "dot: 552, no word of why", ["at=dot/reply/552 5.3.4 sorry"], DECIDE
    yield "dot: 250 of two lines", ["at=dot/reply/250-a|250 b"], DELIVERED
    yield "size: too small", ["size=4"], FAILED
    for action in ("close", "reset", "stall", "garbage"):
        yield f"quit: {action}", [f"at=quit/{action}"], DELIVERED


def taken_in_silence():
    """The receiver has it, and we cannot know."""
    for action in ("close", "reset", "stall"):
        yield (f"dot: taken, then {action}", [f"at=dot#1/took-{action}"],
               DOUBT)


def between():
    """The connection ends between two messages: nothing is lost."""
    yield "421 behind the 250 to the dot", \
        ["at=dot/then-close/421 4.3.2 closing"], DELIVERED
    yield "421 to every second MAIL", ["421-every=2"], DELIVERED


def recovers():
    """It goes wrong once; the next attempt delivers."""
    for phase in ("greeting", "ehlo", "mail", "rcpt", "data"):
        for action in ("close", "reset", "stall", "garbage", "twice"):
            yield (f"{phase}: {action}, once", [f"at={phase}#1/{action}"],
                   DELIVERED)
    for phase in ("mail", "rcpt", "data", "dot"):
        yield (f"{phase}: 451, once",
               [f"at={phase}#1/reply/451 4.3.0 later"], DELIVERED)
    yield "mail: 451, rset: 421, once", \
        ["at=mail#1/reply/451 4.3.0 later",
         "at=rset#1/reply-close/421 4.3.2 closing"], DELIVERED
    yield "rset: no word, once", \
        ["at=data#1/reply/451 4.3.0 later", "at=rset#1/stall"], DELIVERED


def step_by_step():
    """The same without PIPELINING."""
    for phase, action, fate in (
            ("mail", "close", DEFERRED), ("rcpt", "close", DEFERRED),
            ("data", "close", DEFERRED), ("mail", "twice", DEFERRED),
            ("rcpt", "twice", DEFERRED), ("data", "reply/250 x", DEFERRED),
            ("rcpt", "reply/550 5.1.1 x", FAILED), ("dot", "close", DOUBT),
            ("dot", "twice", DELIVERED)):
        yield (f"no PIPELINING; {phase}: {action}",
               ["no-pipelining", f"at={phase}/{action}"], fate)


def rows():
    seen = set()
    for group in (harmless, refused, lost, nonsense, miscounted, single,
                  taken_in_silence, between, recovers, step_by_step):
        for name, policies, fate in group():
            assert name not in seen, name
            seen.add(name)
            yield group.__name__, name, policies, fate
