# SPDX-License-Identifier: BSD-2-Clause
"""Another config in mid-drain, by SIGHUP and by `sluice reload`.

Catches a pace that is exceeded by a reload, mail that goes where the old config
says, and a broken file that is taken, in part or in whole.
"""

import csv
import signal
import socket
import time

from harness import (Sluiced, all_arrived, case, check, configuration,
                     drained, equal, free_port, main, wait_for)
from queue_files import QueueDirectory
from rig import Dns, Sink, listens


def rewrite(s, old, new):
    text = s.config.read_text()
    check(old in text, f"{old} is not in the config")
    s.config.write_text(text.replace(old, new))


def mail(rig, count, domain="y.test", name="pq"):
    q = QueueDirectory(rig.dir / name)
    for n in range(count):
        q.message(f"a@x{n % 40}.test".encode(), [f"u{n}@{domain}".encode()],
                  b"\nbody\n")
    return q


def delivered(s):
    return s.status()["totals"]["delivered"]


def arrivals(path):
    """(monotonic seconds, client address, domain), in order."""
    with open(path, encoding="utf-8") as f:
        return sorted((int(r["mail_ns"]) / 1e9, r["client"], r["domain"])
                      for r in csv.DictReader(f))


def most_within(times, span):
    """The most arrivals in any `span` seconds."""
    first = most = 0
    for n, t in enumerate(times):
        while times[first] < t - span:
            first += 1
        most = max(most, n - first + 1)
    return most


@case
def a_changed_pace_is_never_exceeded(rig):
    """Promise 4: up and down in mid-drain. Arrivals are judged by the paces
    that were in force. Catches a slower pace that counts late."""
    port = free_port()
    where = f"127.0.2.1:{port}"
    s = Sluiced(rig, configuration(rig, route=where, pace="20/s", sources=2))
    s.start()
    q = mail(rig, 400)
    sink = Sink(rig, [where], q.ledger(rig.dir / "ledger.tsv"),
                extra=["--arrivals", rig.dir / "arrivals.csv"])
    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "test")
    # (when it began at the latest to count, messages per second)
    paces = [(0.0, 20.0)]
    current = "20/s"
    for pace in ("20/s", "60/s", "60/s", "60/s", "5/s", "5/s", "5/s", "100/s",
                 "100/s"):
        n = delivered(s)
        wait_for("some mail", 30, lambda: delivered(s) >= n + 6)
        rewrite(s, current, pace)
        paces.append((time.monotonic(), float(pace[:-2])))
        r = s.cli("reload")
        if current == pace:
            check("nothing has changed" in r.stdout, r.stdout)
        else:
            check(f"pace.max: {current} -> {pace}" in r.stdout, r.stdout)
        # a slower one counts when the command has come back
        paces.append((time.monotonic(), float(pace[:-2])))
        current = pace
    drained(s)
    all_arrived(sink.finish())
    times = [a[0] for a in arrivals(rig.dir / "arrivals.csv")]
    equal(len(times), 400, "arrivals")

    def granted(start, end):
        """Tokens of start..end; between asking and done the faster counts."""
        tokens = 0.0
        for n, (begin, rate) in enumerate(paces):
            stop = paces[n + 1][0] if n + 1 < len(paces) else end
            if n % 2 == 1:  # reload asked, not yet answered
                rate = max(rate, paces[n - 1][1])
            tokens += max(0.0, min(end, stop) - max(start, begin)) * rate
        return tokens

    worst = 0.0
    for n, start in enumerate(times):
        for m in range(n, len(times)):
            worst = max(worst, m - n + 1 - granted(start - 0.25, times[m]))
    # 0.25 s: what is made up for after a stall (docs/release.md), and what
    # a stall of the receiver may squeeze together
    print(f"at most {worst:.1f} messages above the paces")
    check(worst <= 2.0, f"{worst} messages more than granted")


