# Makes one row of all rows of a call. They all carry the same versions, so those of the last stand for the call.
# Rows come as CSV; what is summed goes out instead of the columns of a chunk.
BEGIN { FS = OFS = "," }

NR == 1 {
    for (i = 1; i <= NF; i++) at[$i] = i
    print "call,chunks,words,seconds,metaxy_provenance_by_field.summary"
    next
}

{
    call = $at["call"]
    chunks[call]++
    words[call] += $at["words"]
    seconds[call] += $at["seconds"]
    version[call] = $at["metaxy_provenance_by_field.summary"]
}

END {
    for (call in chunks) print call, chunks[call], words[call], seconds[call], version[call]
}
