# SPDX-License-Identifier: BSD-2-Clause
"""peers.py - private Exim and OpenSMTPD that relay everything to one place.

Debian lets only one MTA be installed, so theirs are unpacked into a directory
(scripts/test does that; SLUICE_PEERS names it) and run from there: Exim with
its own spool and log, OpenSMTPD, whose places are compiled in, in a mount
namespace of its own.
"""

import os
import pathlib
import subprocess

from harness import Skip, free_port, wait_for
from rig import listens


def program(name):
    root = pathlib.Path(os.environ.get("SLUICE_PEERS", "/nonexistent"))
    path = root / "usr/sbin" / name
    if not path.is_file():
        raise Skip(f"no {path}: scripts/test unpacks it (SLUICE_PEERS)")
    return path


def in_own_namespace(directory, users, commands):
    """argv of a shell that has these users, whatever /etc/passwd says, and
    runs `commands`; mounts vanish with it."""
    if subprocess.run(["unshare", "--mount", "true"], check=False,
                      capture_output=True).returncode != 0:
        raise Skip("no mount namespaces here (in a chroot?)")
    passwd = pathlib.Path("/etc/passwd").read_text()
    group = pathlib.Path("/etc/group").read_text()
    for n, user in enumerate(users):
        passwd += f"{user}:x:{64100 + n}:{64100 + n}::/nonexistent:/bin/false\n"
        group += f"{user}:x:{64100 + n}:\n"
    (directory / "passwd").write_text(passwd)
    (directory / "group").write_text(group)
    return ["unshare", "--mount", "sh", "-c", f"""set -e
mount --bind {directory}/passwd /etc/passwd
mount --bind {directory}/group /etc/group
{commands}
"""]


class Exim:
    """Exim 4 as a relay."""

    def __init__(self, rig, next_hop, name="exim"):
        self.port = free_port()
        exim = program("exim4")
        d = rig.dir / name
        for sub in ("spool", "log"):
            (d / sub).mkdir(parents=True)
            os.chown(d / sub, 64100, 64100)
        host, port = next_hop.rsplit(":", 1)
        conf = d / "exim.conf"
        conf.write_text(f"""
primary_hostname = exim.peer.test
spool_directory = {d}/spool
log_file_path = {d}/log/%slog
pid_file_path = {d}/spool/exim.pid
exim_path = {exim}
exim_user = Debian-exim
exim_group = Debian-exim
never_users =
deliver_drop_privilege = true
local_interfaces = 127.0.0.1
daemon_smtp_ports = {self.port}
acl_smtp_rcpt = accept
acl_smtp_data = accept
message_size_limit = 0
smtp_accept_max = 100
smtp_accept_queue_per_connection = 0
queue_run_max = 10
remote_max_parallel = 10
keep_environment =
begin routers
all:
  driver = manualroute
  route_list = * {host}::{port}
  self = send
  transport = out
begin transports
out:
  driver = smtp
  allow_localhost
  hosts_avoid_tls = *
  message_linelength_limit = 1000000
begin retry
* * F,1h,1s
""")
        self.process = rig.start(name, *in_own_namespace(
            d, ["Debian-exim"], f"exec {exim} -C {conf} -bdf -q5s"))
        wait_for(name, 20, lambda: listens("127.0.0.1", self.port))


class OpenSmtpd:
    """OpenSMTPD as a relay."""

    def __init__(self, rig, next_hop, name="opensmtpd"):
        self.port = free_port()
        smtpd = program("smtpd")
        d = rig.dir / name
        d.mkdir()
        conf = d / "smtpd.conf"
        conf.write_text(f"""
smtp max-message-size "100M"
listen on 127.0.0.1 port {self.port} hostname opensmtpd.peer.test
action "out" relay host smtp://{next_hop} helo opensmtpd.peer.test
match from any for any action "out"
""")
        self.process = rig.start(name, *in_own_namespace(
            d, ["opensmtpd", "opensmtpq"], f"""
mount -t tmpfs tmpfs /var/spool
mount -t tmpfs tmpfs /var/lib
mkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty
chmod 711 /var/spool/smtpd
exec {smtpd} -d -f {conf}"""))
        wait_for(name, 20, lambda: listens("127.0.0.1", self.port))
