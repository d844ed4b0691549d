#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh BUILD SECONDS [NAME...] - libFuzzer over the targets of a build with
# -Dfuzz=true, one after the other, one job each. Starts from the target's own
# samples, from seeds.py, and from what BUILD/fuzz/NAME has of earlier runs; new
# inputs go there.
# Exit: 0; 1 = some target failed: the input is named and kept in BUILD/fuzz.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 2 ] || { sed -n '4,8s/^# //p' "$0" >&2; exit 2; }
build=$(cd "$1" && pwd)
seconds=$2
shift 2

names=("$@")
if [ "${#names[@]}" -eq 0 ]; then
	for f in "$build"/tests/fuzz/libfuzzer_*; do
		[ -f "$f" ] && [ -x "$f" ] && names+=("${f##*/libfuzzer_}")
	done
fi
[ "${#names[@]}" -gt 0 ] || {
	echo "run.sh: no libFuzzer target in $build; build it with" \
		"CC=clang meson setup -Dfuzz=true" >&2
	exit 2
}

failed=0
for name in "${names[@]}"; do
	corpus=$build/fuzz/$name
	log=$build/fuzz/$name.log
	mkdir -p "$corpus"
	"$build/tests/fuzz/fuzz_$name" --write-samples "$corpus"
	python3 "$here/seeds.py" "$name" "$corpus" "$build/bench/sluice-bench"
	if "$build/tests/fuzz/libfuzzer_$name" -max_total_time="$seconds" \
		-max_len=16384 -timeout=20 -rss_limit_mb=2048 \
		-print_final_stats=1 -artifact_prefix="$build/fuzz/$name-" \
		"$corpus" >"$log" 2>&1; then
		verdict=clean
	else
		verdict="FAILED, see $log"
		failed=1
	fi
	printf '%-16s %s; %s executions, %s\n' "$name" "$verdict" \
		"$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
		"$(grep -o 'cov: [0-9]* ft: [0-9]*' "$log" | tail -n 1)"
done
exit $failed
