# Adds the average length of a text's words to its row. The counts are members of the row already.
function number(name) {
    match($0, "\"" name "\":[0-9]+")
    return substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3)
}

{
    words = number("words")
    sub(/}$/, "")
    printf "%s,\"word_length\":%.1f}\n", $0, words ? number("bytes") / words - 1 : 0
}
