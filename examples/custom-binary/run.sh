#!/bin/sh
# The command with features of a program's own: see README.md.
set -eu
. "$(dirname "$0")/../lib.sh"

# The program is built from the checkout, beside what is built there already.
target=${CARGO_TARGET_DIR:-$here/../../target}
"${CARGO:-cargo}" build --quiet --locked --manifest-path "$here/Cargo.toml" --target-dir "$target"

books() {
    "$target/debug/books" "$@"
}

say 'The program is the command, and its structs are the features.'
run 'books list features'
run 'books write book/raw books.csv'
run 'books status'

say 'It resolves, takes results, and tells what is wrong as the command does.'
run "books resolve book/summary | sed 's/}\$/,\"summary\":\"It ends well.\"}/' | books write book/summary -"
run 'books read book/summary --columns isbn,title,summary | sort'
expect 'summaries' 2 "$(books read book/summary | wc -l | tr -d ' ')"
if books status book/sumary 2> error.txt; then
    fail 'a feature that does not exist has a status'
fi
run 'cat error.txt'
grep -q book/summary error.txt || fail "the error does not suggest book/summary: $(cat error.txt)"

say 'A new cover does not matter to a summary.'
run "sed 's/c1/c9/' books.csv | books write book/raw - --samples-format csv"
expect summaries '0 new, 0 stale, 0 orphaned' "$(METAXY=$target/debug/books && todo book/summary)"

say 'Its graph is pushed like any other. Then the plain command works on the store as well, in a project without feature files.'
run 'books push --tag by=books'
run 'metaxy status'
expect summaries '0 new, 0 stale, 0 orphaned' "$(todo book/summary)"