@case
def many_reloads_give_no_fresh_bucket(rig):
    """Promise 4. Catches a reload that lets one message out at once: 40 of
    them would be 40 messages more than the pace."""
    port = free_port()
    where = f"127.0.2.1:{port}"
    s = Sluiced(rig, configuration(rig, route=where, pace="10/s", sources=2))
    s.start()
    q = mail(rig, 400)
    sink = Sink(rig, [where], q.ledger(rig.dir / "ledger.tsv"))
    s.cli("import", "postfix", q.path)
    start = time.monotonic()
    s.cli("release", "--all", "--reason", "test")
    wait_for("mail", 30, lambda: delivered(s) >= 5)
    for n in range(40):
        old, new = (10, 11) if n % 2 == 0 else (11, 10)
        rewrite(s, f"{old}/s", f"{new}/s")
        s.cli("reload")
        time.sleep(0.05)
    s.cli("hold", "--all", "--reason", "enough")
    span = time.monotonic() - start
    wait_for("the last ones", 30,
             lambda: s.status()["totals"]["in_flight"] == 0)
    count = delivered(s)
    print(f"{count} messages in {span:.1f} s")
    check(count <= 11 * span + 3, f"{count} messages in {span:.1f} s")
    check(count >= 5 + span, f"only {count} messages in {span:.1f} s")
    sink.finish()


@case
def a_broken_file_keeps_the_old_config(rig):
    """Catches a config that is taken in part, and an error nobody sees."""
    port = free_port()
    s = Sluiced(rig, configuration(rig, route=f"127.0.2.1:{port}"))
    s.start()
    loaded = s.status()["config_loaded"]
    good = s.config.read_text()
    rewrite(s, "helo: out1.example.test", "helo: other.example.test")
    rewrite(s, "providers:", "provders:")
    s.process.child.send_signal(signal.SIGHUP)
    wait_for("word of it", 10, lambda: "config_error" in s.status())
    st = s.status()
    check("did you mean 'providers'" in st["config_error"]["text"], str(st))
    equal(st["config_loaded"], loaded, "time of the config in force")
    check("failed: " in s.cli("status").stdout, "status as text")
    r = s.cli("reload", check=False)
    equal(r.returncode, 78, "exit status")
    check("the old config stays" in r.stderr, r.stderr)
    # an address that is taken, and rules that are not there
    for extra, text in ((f"listen: [{{address: \"127.0.2.1:{port}\", allow: "
                         "[127.0.0.0/8]}]\n", "cannot listen"),
                        ("classify: {rules: /no/such/file}\n",
                         "/no/such/file"),
                        ("resolver: {servers: [nowhere]}\n", "nowhere")):
        q = mail(rig, 1, name=f"pq{len(text)}")
        sink = Sink(rig, [f"127.0.2.1:{port}"],
                    q.ledger(rig.dir / "ledger.tsv"))
        s.config.write_text(good + extra)
        r = s.cli("reload", check=False)
        equal(r.returncode, 78, f"{extra}: exit status")
        check(text in r.stderr, r.stderr)
        s.cli("import", "postfix", q.path)
        s.cli("release", "--all", "--reason", "test")
        drained(s)
        all_arrived(sink.finish())
    s.config.write_text(good)
    s.cli("reload")
    check("config_error" not in s.status(), "the error stays for ever")


