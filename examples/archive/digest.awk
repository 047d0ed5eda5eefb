# Makes a line or two of what `metaxy write`, `delete` and `maintain` print: how many rows were written of each feature, and so on.
{ what = /written/ ? "written" : "deleted" }

/^prune / {
    what = /would be/ ? "to remove" : "removed"
    sub(/^prune /, "")
}

/ (row|sample)s? / && $2 + 0 > 0 {
    sub(/:$/, "", $1)
    list[what] = list[what] ", " $1 " " $2
}

END {
    number = split("written,deleted,to remove,removed", words, ",")
    for (i = 1; i <= number; i++)
        if (words[i] in list) print words[i] ": " substr(list[words[i]], 3)
}
