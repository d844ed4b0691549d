#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# style.sh ROOT - licence line first, at most 600 lines, formatted by
# .clang-format. `style.sh --self-test` proves that each check can fail.
# Exit: 0, 1 with a line per offence, 77 = clang-format is not installed.
set -euo pipefail

lines_max=600
licence='SPDX-License-Identifier: BSD-2-Clause'

# What we wrote; build directories and generated files are elsewhere.
files() {
	local top
	for top in include dataplane control bench tests scripts .ci; do
		[ -d "$1/$top" ] || continue
		find "$1/$top" -name '.?*' -prune -o -type f \
			\( -name '*.[ch]' -o -name '*.sh' -o -name '*.py' \) -print
	done | sort
}

# The first line, or the second one after #!
has_licence() {
	local first
	first=$(head -n 1 "$1")
	case $first in
	'#!'*) first=$(sed -n 2p "$1") ;;
	esac
	case $first in
	*"$licence"*) return 0 ;;
	esac
	return 1
}

# One line per file that clang-format would change.
unformatted() {
	# shellcheck disable=SC2016 # the inner shell expands $1
	printf '%s\0' "$@" | xargs -0 -n 1 -P 2 sh -c '
		clang-format --style=file --dry-run -Werror "$1" >/dev/null 2>&1 ||
			echo "$1: not formatted; run clang-format -i"' sh
}

check() {
	local root=$1 bad=0 count=0 f n c_files=()
	while IFS= read -r f; do
		count=$((count + 1))
		if ! has_licence "$f"; then
			echo "${f#"$root"/}:1: does not open with '$licence'"
			bad=$((bad + 1))
		fi
		n=$(wc -l <"$f")
		if [ "$n" -gt "$lines_max" ]; then
			echo "${f#"$root"/}:$lines_max: has $n lines; split it by job"
			bad=$((bad + 1))
		fi
		case $f in
		*.[ch]) c_files+=("$f") ;;
		esac
	done < <(files "$root")
	if [ "${#c_files[@]}" -gt 0 ]; then
		n=$(unformatted "${c_files[@]}" | sed "s|^$root/||" |
			tee /dev/stderr | wc -l)
		bad=$((bad + n))
	fi
	echo "style: $count files, $bad offences"
	[ "$bad" -eq 0 ] && [ "$count" -gt 0 ]
}

# One good tree, then one spoilt in each way.
self_test() {
	local tree here spoil wrong=0
	here=$(cd "$(dirname "$0")/../.." && pwd)
	for spoil in none licence script long format empty; do
		tree=$(mktemp -d)
		mkdir -p "$tree/dataplane"
		cp "$here/.clang-format" "$tree/"
		if [ $spoil != empty ]; then
			printf '/* %s */\nint x;\n' "$licence" >"$tree/dataplane/a.c"
			printf '#!/bin/sh\n# %s\n' "$licence" >"$tree/dataplane/a.sh"
		fi
		case $spoil in
		licence) printf 'int x;\n' >"$tree/dataplane/a.c" ;;
		script) printf '#!/bin/sh\n:\n' >"$tree/dataplane/a.sh" ;;
		long) printf 'int y%d;\n' $(seq 600) >>"$tree/dataplane/a.c" ;;
		format) printf 'int  y ;\n' >>"$tree/dataplane/a.c" ;;
		esac
		if check "$tree" >/dev/null 2>&1; then
			[ $spoil = none ] || wrong=$((wrong + 1))
		else
			[ $spoil != none ] || wrong=$((wrong + 1))
		fi
		rm -r "$tree"
	done
	echo "self-test: 6 trees, $wrong wrong"
	[ "$wrong" -eq 0 ]
}

command -v clang-format >/dev/null || exit 77
case ${1-} in
--self-test) self_test ;;
'')
	echo "usage: $0 ROOT | --self-test" >&2
	exit 64
	;;
*) check "$(cd "$1" && pwd)" ;;
esac
