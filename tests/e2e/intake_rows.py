# SPDX-License-Identifier: BSD-2-Clause
"""intake_rows.py - what clients do wrong, and what comes of it.

`{n}` in what is sent is the row's number, so that each row's mail is its own.
Rows go to a listener by name, see LISTENERS.
"""

from intake_client import Do, Row, Step

# Keys of `listen` besides the address; the client is 127.0.0.1.
LISTENERS = {
    "open": "allow: [127.0.0.0/8], max_size: 100KiB",
    "closed": "allow: [10.9.9.0/24]",
    "trusting": "allow: [10.9.9.0/24], trust: [127.0.0.1]",
    "repairing": "allow: [127.0.0.0/8], bare_newline: normalise",
    "strict": "allow: [127.0.0.0/8], recipients: 2, errors: 4, messages: 2, "
              "timeout: 1s, session_time: 3s",
}

EHLO = Step(b"EHLO c.test\r\n", "250 CHUNKING")
MAIL = b"MAIL FROM:<a@s.test>\r\n"
RCPT = b"RCPT TO:<r{n}@d.test>\r\n"
ENVELOPE = Step(MAIL + RCPT, "250 2.1.0\n250 2.1.5")
DATA = Step(b"DATA\r\n", "354 ")
STORED = "250 2.0.0 stored"
GONE = True  # the server closes
OUT_OF_STEP = "554 5.5.0"


def said(name, line, reply, **kw):
    """One command after EHLO."""
    return Row(name, EHLO, Step(line, reply), **kw)


def after_mail(name, line, reply, **kw):
    return Row(name, EHLO, Step(MAIL, "250"), Step(line, reply), **kw)


def by_data(name, wire, arrives, reply=STORED, **kw):
    return Row(name, EHLO, ENVELOPE, DATA, Step(wire, reply),
               arrives=[] if arrives is None else [arrives], **kw)


def by_bdat(name, wire, replies, arrives=None, **kw):
    return Row(name, EHLO, ENVELOPE, Step(wire, replies),
               arrives=[] if arrives is None else [arrives], **kw)


GREETING = [
    Row("talks before the greeting", Do("sends before the greeting",
                                        OUT_OF_STEP), ends=GONE),
    Row("no EHLO at all", Step(MAIL, "503 5.5.1")),
    Row("goes on behind EHLO", Step(b"EHLO c.test\r\n" + MAIL, OUT_OF_STEP),
        ends=GONE),
    Row("pipelines after HELO", Step(b"HELO c.test\r\n", "250 "),
        Step(MAIL + RCPT, OUT_OF_STEP), ends=GONE),
    Row("EHLO without a name", Step(b"EHLO\r\n", "501 5.5.4")),
    Row("EHLO with two names", Step(b"EHLO a b\r\n", "501 5.5.4")),
    Row("EHLO with a name that is none", Step(b"EHLO (a);\r\n", "250 "),
        ENVELOPE, DATA, Step(b"x\r\n.\r\n", STORED), arrives=[b"x\r\n"]),
    Row("EHLO again inside a transaction", EHLO, ENVELOPE, EHLO,
        Step(b"DATA\r\n", "503 5.5.1")),
    Row("EHLO that ends with LF", Step(b"EHLO c.test\n", "550 5.5.2"),
        ends=GONE),
    Row("a browser", Step(b"GET / HTTP/1.1\r\nHost: mx\r\n\r\n", "521 5.5.1"),
        ends=GONE),
    Row("a web form that was aimed at us",
        Step(b"POST / HTTP/1.1\r\nHost: mx\r\n\r\nEHLO c.test\r\n" + MAIL,
             "521 5.5.1"), ends=GONE),
    Row("TLS at once", Step(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n",
                            "500 5.5.2")),
]