@case
def a_source_goes_and_another_comes_in_mid_drain(rig):
    """Catches mail that leaves by a source that was removed, mail that is
    lost with it, and a new source that is not used."""
    port = free_port()
    where = f"127.0.2.1:{port}"
    s = Sluiced(rig, configuration(rig, route=where, pace="60/s", sources=2))
    s.start()
    q = mail(rig, 450)
    sink = Sink(rig, [where], q.ledger(rig.dir / "ledger.tsv"),
                extra=["--arrivals", rig.dir / "arrivals.csv"])
    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "test")
    wait_for("both in use", 30, lambda: delivered(s) >= 60)
    rewrite(s, "out1: {address: 127.0.1.1, helo: out1.example.test}",
            "out3: {address: 127.0.1.3, helo: out3.example.test}")
    rewrite(s, "[out1, out2]", "[out2, out3]")
    r = s.cli("reload")
    removed = time.monotonic()
    check("sources.out1: removed" in r.stdout and
          "sources.out3: added" in r.stdout, r.stdout)
    wait_for("the new one in use", 60, lambda: delivered(s) >= 200)
    # and back again: the number, and its pace, are the old ones
    rewrite(s, "out3: {address: 127.0.1.3, helo: out3.example.test}",
            "again: {address: 127.0.1.1, helo: out1.example.test}")
    rewrite(s, "[out2, out3]", "[out2, again]")
    s.cli("reload")
    back = time.monotonic()
    drained(s)
    all_arrived(sink.finish())
    seen = arrivals(rig.dir / "arrivals.csv")
    by = {c: [t for t, client, _ in seen if client == c]
          for c in ("127.0.1.1", "127.0.1.2", "127.0.1.3")}
    check(by["127.0.1.1"] and by["127.0.1.1"][0] < removed, "out1 not used")
    check(by["127.0.1.3"], "out3 not used")
    # the messages that were under way when it went may still arrive
    gone = [t for t in by["127.0.1.1"] if removed + 0.5 < t < back - 0.1]
    equal(gone, [], "mail from a removed source")
    check(by["127.0.1.1"][-1] > back, "not used again")
    check(most_within([a[0] for a in seen], 1.0) <= 60 * 1.25 + 2,
          "the provider's pace was exceeded")
    names = {p["source"] for p in s.json("sources")}
    check("again" in names and "out3 (removed)" in names, str(names))


@case
def providers_and_routes_change_in_mid_drain(rig):
    """Catches a domain that stays with its old provider, and mail that goes
    on to the old route."""
    one, two = free_port(), free_port()
    s = Sluiced(rig, configuration(
        rig, route=f"127.0.2.1:{one}", pace="40/s",
        provider=f"  big: {{domains: [a.test], route: \"127.0.2.1:{one}\"}}"))
    s.start()
    q = QueueDirectory(rig.dir / "pq")
    for n in range(150):
        for domain in (b"a.test", b"b.test"):
            q.message(b"s@x.test", [b"u%d@%s" % (n, domain)], b"\n%d\n" % n)
    ledger = q.ledger(rig.dir / "ledger.tsv")
    first = Sink(rig, [f"127.0.2.1:{one}"], ledger)
    second = Sink(rig, [f"127.0.2.1:{two}"], ledger, name="second",
                  extra=["--arrivals", rig.dir / "arrivals.csv"])
    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "test")
    wait_for("mail", 30, lambda: delivered(s) >= 40)
    # a.test becomes a provider of its own, b.test and the route move
    rewrite(s, f"big: {{domains: [a.test], route: \"127.0.2.1:{one}\"}}",
            f"new: {{domains: [b.test], route: \"127.0.2.1:{two}\"}}")
    r = s.cli("reload")
    check("providers.big: removed" in r.stdout and
          "providers.new: added" in r.stdout, r.stdout)
    counts = {p["provider"]: p for p in s.json("providers")}
    check(counts["new"]["recipients"] > 0, str(counts))
    equal(counts["big"]["recipients"], 0, "left behind")
    check(counts["a.test"]["recipients"] > 0, str(counts))
    drained(s)
    got_two, got_one = second.finish(), first.finish()
    equal(got_one["delivered"] + got_two["delivered"], 300, "arrived")
    check(got_two["delivered"] > 50, "the new route was not taken")
    equal({a[2] for a in arrivals(rig.dir / "arrivals.csv")}, {"b.test"},
          "domains at the new route")


