package relayattn;

import static relayattn.Tensor.Access.READ;
import static relayattn.Tensor.Access.WRITE;

import java.lang.ref.Reference;

/** The checks and the call of {@link Context#merge(MergeArgs, long)}. */
final class Merge {
    private Merge() {
    }

    static void run(Context context, MergeArgs args, long queue) {
        Tensor a = args.a;
        Tensor b = args.b;
        Tensor out = args.out;
        Tensor aLse = args.aLse;
        Tensor bLse = args.bLse;
        Tensor outLse = args.outLse;
        boolean host = context.onHost;
        long n = args.numTokens;
        long heads = args.numHeads;
        requireEqualStrides(aLse, bLse, "bLse");
        requireEqualStrides(aLse, outLse, "outLse");
        Tensor.prepare(a, "a", READ, host, n, heads, args.headDim, args.inDtype);
        Tensor.prepare(b, "b", READ, host, n, heads, args.headDim, args.inDtype);
        Tensor.prepare(aLse, "aLse", READ, host, n, heads, 1, Dtype.F32);
        Tensor.prepare(bLse, "bLse", READ, host, n, heads, 1, Dtype.F32);
        long outBytes =
                Tensor.prepare(out, "out", WRITE, host, n, heads, args.headDim, args.outDtype);
        long lseBytes = Tensor.prepare(outLse, "outLse", WRITE, host, n, heads, 1, Dtype.F32);
        long lseToken = Tensor.floatStride("aLse", Tensor.tokenStride(aLse));
        long lseHead = Tensor.floatStride("aLse", Tensor.headStride(aLse));
        try {
            Native.merge_state(context.handle, n, heads, args.headDim, args.inDtype.number,
                    args.outDtype.number, args.base2 ? 1 : 0, Tensor.address(a),
                    Tensor.tokenStride(a), Tensor.headStride(a), Tensor.address(b),
                    Tensor.tokenStride(b), Tensor.headStride(b), Tensor.address(out),
                    Tensor.tokenStride(out), Tensor.headStride(out), Tensor.address(aLse),
                    Tensor.address(bLse), Tensor.address(outLse), lseToken, lseHead, queue);
        } finally {
            Reference.reachabilityFence(context);
            Reference.reachabilityFence(a);
            Reference.reachabilityFence(b);
            Reference.reachabilityFence(aLse);
            Reference.reachabilityFence(bLse);
            Reference.reachabilityFence(out);
            Reference.reachabilityFence(outLse);
        }
        Tensor.copyOut(out, outBytes);
        Tensor.copyOut(outLse, lseBytes);
    }

    private static void requireEqualStrides(Tensor first, Tensor other, String name) {
        if (first != null && other != null
                && (Tensor.tokenStride(first) != Tensor.tokenStride(other)
                        || Tensor.headStride(first) != Tensor.headStride(other))) {
            throw Tensor.bad("%s has strides %d and %d; it must have those of aLse, %d and %d",
                    name, Tensor.tokenStride(other), Tensor.headStride(other),
                    Tensor.tokenStride(first), Tensor.headStride(first));
        }
    }
}
