package relayattn;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Loads the library in a process of its own, and prints from where, or why not. */
final class LibraryProbe {
    private LibraryProbe() {
    }

    public static void main(String[] arguments) throws IOException {
        try {
            Context.libraryVersion();
        } catch (UnsatisfiedLinkError e) {
            System.out.println("error " + e.getMessage());
            return;
        }
        Files.readAllLines(Path.of("/proc/self/maps")).stream()
                .filter(line -> line.contains("relayattn_jni")).findFirst()
                .map(line -> line.substring(line.indexOf('/')))
                .ifPresent(file -> System.out.println("loaded " + file));
    }
}