@case
def an_mx_pattern_takes_its_domains_at_the_next_answer(rig):
    """Catches domains that go on under their MX site after a provider has got
    a pattern for their hosts, and a named domain that stays where it was."""
    port = free_port()
    dns = Dns(rig, {"a.test": [(10, "mx1.hosts.test", "127.0.2.1")],
                    "b.test": [(10, "mx.other.test", "127.0.2.1")]})
    s = Sluiced(rig, configuration(
        rig, pace="20/s", provider="  named: {domains: [b.test]}",
        extra=f"resolver: {{servers: [\"127.0.0.1:{dns.port}\"]}}\n"
        f"delivery: {{port: {port}}}\n"))
    s.start()
    q = QueueDirectory(rig.dir / "pq")
    for n in range(120):
        for domain in (b"a.test", b"b.test"):
            q.message(b"s@x.test", [b"u%d@%s" % (n, domain)], b"\n%d\n" % n)
    sink = Sink(rig, [f"127.0.2.1:{port}"], q.ledger(rig.dir / "ledger.tsv"))

    def of(provider):
        return {p["provider"]: p["recipients"] for p in
                s.json("providers")}.get(provider, 0)

    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "test")
    wait_for("mail", 30, lambda: delivered(s) >= 20)
    check(of("named") > 0 and of("big") == 0, "providers at first")
    rewrite(s, "named: {domains: [b.test]}",
            "big: {mx: [\"*.hosts.test\"], pace: {max: 19/s}}")
    s.cli("reload")
    wait_for("both to have moved", 30,
             lambda: of("big") > 0 and of("named") == 0)
    check(sum(p["recipients"] for p in s.json("providers")
              if p["provider"] != "big") > 0, "b.test went along")
    drained(s)
    all_arrived(sink.finish())


@case
def listeners_come_and_go(rig):
    """Catches a listener that stays, one that does not come, and sessions
    that are cut off; `allow` counts at once."""
    port, a, b = free_port(), free_port(), free_port()

    def listen(*ports, allow="127.0.0.0/8"):
        return "listen:\n" + "".join(
            f"  - {{address: \"127.0.0.1:{p}\", allow: [{allow}]}}\n"
            for p in ports)

    text = configuration(rig, route=f"127.0.2.1:{port}")
    s = Sluiced(rig, text + listen(a))
    s.start()
    s.cli("hold", "--all", "--reason", "nothing goes")
    check(listens("127.0.0.1", a), "no listener")
    s.config.write_text(text + listen(a, b))
    check(f"listen: added: {{address: 127.0.0.1:{b}" in
          s.cli("reload").stdout, "not said")
    r = rig.run(rig.binary("sluice-bench"), "accept", "--target",
                f"127.0.0.1:{b}", "--sessions", "2", "--messages", "20",
                "--size", "1KiB", "--json")
    check("20" in r.stdout, r.stdout)
    with socket.create_connection(("127.0.0.1", b), 10) as open_session:
        smtp = open_session.makefile("rw", newline="")
        smtp.readline()

        def size_told():
            smtp.write("EHLO x.test\r\n")
            smtp.flush()
            size = None
            while True:
                line = smtp.readline()
                if line[4:8] == "SIZE":
                    size = line.split()[-1]
                if line[3:4] != "-":
                    return size

        equal(size_told(), str(50 << 20), "SIZE")
        s.config.write_text(text + listen(a, b).replace(
            f":{b}\",", f":{b}\", max_size: 3MiB,"))
        s.cli("reload")
        equal(size_told(), str(3 << 20), "SIZE in an open session")
    s.config.write_text(text + listen(b, allow="127.9.9.9/32"))
    s.cli("reload")
    wait_for("the end of a listener", 10,
             lambda: not listens("127.0.0.1", a))
    r = rig.run(rig.binary("sluice-bench"), "accept", "--target",
                f"127.0.0.1:{b}", "--sessions", "1", "--messages", "1",
                "--size", "1KiB", "--json", check=False)
    equal(s.status()["totals"]["messages"], 20, "taken from a stranger")
    s.config.write_text(text)
    s.cli("reload")
    wait_for("the end of the other", 10,
             lambda: not listens("127.0.0.1", b))
    s.config.write_text(text + listen(a))
    s.cli("reload")
    check(listens("127.0.0.1", a), "it does not come back")


@case
def what_needs_a_restart_is_named_and_waits(rig):
    """Catches a key that silently does not count, or moves the spool under a
    running daemon."""
    s = Sluiced(rig, configuration(rig, route="127.0.2.1:25"))
    s.start()
    rewrite(s, f"{rig.dir}/spool", f"{rig.dir}/spool2")
    s.config.write_text(s.config.read_text() + "retry: {first: 1m}\n")
    r = s.cli("reload")
    check("spool.dir: counts after a restart only" in r.stdout, r.stdout)
    check("retry.first: added: 1m" in r.stdout, r.stdout)
    equal(s.status()["config_restart"], ["spool.dir"], "waits")
    equal(s.status()["spool"]["dir"], f"{rig.dir}/spool", "spool in use")
    check("waits for a restart" in s.cli("status").stdout, "not shown")
    # still so after another reload that changes nothing
    check("spool.dir" in s.cli("reload").stdout, "forgotten")
    rewrite(s, f"{rig.dir}/spool2", f"{rig.dir}/spool")
    s.cli("reload")
    check("config_restart" not in s.status(), "for ever")


