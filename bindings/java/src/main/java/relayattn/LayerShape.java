package relayattn;

/** What is needed of a layer to check tensors. */
record LayerShape(long numQHeads, long numKvHeads, long headDimK, long headDimV, Dtype qDtype,
        Dtype kDtype, Dtype vDtype, Dtype outDtype) {
    static LayerShape of(LayerOptions o) {
        return new LayerShape(o.numQHeads, o.numKvHeads, o.headDimK, o.headDimV, o.qDtype, o.kDtype,
                o.vDtype, o.outDtype);
    }
}