COMMANDS = [
    said("unknown command", b"FROB\r\n", "500 5.5.2"),
    said("empty line", b"\r\n", "500 5.5.2"),
    said("a space in front", b" NOOP\r\n", "500 5.5.2"),
    said("a space behind", b"NOOP  \r\n", "250 2.0.0"),
    said("a tab behind", b"NOOP\t\r\n", "500 5.5.2"),
    said("a NUL inside", b"NO\0OP\r\n", "500 5.5.2"),
    said("a bare CR inside", b"NOOP x\ry\r\n", "500 5.5.2"),
    said("a bare LF", b"NOOP\n", "550 5.5.2", ends=GONE),
    said("two commands in one line, by LF", b"RSET\nMAIL FROM:<a@s.test>\r\n",
         "550 5.5.2", ends=GONE),
    Row("a line of 2049 bytes", EHLO,
        Step(b"NOOP " + b"x" * 2042 + b"\r\n", "500 5.5.2",
             "NOOP xxx... (2049)"), Step(b"NOOP\r\n", "250")),
    said("100,000 bytes without an end", b"x" * 100000, "500 5.5.2",
         ends=GONE),
    said("STARTTLS", b"STARTTLS\r\n", "502 5.5.1"),
    said("AUTH", b"AUTH PLAIN AGEAYg==\r\n", "502 5.5.1"),
    said("EXPN", b"EXPN staff\r\n", "502 5.5.1"),
    said("ETRN", b"ETRN d.test\r\n", "502 5.5.1"),
    said("VRFY", b"VRFY postmaster\r\n", "252 2.0.0"),
    said("VRFY of nothing", b"VRFY\r\n", "501 5.5.4"),
    said("HELP", b"HELP me\r\n", "214 2.0.0"),
    said("RSET with an argument", b"RSET now\r\n", "501 5.5.4"),
    said("goes on behind NOOP", b"NOOP\r\nRSET\r\n", OUT_OF_STEP, ends=GONE),
    said("QUIT and more", b"QUIT\r\n" + MAIL + RCPT, "221 ", ends=GONE),
    Row("lower case", Step(b"ehlo c.test\r\n", "250"),
        Step(b"mail from:<a@s.test>\r\nrcpt to:<r{n}@d.test>\r\ndata\r\n",
             "250\n250\n354"), Step(b"x\r\n.\r\n", STORED),
        arrives=[b"x\r\n"]),
    Row("everything byte by byte",
        Step(b"EHLO c.test\r\n", "250 CHUNKING", split=1),
        Step(MAIL + RCPT + b"DATA\r\n", "250\n250\n354", split=1),
        Step(b"a\r\n..\r\n...b\r\n.\r\n", STORED, split=1),
        arrives=[b"a\r\n.\r\n..b\r\n"]),
]