@case
def a_reload_and_a_restart_in_mid_drain_lose_nothing(rig):
    """Catches mail that is lost or sent twice when pools change under it."""
    port = free_port()
    where = f"127.0.2.1:{port}"
    s = Sluiced(rig, configuration(rig, route=where, pace="150/s", sources=3))
    s.start()
    q = mail(rig, 900)
    sink = Sink(rig, [where], q.ledger(rig.dir / "ledger.tsv"))
    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "test")
    swaps = [("[out1, out2, out3]", "[out3, out1]"),
             ("[out3, out1]", "[out2]"), ("[out2]", "[out1, out2, out3]")]
    for n, (old, new) in enumerate(swaps):
        before = delivered(s)
        wait_for("mail", 30, lambda: delivered(s) >= before + 60)
        rewrite(s, old, new)
        s.cli("reload")
        if n == 1:
            s.stop()
            s.start()
    drained(s)
    all_arrived(sink.finish())
    equal(s.status()["doubts"], 0, "doubts")


@case
def sources_are_the_same_ones_after_a_restart(rig):
    """Catches a number in the journal that means another source once the
    config has been changed: a doubt of the wrong one, and greylisted mail that
    comes back from an address the receiver has not seen."""
    one, two = free_port(), free_port()
    # a.test is never answered after its dot, b.test greylists once
    s = Sluiced(rig, configuration(
        rig, pace="50/s", sources=2, provider="  pa: {domains: [a.test], "
        f"route: \"127.0.2.1:{one}\"}}\n  pb: {{domains: [b.test], "
        f"route: \"127.0.2.1:{two}\"}}").replace(
            "[out1, out2]", "[out2]"))
    s.start()
    q = QueueDirectory(rig.dir / "pq")
    q.message(b"s@x.test", [b"u@a.test"], b"\n1\n")
    for n in range(10):
        q.message(b"s@x%d.test" % n, [b"u%d@b.test" % n], b"\n%d\n" % n)
    ledger = q.ledger(rig.dir / "ledger.tsv")
    Sink(rig, [f"127.0.2.1:{one}"], ledger, name="silent", extra=[
        "--policy", f"127.0.2.1:{one}=silent-after-354"])
    grey = Sink(rig, [f"127.0.2.1:{two}"], ledger, name="greylists", extra=[
        "--policy", f"127.0.2.1:{two}=at=rcpt#10/reply/451 You are "
        "greylisted, retry in 8 seconds", "--arrivals",
        rig.dir / "arrivals.csv"])
    s.cli("import", "postfix", q.path)
    s.cli("release", "--all", "--reason", "test")
    wait_for("the greylisting", 30, lambda: s.status()["totals"]["deferred"]
             == 10 and s.status()["totals"]["in_flight"] == 1)
    s.process.kill()
    # out2 was number 1; now it would be number 2
    rewrite(s, "  out1: {address: 127.0.1.1, helo: out1.example.test}\n", "")
    rewrite(s, "  out2:", "  new: {address: 127.0.1.9}\n"
            "  more: {address: 127.0.1.8}\n  out2:")
    rewrite(s, "[out2]", "[new, more, out2]")
    s.start()
    equal({d["source"] for d in s.json("recovered")}, {"out2"}, "doubts")
    wait_for("the second try", 60, lambda: delivered(s) >= 10)
    s.process.kill()
    grey.process.stop(signal.SIGTERM, 60)
    equal({client for _, client, _ in arrivals(rig.dir / "arrivals.csv")},
          {"127.0.1.2"}, "sources of greylisted mail")


if __name__ == "__main__":
    main()
