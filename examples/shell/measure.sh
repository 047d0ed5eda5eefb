#!/bin/sh
# Adds the size of each text to its row: one object per line comes in, and goes out with three members more.
while IFS= read -r row; do
    path=$(printf '%s\n' "$row" | sed 's/.*"path":"\([^"]*\)".*/\1/')
    if [ ! -r "$path" ]; then
        echo "cannot read $path" >&2
        exit 1
    fi
    set -- $(wc -l -w -c < "$path")
    printf '%s,"lines":%d,"words":%d,"bytes":%d}\n' "${row%\}}" "$1" "$2" "$3"
done
