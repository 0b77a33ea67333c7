package relayattn;

/** Why a call failed, and what to do about it. */
public enum ErrorCode {
    /** A value out of its bounds: a mistake in the calling program. */
    ARGUMENT(NativeConstants.RA_ERROR_ARGUMENT),
    /** The object, or one of the arguments, is closed. */
    HANDLE(NativeConstants.RA_ERROR_HANDLE),
    /**
     * The object is not in the state that this call needs: an open prefix is attached to, a batch
     * attends before it begins. Call in order.
     */
    STATE(NativeConstants.RA_ERROR_STATE),
    /**
     * The batch is in use by another thread, or the sequence is in an open step: try again when
     * that is over.
     */
    BUSY(NativeConstants.RA_ERROR_BUSY),
    /** Legal, but not in this version or on this device: do without. */
    UNSUPPORTED(NativeConstants.RA_ERROR_UNSUPPORTED),
    /** Host or device memory ran out: close something, or ask for less. */
    MEMORY(NativeConstants.RA_ERROR_MEMORY),
    /**
     * The cache has too few free pages: close sequences or prefixes, or let requests wait. Ordinary
     * under load.
     */
    PAGES(NativeConstants.RA_ERROR_PAGES),
    /**
     * A window layer has given back tokens that this would need: keep more
     * ({@link LayerOptions#retain(long)}), or compute them again.
     */
    NOT_RETAINED(NativeConstants.RA_ERROR_NOT_RETAINED),
    /** The device, its driver or the plugin is missing or failed. */
    DEVICE(NativeConstants.RA_ERROR_DEVICE),
    /** A defect of the library: please report it with the message. */
    INTERNAL(NativeConstants.RA_ERROR_INTERNAL),
    /** A status that this version of the Java classes does not know; the message has its number. */
    OTHER(Integer.MIN_VALUE);

    private static final ErrorCode[] ALL = values();

    private final int status;

    ErrorCode(int status) {
        this.status = status;
    }

    static ErrorCode of(int status) {
        for (ErrorCode code : ALL) {
            if (code.status == status) {
                return code;
            }
        }
        return OTHER;
    }
}
