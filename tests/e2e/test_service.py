# SPDX-License-Identifier: BSD-2-Clause
"""sluiced as a service: what systemd hears, sockets it passes, the unit files;
a user to run as, and descriptors that run out."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time

from harness import (ROOT, Skip, Sluiced, case, check, configuration, equal,
                     free_port, main, wait_for)
from rig import RigError, listens

# Sockets as systemd passes them; then the program takes over the process.
ACTIVATE = """
import os, socket, sys
tcp = socket.create_server(("127.0.0.1", int(sys.argv[1])))
command = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
command.bind(sys.argv[2])
command.listen(16)
high = [os.dup(s.fileno()) for s in (tcp, command)]
for n, fd in enumerate(high):
    os.dup2(fd, 3 + n, inheritable=True)
os.environ.update(LISTEN_FDS="2", LISTEN_FDNAMES="smtp:command",
                  LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[3], sys.argv[3:])
"""


class Notified:
    """NOTIFY_SOCKET: everything that was said, in order."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.said = []

    def poll(self):
        try:
            while True:
                self.said.append(self.socket.recv(4096).decode())
        except BlockingIOError:
            return self.said

    def wait(self, what, count=1):
        wait_for(what, 20, lambda: sum(
            what in s for s in self.poll()) >= count)


@case
def systemd_hears_what_happens(rig):
    """Catches a service that is "starting" for ever, a reload that is not
    told, and a watchdog that is not fed."""
    n = Notified(rig.dir / "notify")
    s = Sluiced(rig, configuration(rig, route="127.0.2.1:25"))
    os.environ["NOTIFY_SOCKET"] = str(rig.dir / "notify")
    os.environ["WATCHDOG_USEC"] = "400000"
    try:
        s.start()
    finally:
        del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
    n.wait("READY=1")
    n.wait("STATUS=0 recipients left")
    n.wait("WATCHDOG=1", 5)
    before = len(n.said)
    s.process.child.send_signal(signal.SIGHUP)
    n.wait("READY=1", 2)
    told = [t for t in n.said[before:] if "RELOADING" in t or "READY" in t]
    check(told[0].startswith("RELOADING=1\nMONOTONIC_USEC=") and
          told[1] == "READY=1", str(told))
    s.stop()
    n.wait("STOPPING=1")


@case
def passed_sockets_are_used(rig):
    """Catches a passed socket that is bound a second time, a command socket
    that is removed at the end although systemd owns it."""
    port, other = free_port(), free_port()
    path = rig.dir / "sluice" / "sluiced.sock"
    path.parent.mkdir()
    s = Sluiced(rig, configuration(
        rig, route="127.0.2.1:25", extra="listen:\n"
        f"  - {{address: \"127.0.0.1:{port}\"}}\n"
        f"  - {{address: \"127.0.0.1:{other}\"}}\n"),
        wrapper=[sys.executable, "-c", ACTIVATE, str(port), str(path)])
    s.start()
    check(listens("127.0.0.1", port) and listens("127.0.0.1", other),
          "not listening")
    with socket.create_connection(("127.0.0.1", port), 10) as c:
        check(c.recv(100).startswith(b"220 "), "no greeting")
    equal(s.cli("status").returncode, 0, "status by the passed socket")
    s.stop()
    check(path.exists(), "systemd's socket was removed")


@case
def a_socket_nobody_asked_for_is_closed_with_a_word(rig):
    """Catches connections that wait for ever on a socket nobody serves."""
    port = free_port()
    path = rig.dir / "sluice" / "sluiced.sock"
    path.parent.mkdir()
    s = Sluiced(rig, configuration(rig, route="127.0.2.1:25"),
                wrapper=[sys.executable, "-c", ACTIVATE, str(port),
                         str(path)])
    s.start()
    check(f"127.0.0.1:{port} was passed" in s.process.tail(), "no word")
    check(not listens("127.0.0.1", port), "still open")


