# SPDX-License-Identifier: BSD-2-Clause
#
# packages.sh - what building, running and testing needs, by Debian package.
# Sourced by scripts/run and scripts/test. Installs only what is missing.

build_packages=(build-essential meson ninja-build pkg-config python3
  liburing-dev libck-dev libevent-dev nettle-dev libjemalloc-dev libcmocka-dev libunbound-dev
  libfyaml-dev libjansson-dev libpcre2-dev libxxhash-dev libidn2-dev libpsl-dev libsystemd-dev)
run_packages=(postfix knot python3-xxhash iproute2)
test_packages=(clang clang-tidy clang-format cppcheck libclang-rt-14-dev
  swaks libidn12 libgnutls-dane0 libnsl2 libdb5.3 libpam0g)
# Debian lets only one MTA be installed: these are unpacked beside it.
peer_packages=(exim4-daemon-light opensmtpd)

# install_packages NAME...: the missing ones, by apt, as root.
install_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${db:Status-Abbrev}' "$name" 2>/dev/null |
      grep -q '^.i' || missing+=("$name")
  done
  [ "${#missing[@]}" -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ]; then
    echo "these Debian packages are missing; install them as root:" >&2
    echo "  apt-get install ${missing[*]}" >&2
    return 69
  fi
  echo "installing: ${missing[*]}" >&2
  # A host's own Postfix must not be started by the package.
  local policy=/usr/sbin/policy-rc.d made=
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" && made=1
  fi
  local rc=0
  {
    apt-get update -qq &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends "${missing[@]}" >/dev/null
  } || rc=$?
  [ -n "$made" ] && rm -f "$policy"
  return "$rc"
}

# unpack_packages DIR NAME...: their files below DIR; nothing is installed.
unpack_packages() {
  local dir=$1 deb
  shift
  [ -e "$dir/unpacked" ] && return 0
  rm -rf "$dir"
  mkdir -p "$dir/deb"
  # apt's own user may not be allowed into the directory: it says so and goes on.
  (cd "$dir/deb" && apt-get download -qq "$@" 2>"$dir/download.log") || {
    echo "cannot download $*:" >&2
    cat "$dir/download.log" >&2
    return 69
  }
  for deb in "$dir"/deb/*.deb; do dpkg -x "$deb" "$dir"; done
  touch "$dir/unpacked"
}
