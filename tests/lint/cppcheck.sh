#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# cppcheck.sh ROOT BUILD - cppcheck over the programs' own sources. Tests are
# left out: cmocka's macros hide from it what ends a function.
# `cppcheck.sh --self-test` proves that a finding fails it.
# Exit: 0, 1 with the findings, 77 = cppcheck is not installed.
set -euo pipefail

check() {
	local root=$1 build=$2 top tops=()
	for top in dataplane control bench; do
		if [ -n "$(find "$root/$top" -name '*.c' -print -quit 2>/dev/null)" ]
		then
			tops+=("$root/$top")
		fi
	done
	if [ "${#tops[@]}" -eq 0 ]; then
		echo "cppcheck: nothing to check in $root" >&2
		return 1
	fi
	mkdir -p "$build/cppcheck" # unchanged files are not checked again
	# uninitvar and ctunullpointer: wrong about out-parameters, and the
	# analyzer of clang-tidy is not
	cppcheck --quiet -j 2 --std=c11 --language=c --error-exitcode=1 \
		--cppcheck-build-dir="$build/cppcheck" \
		--enable=warning,performance,portability --inline-suppr \
		--suppress=missingInclude --suppress=missingIncludeSystem \
		--suppress=unknownMacro --suppress=incorrectStringBooleanError \
		--suppress=uninitvar --suppress=ctunullpointer \
		-I "$root/include" -I "$root/dataplane" -I "$root/control" \
		-I "$root/bench" -D_GNU_SOURCE -D__linux__ -D__x86_64__ \
		--template='{file}:{line}: {severity}: {message} [{id}]' \
		"${tops[@]}" || return 1
	echo "cppcheck: no findings"
}

self_test() {
	local tree kind wrong=0
	for kind in good bad empty; do
		tree=$(mktemp -d)
		mkdir -p "$tree/dataplane"
		case $kind in
		good) printf 'int f(void)\n{\n\treturn 1;\n}\n' ;;
		bad)
			printf 'int f(void)\n{\n\tint a[2] = {1, 2};\n'
			printf '\treturn a[2];\n}\n'
			;;
		empty) : ;;
		esac >"$tree/dataplane/a.c"
		[ $kind != empty ] || rm "$tree/dataplane/a.c"
		if check "$tree" "$tree/build" >/dev/null 2>&1; then
			[ $kind = good ] || wrong=$((wrong + 1))
		else
			[ $kind != good ] || wrong=$((wrong + 1))
		fi
		rm -r "$tree"
	done
	echo "self-test: 3 trees, $wrong wrong"
	[ "$wrong" -eq 0 ]
}

command -v cppcheck >/dev/null || exit 77
if [ "${1-}" = --self-test ]; then
	self_test
elif [ $# -eq 2 ]; then
	check "$(cd "$1" && pwd)" "$2"
else
	echo "usage: $0 ROOT BUILD | --self-test" >&2
	exit 64
fi