ENVELOPES = [
    said("MAIL without brackets", b"MAIL FROM:a@s.test\r\n", "501 5.1.7"),
    said("MAIL without an end", b"MAIL FROM:<a@s.test\r\n", "501 5.1.7"),
    said("MAIL without a domain", b"MAIL FROM:<a>\r\n", "501 5.1.7"),
    said("MAIL TO", b"MAIL TO:<a@s.test>\r\n", "501 5.5.4"),
    said("a quote that stays open", b"MAIL FROM:<\"a@s.test>\r\n",
         "501 5.1.7"),
    said("two at signs", b"MAIL FROM:<a@b@s.test>\r\n", "501 5.1.7"),
    said("MAIL, no SMTPUTF8, an address that needs it",
         b"MAIL FROM:<\xc3\xa4@s.test>\r\n", "553 5.6.7"),
    said("bytes that are no UTF-8", b"MAIL FROM:<\xe4@s.test> SMTPUTF8\r\n",
         "501 5.1.7"),
    said("a parameter nobody knows", b"MAIL FROM:<a@s.test> FOO=1\r\n",
         "555 5.5.4"),
    said("BINARYMIME", b"MAIL FROM:<a@s.test> BODY=BINARYMIME\r\n",
         "501 5.5.4"),
    said("a SIZE too large", b"MAIL FROM:<a@s.test> SIZE=200000\r\n",
         "552 5.3.4"),
    said("a SIZE that is no number", b"MAIL FROM:<a@s.test> SIZE=-1\r\n",
         "501 5.5.4"),
    said("NOTIFY at MAIL", b"MAIL FROM:<a@s.test> NOTIFY=NEVER\r\n",
         "555 5.5.4"),
    said("an ENVID that is no xtext", b"MAIL FROM:<a@s.test> ENVID=a+2\r\n",
         "501 5.5.4"),
    said("RCPT before MAIL", RCPT, "503 5.5.1"),
    after_mail("MAIL twice", MAIL, "503 5.5.1"),
    after_mail("RCPT TO:<>", b"RCPT TO:<>\r\n", "501 5.1.3"),
    after_mail("RCPT TO:<postmaster>", b"RCPT TO:<postmaster>\r\n",
               "550 5.1.1"),
    after_mail("a space in a local part", b"RCPT TO:<a b@d.test>\r\n",
               "501 5.1.3"),
    after_mail("a label of 64", b"RCPT TO:<a@" + b"x" * 64 + b".test>\r\n",
               "501 5.1.3"),
    after_mail("a path of 255", b"RCPT TO:<" + b"x" * 248 + b"@d.test>\r\n",
               "501 5.1.3"),
    after_mail("a domain of digits", b"RCPT TO:<a@1.2.3.4>\r\n", "501 5.1.3"),
    after_mail("NOTIFY=NEVER and more",
               b"RCPT TO:<a@d.test> NOTIFY=NEVER,DELAY\r\n", "501 5.5.4"),
    after_mail("an ORCPT without a type", b"RCPT TO:<a@d.test> ORCPT=a\r\n",
               "501 5.5.4"),
    after_mail("an IDN without SMTPUTF8", b"RCPT TO:<a@b\xc3\xbc.test>\r\n",
               "553 5.6.7"),
    Row("relaying without the right", EHLO, Step(MAIL, "250"),
        Step(RCPT, "550 5.7.1"), Step(b"DATA\r\n", "554 5.5.1"),
        to="closed"),
    Row("relaying by a source route, without the right", EHLO,
        Step(MAIL, "250"), Step(b"RCPT TO:<@[127.0.0.1]:r{n}@d.test>\r\n",
                                "550 5.7.1"), to="closed"),
    Row("relaying by per cent, without the right", EHLO, Step(MAIL, "250"),
        Step(b"RCPT TO:<r{n}%d.test@mx.test>\r\n", "550 5.7.1"),
        to="closed"),
    Row("more recipients than allowed", EHLO, Step(MAIL, "250"),
        Step(RCPT + b"RCPT TO:<s{n}@d.test>\r\nRCPT TO:<t{n}@d.test>\r\n",
             "250\n250\n452 4.5.3"), DATA, Step(b"x\r\n.\r\n", STORED),
        arrives=[b"x\r\n"], to="strict"),
    Row("odd and right", EHLO,
        Step(b"MAIL FROM: <>  SIZE=5 AUTH=<> RET=HDRS ENVID=a+2Bb\r\n",
             "250"),
        Step(b"RCPT TO:<@x.test,@y.test:\"r {n}\"@D.Test> NOTIFY=DELAY "
             b"ORCPT=rfc822;x@y\r\n", "250"), DATA,
        Step(b"x\r\n.\r\n", STORED), arrives=[b"x\r\n"]),
    Row("a local part of 120, as VERP makes them", EHLO, Step(MAIL, "250"),
        Step(b"RCPT TO:<" + b"x" * 119 + b"{n}@d.test>\r\n", "250"), DATA,
        Step(b"x\r\n.\r\n", STORED), arrives=[b"x\r\n"]),
    Row("SMTPUTF8 in both halves", EHLO,
        Step(b"MAIL FROM:<\xc3\xa4@b\xc3\xbc.test> SMTPUTF8 "
             b"BODY=8BITMIME\r\n", "250"),
        Step(b"RCPT TO:<\xc3\xb6{n}@b\xc3\xbc.test>\r\n", "250"), DATA,
        Step(b"Subject: \xc3\xbc\r\n\r\n.\r\n", STORED),
        arrives=[b"Subject: \xc3\xbc\r\n\r\n"]),
    Row("the same recipient twice", EHLO, ENVELOPE, Step(RCPT, "250"), DATA,
        Step(b"x\r\n.\r\n", STORED), arrives=[b"x\r\n"]),
]

