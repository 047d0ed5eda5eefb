#!/bin/sh
# Lists the texts of a folder as samples of text/raw.
for file in "$1"/*.txt; do
    name=$(basename "$file" .txt)
    sum=$(cksum < "$file" | tr ' ' -)
    printf '{"name": "%s", "path": "%s", "metaxy_provenance_by_field": {"content": "%s"}}\n' "$name" "$file" "$sum"
done
