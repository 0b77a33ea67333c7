/**
 * Key/value caches with shared prefixes, and exact attention over them: relayattn for Java.
 *
 * <p>A service answers many requests that begin with the same long prompt. This library keeps that
 * prompt's keys and values (K and V) once, and reads them once per step for all requests together.
 * The result is exact. The classes follow the C header {@code relayattn/relayattn.h}, which says
 * what is computed, in its section 3, and everything in more depth.
 *
 * <pre>
 * Context              one device: its threads
 *  |   Model           what every layer looks like (copied into caches)
 *  |    |
 * Cache                pages of K and V, for every layer of the model
 *  |-- Prefix          tokens that many share; written, sealed, then never changed
 *  |    |-- Prefix     goes on from its parent: prefixes form a tree
 *  |    `-- Sequence   one request: its prefix's tokens, then its own growing tail
 *  `-- Batch           one step of many sequences; used again for every step
 * </pre>
 *
 * <p>A step is: {@link relayattn.Batch#begin(BatchInput) begin} with sequences and how many new
 * tokens each has; {@link relayattn.Batch#attend(long, AttendArgs) attend}, once for each layer in
 * turn, which appends the new tokens' K and V and computes their attention; and
 * {@link relayattn.Batch#commit() commit}, which makes the new tokens part of their sequences, or
 * {@link relayattn.Batch#abort() abort}, which forgets them. The caller computes q, k and v, with
 * position embedding already applied, and everything else of the network.
 *
 * <h2>Rules that hold everywhere</h2>
 *
 * <p><b>Errors.</b> A call that fails throws {@link relayattn.RelayAttentionException}, whose
 * {@link relayattn.RelayAttentionException#code() code} says what to do, and leaves every object as
 * it was. Any call may throw it with {@link relayattn.ErrorCode#HANDLE HANDLE} for a closed object,
 * {@link relayattn.ErrorCode#MEMORY MEMORY}, {@link relayattn.ErrorCode#DEVICE DEVICE} on a CUDA
 * context, and {@link relayattn.ErrorCode#INTERNAL INTERNAL}; a method names the others. A null
 * argument is a {@link java.lang.NullPointerException} unless the method says what null means.
 *
 * <p><b>Closing.</b> Every object holds native memory until it is closed; the order never matters,
 * since objects keep alive what they need. {@code close} may be called again, from any thread, and
 * during any other call, which then either completes or throws {@code HANDLE}. An object that is
 * garbage without having been closed is closed by a {@link java.lang.ref.Cleaner}, at some time.
 *
 * <p><b>Threads.</b> Every method of {@code Context}, {@code Model}, {@code Cache}, {@code Prefix}
 * and {@code Sequence} may be called from any thread. A {@code Batch} is used by one thread at a
 * time: a second one gets {@link relayattn.ErrorCode#BUSY BUSY} at once. The option and argument
 * classes are plain objects for one thread, read when the call is made; they may then change.
 *
 * <p><b>Tensors</b> are {@link relayattn.Tensor}: direct buffers and heap arrays, whose bounds are
 * checked against the shape before anything is touched, or addresses, which are trusted. Shapes are
 * [tokens, heads, dim]. The rows of a step are the new tokens of its first sequence, then those of
 * its second, and so on: T rows, then P padded ones.
 *
 * <p><b>Completion.</b> On a CPU context every call has completed when it returns. On a CUDA
 * context methods with a {@code queue} (a {@code cudaStream_t} as a number, 0 for the default
 * stream) order their work on it and may return before it is done; buffers must stay as they are
 * until then. A CPU context has no queues: only 0 is taken, else
 * {@link relayattn.ErrorCode#ARGUMENT ARGUMENT}.
 *
 * <p><b>Counts, positions and sizes</b> are {@code long}. Tokens of a sequence, of a step and of a
 * cache are at most 2<sup>31</sup> - 1.
 *
 * <h2>The native library</h2>
 *
 * <p>{@code librelayattn_jni.so} is sought once, at first use: where the system property
 * {@code relayattn.library.path} says (that file, or in that folder, and nowhere else), then in
 * {@code java.library.path}, then inside the jar. A failure is an
 * {@link java.lang.UnsatisfiedLinkError} that names every place and its reason. From Java 24 on,
 * start with {@code --enable-native-access=relayattn} (on the class path:
 * {@code --enable-native-access=ALL-UNNAMED}) to be spared a warning.
 */
package relayattn;