CONTENT = [
    Row("DATA before RCPT", EHLO, Step(MAIL, "250"),
        Step(b"DATA\r\n", "554 5.5.1")),
    Row("DATA with an argument", EHLO, ENVELOPE,
        Step(b"DATA now\r\n", "501 5.5.4")),
    Row("content behind DATA at once", EHLO, ENVELOPE,
        Step(b"DATA\r\nx\r\n.\r\n", OUT_OF_STEP), ends=GONE),
    by_data("nothing but a dot", b".\r\n", b""),
    by_data("dots", b"..\r\n.a\r\n...\r\n a.\r\n.\r\n",
            b".\r\na\r\n..\r\n a.\r\n"),
    by_data("a line of 50,000", b"x" * 50000 + b"\r\n.\r\n",
            b"x" * 50000 + b"\r\n"),
    by_data("a NUL", b"a\0b\r\n\0.\r\n.\r\n", b"a\0b\r\n\0.\r\n"),
    by_data("8-bit without 8BITMIME", b"\xfc\xff\x80\r\n.\r\n",
            b"\xfc\xff\x80\r\n"),
    by_data("no header, no body, white space", b" \t\r\n\r\n\r\n.\r\n",
            b" \t\r\n\r\n\r\n"),
    by_data("a bare LF", b"a\nb\r\n.\r\n", None, "550 5.6.11"),
    by_data("a bare CR", b"a\rb\r\n.\r\n", None, "550 5.6.11"),
    by_data("a bare LF, where that is repaired", b"a\n..b\r\n.\r\n",
            b"a\r\n.b\r\n", to="repairing"),
    by_data("a bare CR, where that is repaired", b"a\rb\r\n.\r\n",
            b"a\r\nb\r\n", to="repairing"),
    Row("all lines end with LF, where that is repaired",
        Step(b"EHLO c.test\n", "250"), Step(MAIL.replace(b"\r", b""), "250"),
        Step(RCPT.replace(b"\r", b""), "250"), Step(b"DATA\n", "354"),
        Step(b"a\n.\nb\n\r\n.\r\n", STORED), arrives=[b"a\r\n\r\nb\r\n\r\n"],
        to="repairing"),
    by_data("larger than max_size, no SIZE said",
            b"x" * 200000 + b"\r\n.\r\n", None, "552 5.3.4"),
    by_data("101 Received: lines", b"Received: x\r\n" * 101 + b"\r\n.\r\n",
            None, "554 5.4.6"),
    by_data("101 of them in the body", b"\r\n" + b"Received: x\r\n" * 101 +
            b".\r\n", b"\r\n" + b"Received: x\r\n" * 101),
    by_data("QUIT behind the dot", b"x\r\n.\r\nQUIT\r\n", b"x\r\n",
            STORED + "\n221 ", ends=GONE),
    Row("the next message behind the dot", EHLO, ENVELOPE, DATA,
        Step(b"x\r\n.\r\n" + MAIL + b"RCPT TO:<s{n}@d.test>\r\nDATA\r\n",
             STORED + "\n250\n250\n354"), Step(b"y\r\n.\r\n", STORED),
        arrives=[b"x\r\n", b"y\r\n"]),
    Row("closes in the middle", EHLO, ENVELOPE, DATA, Step(b"x\r\n"),
        Do("closes")),
    Row("closes before the last LF", EHLO, ENVELOPE, DATA,
        Step(b"x\r\n.\r"), Do("closes")),
    Row("resets in the middle", EHLO, ENVELOPE, DATA, Step(b"x\r\n"),
        Do("resets")),
    Row("closes its half behind the dot", EHLO, ENVELOPE, DATA,
        Step(b"x\r\n.\r\n"), Do("closes its half", STORED),
        arrives=[b"x\r\n"], ends=GONE),
]

