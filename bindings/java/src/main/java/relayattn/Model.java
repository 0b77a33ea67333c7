package relayattn;

import java.lang.ref.Reference;
import java.util.Arrays;

/**
 * What every layer looks like: a list of layers, numbered from 0, that belongs to no device. Layers
 * that are alike form layer groups, numbered in the order of their first layers. A layer that was
 * never set takes no memory and cannot be attended. All methods may be called from any thread.
 */
public final class Model extends NativeObject {
    /** What was set, as checks of tensors need it; guarded by this, which also guards the order. */
    private final LayerShape[] shapes;

    private Model(long handle, long numLayers) {
        super(handle, Native::ra_model_release, null);
        shapes = new LayerShape[(int) numLayers];
    }

    /**
     * Makes a model, none of whose layers is set.
     *
     * @param numLayers 1 .. 65536
     * @return the model, to be closed
     * @throws RelayAttentionException {@link ErrorCode#ARGUMENT}: {@code numLayers} is out of
     *     bounds
     */
    public static Model create(long numLayers) {
        return new Model(Native.ra_model_create(numLayers), numLayers);
    }

    /**
     * Gives layers first .. first + count - 1 the same options. May be called again for the same
     * ones; group numbers may then change. Caches copy the model when they are made and do not see
     * later changes. A count of 0 checks the options and changes nothing.
     *
     * @param first the first layer
     * @param count how many
     * @param options what they look like; read now
     * @throws RelayAttentionException {@link ErrorCode#ARGUMENT}: the range is not within the
     *     model; an option is out of bounds; the KV layer cannot be borrowed from; or a layer that
     *     borrows from one of these would no longer fit. {@link ErrorCode#UNSUPPORTED}: a reserved
     *     dtype, or those of K and V differ
     */
    public void setLayers(long first, long count, LayerOptions options) {
        synchronized (shapes) {
            LayerOptions o = options;
            LayerShape shape = LayerShape.of(o); // first, as nothing may fail after the call
            Native.model_set_layers(handle, first, count, o.numQHeads, o.numKvHeads, o.headDimK,
                    o.headDimV, o.qDtype.number, o.kDtype.number, o.vDtype.number,
                    o.outDtype.number, o.windowKind, o.window, o.retain, o.kvLayer,
                    o.usesSinks ? 1 : 0, o.usesAlibi ? 1 : 0, o.softmaxScale, o.logitSoftcap);
            Arrays.fill(shapes, (int) first, (int) (first + count), shape);
        }
        Reference.reachabilityFence(this);
    }

    /**
     * The number of the layer group that a layer is in. A layer with a KV layer is in a group that
     * shares the pages of its source's group.
     *
     * @param layer the layer
     * @return the group, from 0
     * @throws RelayAttentionException {@link ErrorCode#ARGUMENT}: no such layer, or it was never
     *     set
     */
    public long layerGroup(long layer) {
        try {
            return Native.ra_model_layer_group(handle, layer);
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    /** Makes something of the model and its shapes, which must not change in between. */
    <T> T snapshot(java.util.function.Function<LayerShape[], T> maker) {
        synchronized (shapes) {
            return maker.apply(shapes.clone());
        }
    }
}
