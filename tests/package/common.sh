# shellcheck shell=bash
# What the tests of the packages share. Sourced, not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export PATH="$PATH:/usr/sbin:/sbin"
export LC_ALL=C

# The test's own folder, gone at its end with all that it started.
scratch=$(mktemp -d "${TMPDIR:-/tmp}/nbgate-package.XXXXXX")
started=()
clean_up() {
  local pid
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

passed=0
# ok WHAT: one claim that held.
ok() {
  printf 'ok: %s\n' "$*"
  passed=$((passed + 1))
}

# fail WHAT [FILE...]: ends the test and shows these files.
fail() {
  printf 'FAILED: %s\n' "$1" >&2
  shift
  local file
  for file; do printf -- '--- %s\n' "$file" >&2 && tail -n 60 "$file" >&2; done
  exit 1
}

# run NAME COMMAND...: starts a program whose output goes to $scratch/NAME.log; its process id is in $pid.
run() {
  local name=$1
  shift
  # Made here, so that it is there when somebody looks before the program has started.
  : >"$scratch/$name.log"
  "$@" >>"$scratch/$name.log" 2>&1 </dev/null &
  pid=$!
  started+=("$pid")
}

# wait_for NAME PATTERN SECONDS: until the program's output has a line like this.
wait_for() {
  local name=$1 pattern=$2 deadline=$((SECONDS + $3))
  until grep -qE -- "$pattern" "$scratch/$name.log"; do
    if ((SECONDS >= deadline)); then fail "$name did not say \"$pattern\" within $3 s" "$scratch"/*.log; fi
    sleep 0.1
  done
}

the_package() {
  local found=(target/package/nbgate_*_"$1".deb)
  if ((${#found[@]} != 1)) || [[ ! -f ${found[0]} ]]; then fail "there should be one target/package/nbgate_*_$1.deb"; fi
  printf '%s\n' "$PWD/${found[0]}"
}

finish() { printf '%d passed, 0 failed\n' "$passed"; }
