#!/usr/bin/env bash
# Everything CI runs, first what fails soonest. Goes on after a stage that fails, and ends with a summary:
# what failed, how each log ends, and an exit code that says so. The output of each stage is in build/logs/STAGE.log.
#     test.sh                 all stages
#     test.sh lint unit       only these
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

logs=$CHECKOUT/build/logs
wanted=("$@") known=() summary=() failed=()
declare -A running=() # the session of each stage that is not over

# Since the machine was started: the processors' time that was used, and that there was.
processors() { awk '{ for (at = 2; at <= 9; at++) all += $at; print all - $5 - $6, all; exit }' /proc/stat; }
# busy USED ALL: the share of it since then, in percent.
busy() {
    local now
    read -ra now < <(processors)
    echo $((100 * (now[0] - $1) / (now[1] - $2 + 1)))
}
read -ra begun < <(processors)

finish() {
    local code=$? each
    trap - EXIT INT TERM HUP
    for each in ${running[@]+"${running[@]}"}; do end_session "$each"; done
    for each in ${failed[@]+"${failed[@]}"}; do
        printf '\n== %s failed; build/logs/%s.log ends:\n' "$each" "$each"
        tail -n 40 "$logs/$each.log"
    done
    printf '\n== summary (%d min %d s, processors %d %% busy)\n' $((SECONDS / 60)) $((SECONDS % 60)) "$(busy "${begun[@]}")"
    printf '%s\n' ${summary[@]+"${summary[@]}"}
    if [ ${#failed[@]} -gt 0 ]; then
        say "FAILED: ${failed[*]}"
    fi
    [ "$code" -eq 0 ] || say "NOT COMPLETE: ended with exit code $code"
    [ ${#failed[@]} -eq 0 ] || exit 1
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP # under nohup it is ignored, and a shell keeps to that

# Every process of a session that was started here.
end_session() {
    kill -TERM -- "-$1" 2>/dev/null || return 0
    for _ in $(seq 300); do
        kill -0 -- "-$1" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -KILL -- "-$1" 2>/dev/null || true
}

# begin NAME COMMAND...: in a session of its own, without a terminal and with nothing to read, so that it runs the same
# from a desk, under nohup, by cron and in CI.
begin() {
    local name=$1
    shift
    known+=("$name")
    [ ${#wanted[@]} -eq 0 ] || [[ " ${wanted[*]} virtualenvs " == *" $name "* ]] || return 0
    : >"$logs/$name.log"
    # shellcheck disable=SC2016  # for the shell in there
    setsid bash -c '"$@" && code=$? || code=$?; echo $SECONDS >"$0"; exit $code' "$logs/$name.seconds" "$@" \
        </dev/null >"$logs/$name.log" 2>&1 &
    running[$name]=$!
}

# end NAME: its output on the screen, until it is over; how it ended.
end() {
    local name=$1 pid=${running[$1]-} code=0 seconds last
    [ -n "$pid" ] || return 0
    printf '\n== %s\n' "$name"
    tail -n +1 -s 0.2 -f --pid="$pid" "$logs/$name.log" &
    wait "$pid" || code=$?
    unset "running[$name]"
    wait $! || true # the rest of the log is on the screen
    seconds=$(cat "$logs/$name.seconds")
    last=$(tail -n 1 "$logs/$name.log" | sed -nE 's/^=+ (.*(passed|failed|error).*) in .* =+$/\1/p')
    if [ "$code" -eq 0 ]; then
        summary+=("$(printf '  %-15s ok %9d s  %s' "$name" "$seconds" "$last")")
    else
        summary+=("$(printf '  %-15s FAILED %5d s  %s' "$name" "$seconds" "$last")")
        failed+=("$name")
    fi
    return "$code"
}

stage() { begin "$@" && end "$1"; }

rm -rf "$logs" && mkdir -p "$logs"
pytest=(.venv/bin/python -m pytest)
oldest=(.venv-2.18/bin/python -m pytest)
newest=(.venv-2.21/bin/python -m pytest)
# Three at a time: they wait for servers and for Ansible more than they compute. A file's tests share its servers.
three=(-n 3 --dist loadfile)

stage virtualenvs bash -c 'scripts/venv.sh .venv run demo dev && scripts/venv.sh .venv-2.18 ansible-2.18 &&
    { LEAST=12 PYTHON= scripts/venv.sh .venv-2.21 ansible-2.21 || [ $? -eq 3 ]; }' || exit 1
stage postgresql scripts/install-postgresql.sh || true
stage notified scripts/install-notified.sh || true

begin images .venv/bin/python -m tests.lab.images # mostly downloading and unpacking, beside what wants a processor
stage lint scripts/lint.sh || true
stage unit "${pytest[@]}" -n 2 tests/unit || true
stage demo "${pytest[@]}" tests/test_demo.py || true
end images || true
begin molecule scripts/molecule.sh                               # waits
begin integration "${pytest[@]}" "${three[@]}" tests/integration # waits
stage sanity nice scripts/sanity.sh || true                      # computes, and measures no time
end molecule || true
end integration || true
# From here on one at a time, for each keeps two processors busy: side by side they took no less time.
# What depends on Ansible runs on each one; the procedures over SSH on one, and on the middle one in the lab.
stage playbooks "${pytest[@]}" "${three[@]}" tests/playbooks || true
stage playbooks-2.18 "${oldest[@]}" "${three[@]}" tests/playbooks tests/unit/test_triage_playbook.py || true
if [ -d .venv-2.21 ]; then
    stage playbooks-2.21 "${newest[@]}" "${three[@]}" tests/playbooks || true
else
    summary+=("  playbooks-2.21  not run: there is no Python 3.12 or later here")
fi
stage procedures "${oldest[@]}" "${three[@]}" tests/procedures || true
stage lab "${pytest[@]}" -n 2 --dist worksteal --durations=15 tests/lab || true

for each in ${wanted[@]+"${wanted[@]}"}; do
    [[ " ${known[*]} " == *" $each "* ]] || fail "there is no stage $each; there are: ${known[*]}"
done