@case
def a_low_port_is_bound_before_root_is_given_up(rig):
    """Catches `run.user` that makes port 25 impossible, and a daemon that
    stays root."""
    low = int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start"
                           ).read_text())
    if low <= 600:
        raise Skip("every port is open to every user here")
    port = next(p for p in range(600, low)
                if not listens("127.0.3.77", p))
    text = configuration(
        rig, route="127.0.2.1:25", extra="listen:\n"
        f"  - {{address: \"127.0.3.77:{port}\"}}\n")
    s = Sluiced(rig, text.replace("sluice}", "sluice, user: nobody}"))
    s.start()
    with socket.create_connection(("127.0.3.77", port), 10) as c:
        check(c.recv(100).startswith(b"220 "), "no greeting")
    status = pathlib.Path(f"/proc/{s.process.pid}/status").read_text()
    uid = pwd.getpwnam("nobody").pw_uid
    check(f"Uid:\t{uid}\t{uid}" in status, status)
    # a reload still works, and says what it cannot do any more
    s.config.write_text(s.config.read_text().replace(f":{port}",
                                                     f":{port + 1}"))
    r = s.cli("reload", check=False)
    equal(r.returncode, 78, "exit status")
    check("cannot listen" in r.stderr, r.stderr)
    check(listens("127.0.3.77", port), "the old listener is gone")


@case
def without_descriptors_it_waits_instead_of_spinning(rig):
    """Catches a command socket that asks again at once, thousands of times a
    second, when no descriptor is left."""
    port = free_port()
    s = Sluiced(rig, configuration(
        rig, route="127.0.2.1:25", extra="delivery: {connections: 1}\n"
        f"listen:\n  - {{address: \"127.0.0.1:{port}\", sessions: 2000, "
        "sessions_per_client: 2000}\n"),
        wrapper=["prlimit", "--nofile=600:600"])
    s.start()
    sessions = [socket.create_connection(("127.0.0.1", port), 10)
                for _ in range(600)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as c:
        c.connect(str(rig.dir / "sluice" / "sluiced.sock"))
        log = s.process.log
        word = '"type":"command","message":"accept: '
        wait_for("word of it", 20, lambda: word in log.read_text())
        time.sleep(1.0)
        lines = log.read_text().count(word)
    check(lines < 50, f"{lines} tries in about a second")
    for session in sessions:
        session.close()
    wait_for("an answer", 20, lambda: s.cli(
        "status", check=False).returncode == 0)


@case
def the_unit_files_are_valid(rig):
    """Catches a unit that systemd would not load."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        raise Skip("no systemd-analyze")
    source = ROOT / "scripts" / "systemd"
    for name in ("sluiced", "sluice"):
        (rig.dir / name).symlink_to(rig.binary(name))
    unit = rig.dir / "sluiced.service"
    unit.write_text((source / "sluiced.service.in").read_text().replace(
        "@bindir@", str(rig.dir)))
    shutil.copy(source / "sluiced.socket", rig.dir)
    r = subprocess.run([analyze, "verify", "--man=no", unit,
                        rig.dir / "sluiced.socket"], capture_output=True,
                       text=True, timeout=60, check=False)
    mine = [line for line in r.stderr.splitlines() if "sluice" in line]
    equal((r.returncode, mine), (0, []), r.stderr)


@case
def check_warns_of_what_will_not_work_here(rig):
    """Catches a key that silently does nothing, and sources that belong to
    another machine."""
    text = configuration(rig, route="127.0.2.1:25").replace(
        "127.0.1.1", "192.0.2.77") + "workers: 2\n"
    path = rig.dir / "c.yaml"
    path.write_text(text)
    r = rig.run(rig.binary("sluice"), "check", "-c", path)
    check("source 'out1': this machine has no address 192.0.2.77" in r.stderr,
          r.stderr)
    check("'workers' is read, but this build does not use it" in
          r.stderr and f"{path}:" in r.stderr, r.stderr)
    check(": ok: 1 sources" in r.stdout, r.stdout)
    s = Sluiced(rig, text.replace("192.0.2.77", "127.0.1.1"))
    s.start()
    check("'workers' is read" in s.process.log.read_text(),
          "sluiced does not say so")


if __name__ == "__main__":
    try:
        main()
    except RigError as e:
        sys.exit(str(e))
