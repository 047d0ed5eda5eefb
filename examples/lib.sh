# What the scripts of the examples share. Each starts with: . "$(dirname "$0")/../lib.sh"
#
# It copies the example into a temporary folder and goes there, so that the checkout stays as it is. METAXY names the command, if it is
# not the `metaxy` on the path.

here=$(cd "$(dirname "$0")" && pwd)

fail() {
    printf '%s: %s\n' "$(basename "$here")" "$*" >&2
    exit 1
}

# The command with its path, as folders change.
named=${METAXY:-metaxy}
METAXY=$(command -v "$named") ||
    fail "there is no command \"$named\": put it on the path, or name it, as in METAXY=target/debug/metaxy"
case $METAXY in
    /*) ;;
    *) METAXY=$PWD/$METAXY ;;
esac
export METAXY

# Settings of whoever runs the example are for projects of their own.
for name in $(env | sed -n 's/^\(METAXY_[A-Za-z0-9_]*\)=.*/\1/p'); do
    unset "$name"
done

# Where the shell can, a pipeline fails with any of its parts.
if (set -o pipefail) 2>/dev/null; then
    set -o pipefail
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cp -R "$here"/. "$work"
cd "$work"

metaxy() {
    "$METAXY" "$@"
}

# Says what comes next.
say() {
    printf '\n# %s\n' "$*"
}

# Shows a command line, and runs it.
run() {
    printf '$ %s\n' "$1"
    eval "$1" || fail "this failed: $1"
}

# expect WHAT EXPECTED FOUND: ends the script unless the last two are equal.
expect() {
    [ "$2" = "$3" ] || fail "$1: expected \"$2\", found \"$3\""
}

# What is to be done for a feature, as in `1 new, 0 stale, 2 orphaned`. The options are those of `metaxy resolve`.
todo() {
    metaxy resolve "$@" --count --format csv |
        awk -F, 'NR > 1 { printf "%s%s %s", comma, $2, $1; comma = ", " }'
}
