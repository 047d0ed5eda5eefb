#!/bin/sh
# A month of a film archive: see README.md.
set -eu
. "$(dirname "$0")/../lib.sh"

# Where `python3` is a script that looks for Python, it looks once.
PATH=$(dirname "$(python3 -c 'import sys; print(sys.executable)')"):$PATH

# Runs a command line, and compares what it prints with the lines that count.py makes of the files: same COMMAND WHAT-COUNT.PY-COUNTS. Left out
# is what files do not have: versions of features, and how many graphs were pushed.
same() {
    line=$1
    shift
    said=$(eval "$line" 2>&1) || fail "this failed: $line: $said"
    counted=$(python3 count.py "$@") || fail "count.py $* failed"
    expect "$line" "$counted" "$(printf '%s\n' "$said" | sed -E '
        s/ from version [0-9a-f]+ to [0-9a-f]+//
        s/ and [0-9]+ pushed graphs?//')"
}

# The same, and shows the command line and what it prints.
checked() {
    printf '$ %s\n' "$1"
    same "$@"
    printf '%s\n' "$said"
}

# What is to be done in a store, and what waits for what, must be what the files say: status_of STORE.
status_of() {
    wrong=$(metaxy --store "$1" status --format json | python3 count.py status "$1") && [ -z "$wrong" ] ||
        fail "the status of store $1: $wrong"
}

# So must all rows that a read shows: rows_of STORE.
rows_of() {
    wrong=$(for feature in video $steps; do
        metaxy --store "$1" read "$feature" | sed "s|^|$feature |"
    done | python3 count.py read "$1") && [ -z "$wrong" ] || fail "the rows of store $1: $wrong"
}

# The current version of a feature, short.
version() {
    metaxy list features --format csv | awk -F, -v feature="$1" '$1 == feature { print substr($2, 1, 8) }'
}

steps='video/crop crop/embedding video/scenes video/transcript video/summary search/document'

# A second store, in another engine where the command has one.
case $(metaxy --version | sed -n 's/^stores: //p') in
    *duckdb*) lab='type = "duckdb"\ndatabase = "lab.duckdb"' ;;
    *delta*) lab='type = "delta"\nroot_path = "lab"' ;;
    *) lab='type = "sqlite"\ndatabase = "lab.db"' ;;
esac
printf '\n[stores.lab]\n%b\nhash_algorithm = "xxhash64"\n' "$lab" >> metaxy.toml
printf 'The store lab: %b\n' "$lab" | tr '\n' ' ' >&2
echo >&2

say 'Day 1. 120 films are indexed, and after the first night everything is computed.'
run 'python3 films.py arrive 120'
checked './night.sh dev' done dev video $steps
run 'metaxy push'
status_of dev
rows_of dev

say 'Day 4. Seven films are dubbed. Transcripts are stale; scenes and crops depend on the pictures alone, and the rest waits.'
run 'python3 films.py dub 7'
checked './index.sh dev films' done dev video
run 'metaxy status video/crop video/scenes video/transcript video/summary search/document'
status_of dev
checked './night.sh dev' done dev video $steps
status_of dev

say 'Day 8. Five films are dubbed, and the night ends after their transcripts. Three more are dubbed, and two leave.'
run 'python3 films.py dub 5'
checked './night.sh dev video/transcript' done dev video video/transcript
run 'python3 films.py dub 3 && python3 films.py withdraw 2'
checked './index.sh dev films' done dev video
status_of dev

say 'In the middle of this the transcriber gets a version that changes no text. Rows are carried over: what was stale stays stale.'
old=$(version video/transcript)
run "sed -i.bak '/^fields = { text/s/\"1\"/\"2\"/' features.toml"
rebase="metaxy metadata rebase video/transcript --from $old --downstream"
checked "$rebase --dry-run" rebased dev --dry-run
checked "$rebase --yes" rebased dev
run 'metaxy push | head -n 1'
run 'metaxy status video/transcript video/summary search/document'
status_of dev
checked './night.sh dev' done dev video $steps
status_of dev

say 'Day 12. Nine films come in. Three of them break off, and so do two that were whole. Without pictures these five stay to be done.'
run 'python3 films.py arrive 9 --damaged 3 && python3 films.py damage 2'
checked './night.sh dev' done dev video $steps
run 'metaxy status video/crop video/scenes video/transcript'
status_of dev
run 'python3 films.py repair'
checked './night.sh dev' done dev video $steps
status_of dev
rows_of dev

say 'Day 15. Six films come that show no face, and the faces of two others are cut out. Without crops they are done, too.'
run 'python3 films.py arrive 6 --faces 0 && python3 films.py recut 2 --faces 0'
checked './night.sh dev' done dev video $steps
run 'metaxy status video/crop'
status_of dev

say 'Day 18. Twenty films are cut anew. The step for crops dies half-way, and nothing is written. The next night does it.'
run 'python3 films.py recut 20'
checked './index.sh dev films' done dev video
run 'metaxy resolve video/crop --end | python3 steps.py video/crop --die-after 10 | metaxy write video/crop - 2>&1 || true'
status_of dev
checked './night.sh dev' done dev video $steps
status_of dev
rows_of dev

say 'Day 20. The disk is not mounted. An index without films makes every sample an orphan: that is refused.'
mkdir unmounted
run './index.sh dev unmounted 2>&1 || true'
status_of dev

say 'Day 22. All goes to the store of a lab. Copied again, nothing is added.'
copy='metaxy metadata copy --all-features --from dev --to lab --with-graphs --yes | tail -n 1'
checked "$copy" copied dev lab
checked "$copy" copied dev lab
status_of lab

say 'The lab goes on: six films are dubbed, four are cut anew, three leave. What it has computed and deleted comes back.'
run 'python3 films.py dub 6 && python3 films.py recut 4 && python3 films.py withdraw 3'
checked './night.sh lab' done lab video $steps
copy='metaxy metadata copy --all-features --from lab --to dev --with-graphs --yes | tail -n 1'
checked "$copy" copied lab dev
same "$copy" copied lab dev
for store in dev lab; do
    status_of "$store"
    rows_of "$store"
done

say 'Day 29. Eleven films leave for good. What was computed from them is orphaned, level by level, and deleted.'
run 'python3 films.py withdraw 11'
checked './night.sh dev' done dev video $steps
status_of dev

say 'Rows that later ones replaced are removed, and those of the old transcriber. No answer changes.'
before=$(metaxy status)
same 'metaxy maintain --keep 1 --dry-run | awk -f digest.awk' pruned dev --dry-run
checked 'metaxy maintain --keep 1 --yes | awk -f digest.awk' pruned dev
checked 'metaxy maintain --old-versions 1 --yes | awk -f digest.awk' forgotten dev
expect 'the status' "$before" "$(metaxy status)"
run 'metaxy status'
status_of dev
rows_of dev
