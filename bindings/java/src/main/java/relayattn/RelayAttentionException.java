package relayattn;

import java.nio.charset.StandardCharsets;

/**
 * A call failed. The {@linkplain #code() code} is for the program; the message is for people, names
 * the function of the C API, the argument, its value and its bound, and may change between
 * versions.
 *
 * <p>It is unchecked: nearly all codes tell of a mistake in the calling program or of a missing
 * device, where a caller has nothing to do at that place. The one that is ordinary,
 * {@link ErrorCode#PAGES}, is met by asking {@link Cache#freePages(long)} and
 * {@link Batch#pagesNeeded(BatchInput, long)} first, or by catching this and looking at the code.
 */
public final class RelayAttentionException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** The code. */
    private final ErrorCode code;

    RelayAttentionException(ErrorCode code, String message) {
        super(message);
        this.code = code;
    }

    /** For native code, which hands over the status and its text in the same call. */
    RelayAttentionException(int status, byte[] utf8) {
        this(ErrorCode.of(status), text(status, utf8));
    }

    private static String text(int status, byte[] utf8) {
        String text = new String(utf8, StandardCharsets.UTF_8);
        return ErrorCode.of(status) == ErrorCode.OTHER ? "status " + status + ": " + text : text;
    }

    /**
     * Why the call failed.
     *
     * @return the code, never null
     */
    public ErrorCode code() {
        return code;
    }
}
