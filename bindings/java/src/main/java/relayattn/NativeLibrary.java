package relayattn;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Finds and loads the JNI library; package-info has the rules. */
final class NativeLibrary {
    private static final String NAME = "relayattn_jni";
    private static final String PROPERTY = "relayattn.library.path";
    /** In the jar, in the order of extraction; the second names the first, and finds it beside. */
    private static final List<String> BUNDLED =
            List.of("librelayattn.so.0", System.mapLibraryName(NAME));

    private NativeLibrary() {
    }

    /** Called once, when the class with the native methods is initialised. */
    static void load() {
        String explicit = System.getProperty(PROPERTY);
        if (explicit != null) {
            loadExplicit(Path.of(explicit));
        } else {
            loadFound();
        }
        checkVersion();
    }

    private static void loadExplicit(Path path) {
        Path file = Files.isDirectory(path) ? path.resolve(System.mapLibraryName(NAME)) : path;
        try {
            System.load(file.toAbsolutePath().toString());
        } catch (UnsatisfiedLinkError e) {
            throw failure(e, List.of(PROPERTY + " names " + file + ": " + e.getMessage()));
        }
    }

    private static void loadFound() {
        List<String> reasons = new ArrayList<>();
        try {
            System.loadLibrary(NAME);
            return;
        } catch (UnsatisfiedLinkError e) {
            reasons.add("java.library.path: " + e.getMessage());
        }
        try {
            loadBundled();
        } catch (IOException | UnsatisfiedLinkError e) {
            reasons.add("in the jar: " + e.getMessage());
            throw failure(e, reasons);
        }
    }

    /** A loaded file stays mapped, so nothing is left in the file system afterwards. */
    private static void loadBundled() throws IOException {
        Path folder = Files.createTempDirectory("relayattn");
        try {
            for (String name : BUNDLED) {
                extract(name, folder);
            }
            System.load(folder.resolve(BUNDLED.get(BUNDLED.size() - 1)).toString());
        } finally {
            for (String name : BUNDLED) {
                Files.deleteIfExists(folder.resolve(name));
            }
            Files.deleteIfExists(folder);
        }
    }

    private static void extract(String name, Path folder) throws IOException {
        String resource = "native/" + platform() + "/" + name;
        try (InputStream in = NativeLibrary.class.getResourceAsStream(resource)) {
            if (in == null) {
                throw new IOException("there is no relayattn/" + resource);
            }
            Files.copy(in, folder.resolve(name));
        }
    }

    private static String platform() {
        String arch = System.getProperty("os.arch");
        return System.getProperty("os.name").toLowerCase(Locale.ROOT) + "-"
                + (arch.equals("amd64") ? "x86_64" : arch);
    }

    private static void checkVersion() {
        long compiled = Native.compiled_version();
        if (compiled != NativeConstants.RA_VERSION) {
            throw new UnsatisfiedLinkError("relayattn: the JNI library found is of version "
                    + compiled + ", these classes are of " + NativeConstants.RA_VERSION);
        }
        if (Native.ra_version() < compiled) {
            throw new UnsatisfiedLinkError("relayattn: librelayattn.so.0 is of version "
                    + Native.ra_version() + ", older than " + compiled + " that is needed");
        }
    }

    private static UnsatisfiedLinkError failure(Throwable cause, List<String> reasons) {
        UnsatisfiedLinkError error = new UnsatisfiedLinkError(
                "relayattn: no native library: " + String.join("; ", reasons));
        error.initCause(cause);
        return error;
    }
}