CHUNKS = [
    by_bdat("BDAT, a dot in a line of its own",
            b"BDAT 9 LAST\r\nx\r\n.\r\ny\r\n", STORED, b"x\r\n.\r\ny\r\n"),
    by_bdat("BDAT in three chunks, pipelined",
            b"BDAT 3\r\nx\r\nBDAT 3\r\n.\r\nBDAT 4 LAST\r\n..\r\n",
            "250 2.0.0 3\n250 2.0.0 3\n" + STORED, b"x\r\n.\r\n..\r\n"),
    by_bdat("BDAT 0 LAST, nothing before", b"BDAT 0 LAST\r\n", STORED, b""),
    by_bdat("BDAT 0 LAST behind a chunk", b"BDAT 3\r\nx\r\nBDAT 0 LAST\r\n",
            "250\n" + STORED, b"x\r\n"),
    by_bdat("BDAT without a last line end", b"BDAT 1 LAST\r\nx", STORED,
            b"x\r\n"),
    by_bdat("a chunk that splits CR and LF",
            b"BDAT 2\r\nx\rBDAT 1 LAST\r\n\n", "250\n" + STORED, b"x\r\n"),
    by_bdat("a chunk that ends with CR", b"BDAT 2 LAST\r\nx\r", "550 5.6.11"),
    by_bdat("a bare LF in a chunk", b"BDAT 4\r\na\nb\nBDAT 3 LAST\r\nc\r\n",
            "550 5.6.11\n550 5.6.11"),
    by_bdat("BDAT without a count", b"BDAT LAST\r\n", "521 5.5.4", ends=GONE),
    by_bdat("BDAT with a count below 0", b"BDAT -1\r\n", "521 5.5.4",
            ends=GONE),
    by_bdat("BDAT larger than max_size",
            b"BDAT 200000 LAST\r\n" + b"x" * 200000, "552 5.3.4"),
    by_bdat("BDAT chunks that are too large together",
            b"BDAT 90000\r\n" + b"x" * 90000 + b"BDAT 90000 LAST\r\n" +
            b"x" * 90000, "250\n552 5.3.4"),
    by_bdat("DATA after BDAT", b"BDAT 3\r\nx\r\nDATA\r\n", "250\n503 5.5.1"),
    by_bdat("RCPT after BDAT", b"BDAT 3\r\nx\r\n" + RCPT, "250\n503 5.5.1"),
    by_bdat("RSET after BDAT", b"BDAT 3\r\nx\r\nRSET\r\n"
            b"BDAT 3 LAST\r\ny\r\n", "250\n250\n503 5.5.1"),
    Row("BDAT without MAIL, commands inside", EHLO,
        Step(b"BDAT 6 LAST\r\nQUIT\r\n", "503 5.5.1"),
        Step(b"NOOP\r\n", "250")),
    Row("BDAT after refused recipients, commands inside", EHLO,
        Step(MAIL + b"RCPT TO:<a>\r\nBDAT 42 LAST\r\n"
             b"MAIL FROM:<e@s.test>\r\nRCPT TO:<e@d.test>\r\n",
             "250\n501\n554 5.5.1"), Step(b"NOOP\r\n", "250")),
    Row("BDAT without the right to relay, commands inside", EHLO,
        Step(MAIL + RCPT + b"BDAT 6 LAST\r\nQUIT\r\n",
             "250\n550 5.7.1\n554 5.5.1"), to="closed"),
    Row("closes inside a chunk", EHLO, ENVELOPE,
        Step(b"BDAT 9 LAST\r\nx\r\n"), Do("closes")),
]

