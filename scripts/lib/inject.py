# SPDX-License-Identifier: BSD-2-Clause
"""inject.py - sends eml files with envelopes to an MTA, over SMTP.

A plain client with several sessions, independent of Sluice's own code: it
reads the JSON lines that `sluice-bench backlog --format eml` writes.
"""

import json
import multiprocessing
import pathlib
import smtplib


def _session(port, lines, directory, out):
    try:
        client = smtplib.SMTP("127.0.0.1", port, local_hostname="inject.test",
                              timeout=60)
        client.ehlo()
        for line in lines:
            e = json.loads(line)
            data = (directory / e["file"]).read_bytes()
            options = ["BODY=8BITMIME"]
            refused = client.sendmail(e["sender"], e["recipients"], data,
                                      mail_options=options)
            if refused:
                raise RuntimeError(f"{e['file']}: {refused}")
        client.quit()
        out.put(None)
    except Exception as error:  # passed on to the parent
        out.put(f"{type(error).__name__}: {error}")


def inject(envelopes, port, sessions=20):
    """Sends every message; RuntimeError with the first failure."""
    path = pathlib.Path(envelopes)
    lines = [x for x in path.read_text().splitlines() if x.strip()]
    out = multiprocessing.Queue()
    workers = [multiprocessing.Process(
        target=_session, args=(port, lines[i::sessions], path.parent, out))
        for i in range(sessions)]
    for w in workers:
        w.start()
    errors = [out.get() for _ in workers]
    for w in workers:
        w.join()
    for e in errors:
        if e is not None:
            raise RuntimeError(e)
    return len(lines)
