/** Key/value caches with shared prefixes, and exact attention over them. */
module relayattn {
    exports relayattn;
}
