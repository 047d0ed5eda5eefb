# The developer's step: whether a text asks something.
{
    asks = /"text":"[^"]*\?"/ ? "true" : "false"
    sub(/}$/, "")
    printf "%s,\"asks\":%s}\n", $0, asks
}
