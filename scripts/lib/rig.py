# SPDX-License-Identifier: BSD-2-Clause
"""rig.py - real programs around Sluice, in one directory, on loopback.

A private Postfix, a real DNS server, sinks, sluiced: started by hand, stopped
by pid, nothing outside `Rig.dir` is touched. Used by scripts/run and by the
tests in tests/e2e. Standard library only.
"""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import time


class RigError(Exception):
    """Something around the test failed, not what is tested."""


def free_port():
    """A TCP port that nobody listens on, on every loopback address."""
    for _ in range(200):
        port = random.randint(20000, 31000)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            try:
                s.bind(("0.0.0.0", port))
                return port
            except OSError:
                continue
    raise RigError("no free TCP port")


def wait_for(what, seconds, probe):
    """Polls `probe` until it is true; RigError names `what` otherwise."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = probe()
        if value:
            return value
        time.sleep(0.02)
    raise RigError(f"{what}: not within {seconds} s")


def listens(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.settimeout(0.5)
        return s.connect_ex((address, port)) == 0


class Process:
    """A child with its output in a file; stop() is by its own pid."""

    def __init__(self, name, args, directory, env=None):
        self.name = name
        self.log = pathlib.Path(directory) / f"{name}.log"
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(
                [str(a) for a in args], stdout=out, stderr=out,
                stdin=subprocess.DEVNULL, env=env, cwd=directory)

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child.poll() is None

    def tail(self, lines=20):
        text = self.log.read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, sig=signal.SIGTERM, seconds=30):
        if self.alive():
            self.child.send_signal(sig)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise RigError(f"{self.name} did not stop:\n{self.tail()}")

    def kill(self):
        if self.alive():
            self.child.kill()
        self.child.wait()


class Rig:
    """One directory and everything that runs in it."""

    def __init__(self, directory, bindir):
        self.dir = pathlib.Path(directory).resolve()
        self.dir.mkdir(parents=True, exist_ok=True)
        self.bindir = pathlib.Path(bindir).resolve()
        self.processes = []
        self.postfixes = []

    def binary(self, name):
        for sub in ("", "control/cli", "dataplane/sluiced", "bench"):
            path = self.bindir / sub / name
            if path.is_file():
                return path
        raise RigError(f"{name} is not in {self.bindir}")

    def start(self, name, *args, env=None):
        p = Process(name, args, self.dir, env)
        self.processes.append(p)
        return p

    def run(self, *args, check=True, timeout=300, **kw):
        r = subprocess.run([str(a) for a in args], capture_output=True,
                           text=True, timeout=timeout, cwd=self.dir, **kw)
        if check and r.returncode != 0:
            raise RigError(f"{' '.join(map(str, args))}: exit "
                           f"{r.returncode}\n{r.stdout[-2000:]}"
                           f"{r.stderr[-2000:]}")
        return r

    def close(self):
        for p in self.postfixes:
            p.stop()
        for p in reversed(self.processes):
            try:
                p.stop()
            except RigError as e:
                print(e, file=sys.stderr)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Dns:
    """Knot on loopback, authoritative for `test.`: MX and A records."""

    def __init__(self, rig, hosts):
        """`hosts`: {domain: [(preference, host, address or None)]}."""
        self.port = free_port()
        d = rig.dir / "dns"
        d.mkdir(exist_ok=True)
        self.zone(d / "test.zone", hosts)
        (d / "knot.conf").write_text(
            f"server:\n    listen: 127.0.0.1@{self.port}\n"
            f"    rundir: \"{d}\"\n"
            "log:\n  - target: stderr\n    any: warning\n"
            f"database:\n    storage: \"{d}\"\n"
            f"template:\n  - id: default\n    storage: \"{d}\"\n"
            "    zonefile-sync: -1\n    journal-content: none\n"
            "zone:\n  - domain: test\n    file: test.zone\n")
        self.process = rig.start("dns", "/usr/sbin/knotd", "-c",
                                 d / "knot.conf")
        wait_for("the DNS server", 20,
                 lambda: listens("127.0.0.1", self.port))

    @staticmethod
    def zone(path, hosts):
        lines = ["$ORIGIN test.", "$TTL 60",
                 "@ SOA ns.test. root.test. 1 60 60 600 60", "@ NS ns.test.",
                 "ns A 127.0.0.1"]
        known = set()
        for domain, records in hosts.items():
            for preference, host, address in records:
                if preference is not None:
                    lines.append(f"{domain}. MX {preference} {host}.")
                if address is not None and (host, address) not in known:
                    known.add((host, address))
                    kind = "AAAA" if ":" in address else "A"
                    lines.append(f"{host}. {kind} {address}")
        path.write_text("\n".join(lines) + "\n")


class Postfix:
    """A private Postfix: own config, queue and data; delivery is deferred."""

    QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush",
              "hold", "incoming", "maildrop", "pid", "private", "public",
              "saved", "trace")

    def __init__(self, rig, settings=None, smtp_client=False,
                 name="postfix"):
        self.rig = rig
        self.base = rig.dir / name
        self.port = free_port()
        self.etc = self.base / "etc"
        self.queue = self.base / "queue"
        self.data = self.base / "data"
        for d in (self.etc, self.queue, self.data):
            d.mkdir(parents=True, exist_ok=True)
        # Postfix's daemons run as their own user: they must get in.
        p = rig.dir
        while p != p.parent and p != pathlib.Path("/tmp"):
            if (p.stat().st_mode & 0o011) != 0o011 and os.geteuid() == 0:
                p.chmod(p.stat().st_mode | 0o011)
            p = p.parent
        shutil.chown(self.data, "postfix", "postfix")
        self.main(settings or {}, smtp_client)
        self.master()
        self.running = False
        rig.postfixes.append(self)

    def main(self, settings, smtp_client):
        values = {
            "compatibility_level": "3.6",
            "queue_directory": self.queue, "data_directory": self.data,
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "mail_owner": "postfix", "setgid_group": "postdrop",
            "myhostname": "private.example", "mydestination": "",
            "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8", "alias_maps": "",
            "alias_database": "", "local_recipient_maps": "",
            "smtpd_relay_restrictions": "permit_mynetworks, reject",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject",
            "smtpd_client_restrictions": "",
            "default_process_limit": "100", "in_flow_delay": "0",
            "message_size_limit": "0", "mailbox_size_limit": "0",
            "smtpd_client_connection_count_limit": "0",
            "maillog_file": self.base / "maillog",
            "maillog_file_prefixes": self.rig.dir,
            "import_environment": "MAIL_CONFIG MAIL_DEBUG",
            "smtp_tls_security_level": "none", "disable_dns_lookups": "yes",
        }
        if not smtp_client:
            values["defer_transports"] = "smtp, relay"
        values.update(settings)
        (self.etc / "main.cf").write_text(
            "".join(f"{k} = {v}\n" for k, v in values.items()))

    def master(self):
        rows = [f"127.0.0.1:{self.port} inet n - n - - smtpd",
                "pickup unix n - n 60 1 pickup",
                "cleanup unix n - n - 0 cleanup",
                "qmgr unix n - n 300 1 qmgr",
                "rewrite unix - - n - - trivial-rewrite",
                "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce",
                "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify",
                "flush unix n - n 1000? 0 flush",
                "proxymap unix - - n - - proxymap",
                "smtp unix - - n - - smtp", "relay unix - - n - - smtp",
                "showq unix n - n - - showq", "error unix - - n - - error",
                "retry unix - - n - - error",
                "discard unix - - n - - discard", "anvil unix - - n - 1 anvil",
                "scache unix - - n - 1 scache",
                "postlog unix-dgram n - n - 1 postlogd"]
        (self.etc / "master.cf").write_text("\n".join(rows) + "\n")

    def start(self):
        self.rig.run("/usr/sbin/postfix", "-c", self.etc, "start",
                     timeout=60)
        self.running = True
        wait_for("Postfix", 30, lambda: listens("127.0.0.1", self.port))

    def stop(self):
        if not self.running:
            return
        self.running = False
        self.rig.run("/usr/sbin/postfix", "-c", self.etc, "stop", check=False,
                     timeout=60)
        wait_for("Postfix to stop", 30, lambda: not listens(
            "127.0.0.1", self.port))

    def flush(self):
        self.rig.run("/usr/sbin/postqueue", "-c", self.etc, "-f")

    def files(self, *queues):
        """Queue files, finished ones, of the named queues."""
        found = []
        for q in queues or ("incoming", "active", "deferred", "hold"):
            for p in (self.queue / q).rglob("*"):
                if p.is_file() and p.stat().st_mode & 0o100:
                    found.append(p)
        return found


class Sink:
    """sluice-bench sink with a ledger of what must arrive."""

    def __init__(self, rig, listen, ledger, name="sink", extra=()):
        self.rig = rig
        self.report_path = rig.dir / f"{name}.json"
        self.report_path.unlink(missing_ok=True)
        args = [rig.binary("sluice-bench"), "sink", "--listen",
                ",".join(listen), "--ledger-in", ledger, "--report",
                self.report_path, "--report-every", "500ms", *extra]
        self.process = rig.start(name, *args)
        address, port = listen[0].rsplit(":", 1)
        wait_for("the sink", 60, lambda: self.up(address, int(port)))

    def up(self, address, port):
        if not self.process.alive():
            raise RigError(f"the sink ended:\n{self.process.tail()}")
        return listens(address, port)

    def interim(self):
        try:
            return json.loads(self.report_path.read_text())
        except (OSError, ValueError):
            return None

    def finish(self):
        self.process.stop(signal.SIGTERM, 120)
        return json.loads(self.report_path.read_text())


class Sluiced:
    """The daemon under test and its command line."""

    def __init__(self, rig, config, name="sluiced", wrapper=()):
        self.rig = rig
        self.name = name
        self.wrapper = list(wrapper)
        self.config = rig.dir / f"{name}.yaml"
        self.config.write_text(config)
        self.process = None

    def start(self, seconds=60):
        self.process = self.rig.start(
            self.name, *self.wrapper, self.rig.binary("sluiced"), "-c",
            self.config)
        wait_for("sluiced", seconds, self.up)

    def up(self):
        if not self.process.alive():
            raise RigError(f"sluiced ended with "
                           f"{self.process.child.returncode}:\n"
                           f"{self.process.tail()}")
        return self.cli("status", "--json", check=False).returncode == 0

    def stop(self):
        rc = self.process.stop(signal.SIGTERM, 60)
        if rc != 0:
            raise RigError(f"sluiced exit {rc}:\n{self.process.tail()}")

    def cli(self, *args, check=True, timeout=300):
        return self.rig.run(self.rig.binary("sluice"), args[0], "-c",
                            self.config, *args[1:], check=check,
                            timeout=timeout)

    def json(self, *args):
        """All JSON lines that the command printed."""
        out = self.cli(*args, "--json").stdout
        return [json.loads(line) for line in out.splitlines()]

    def status(self):
        return self.json("status")[0]


def campus_domains():
    """The domains of the campus profile, by receiving provider."""
    big = {"microsoft": ["hotmail.test", "live.test", "msn.test",
                         "outlook.test"],
           "google": ["gmail.test", "googlemail.test"],
           "yahoo": ["yahoo.test", "aol.test"],
           "apple": ["icloud.test", "me.test"]}
    tail = [f"d{n:03}.test" for n in range(1, 301)]
    return big, tail