TRUST = [
    said("XCLIENT, not trusted", b"XCLIENT ADDR=10.9.9.9\r\n", "550 5.7.0"),
    said("XFORWARD, not trusted", b"XFORWARD ADDR=10.9.9.9\r\n", "550 5.7.0"),
    said("XCLIENT, a bad address", b"XCLIENT ADDR=10.9.9\r\n", "501 5.5.4",
         to="trusting"),
    said("XCLIENT, a line end in a value", b"XCLIENT NAME=a+0D+0Ab\r\n",
         "501 5.5.4", to="trusting"),
    Row("XCLIENT of a stranger", EHLO,
        Step(b"XCLIENT ADDR=198.51.100.1\r\n", "220"), EHLO,
        Step(MAIL + RCPT, "250\n550 5.7.1"), to="trusting"),
    Row("XCLIENT of somebody who may", EHLO,
        Step(b"XCLIENT ADDR=10.9.9.9 NAME=u.test\r\n", "220"), EHLO, ENVELOPE,
        DATA, Step(b"x\r\n.\r\n", STORED), arrives=[b"x\r\n"],
        to="trusting"),
    Row("XCLIENT inside a transaction", EHLO,
        Step(b"XCLIENT LOGIN=joe\r\n", "220"), EHLO, ENVELOPE,
        Step(b"XCLIENT LOGIN=jim\r\n", "503 5.5.1"), to="trusting"),
    Row("XFORWARD gives no rights", EHLO,
        Step(b"XFORWARD ADDR=10.9.9.9 LOGIN=joe\r\n", "250"),
        Step(MAIL + RCPT, "250\n550 5.7.1"), to="trusting"),
]

LIMITS = [
    Row("says nothing", Do("waits", "421 4.4.2"), to="strict", ends=GONE),
    Row("a line that never ends", Do("sends a byte now and then",
                                     "421 4.4.2"), to="strict", ends=GONE),
    Row("silent in the middle of content", EHLO, ENVELOPE, DATA,
        Step(b"x\r\n"), Do("waits", "421 4.4.2"), to="strict", ends=GONE),
    Row("silent in the middle of a chunk", EHLO, ENVELOPE,
        Step(b"BDAT 9\r\nx"), Do("waits", "421 4.4.2"), to="strict",
        ends=GONE),
    Row("mistakes without end, all at once", EHLO,
        Step(b"FROB\r\n", "500\n500\n500\n500\n421 4.7.0", times=20000),
        to="strict", ends=GONE),
    Row("content without end after the last mistake", EHLO,
        Step(b"a\r\nb\r\nc\r\nd\r\n" + b"x" * 1000000,
             "500\n500\n500\n500\n421 4.7.0"), to="strict", ends=GONE),
    Row("more messages than allowed", EHLO, ENVELOPE, DATA,
        Step(b"x\r\n.\r\n", STORED),
        Step(MAIL + b"RCPT TO:<s{n}@d.test>\r\nDATA\r\n",
             "250\n250\n354"),
        Step(b"y\r\n.\r\n", STORED), Step(MAIL, "421 4.7.0"),
        arrives=[b"x\r\n", b"y\r\n"], to="strict", ends=GONE),
    Row("a session that lasts", EHLO, Do("waits 0.8 s", "", 0.8),
        Step(b"RSET\r\n", "250"), Do("waits 0.8 s", "", 0.8),
        Step(b"RSET\r\n", "250"), Do("waits 0.8 s", "", 0.8),
        Step(b"RSET\r\n", "250"), Do("waits", "421 4.4.2"), to="strict",
        ends=GONE),
    Row("idle talk", EHLO, Step(b"RSET\r\n", "\n".join(["250"] * 119 +
                                ["421 4.7.0"]), times=400), ends=GONE),
]

ROWS = GREETING + COMMANDS + ENVELOPES + CONTENT + CHUNKS + TRUST + LIMITS

# Some server took each of these for the end of content.
SEQUENCES = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r",
    b"\n.\r", b"\r.\n", b"\n\r.\r\n", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n",
    b"\n\r\n.\n", b"\r\n\n.\n", b"\r\n.\n\r\n", b"\n\n.\n\n",
    b"\r\n\r.\r\n", b"\n\r.\n\r", b"\r\n.\r\r", b"\r\r.\r\r",
    b"\r\n.\0\r\n", b"\r\n\0.\r\n", b"\0\r\n.\n", b"\r\n.\r\0\n",
    b"\r\n.\t\r\n", b"\r\n. \r\n", b"\r\n..\r\n", b"\r\n.\xc2\x85",
    b"\xc2\x85.\xc2\x85", b"\xe2\x80\xa8.\xe2\x80\xa8", b"\x0b.\x0b",
    b"\x0c.\x0c", b"\x85.\x85",
]
