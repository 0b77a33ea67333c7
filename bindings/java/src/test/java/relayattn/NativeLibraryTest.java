package relayattn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where the JNI library is sought, in which order, and what is said when it is not found. */
final class NativeLibraryTest {
    private static final String FILE = System.mapLibraryName("relayattn_jni");
    private static final String FAILURE = "error relayattn: no native library: ";

    @TempDir
    Path folder;

    @Test
    void explicitFolderAndFile() throws Exception {
        copyLibraries();
        assertEquals("loaded " + folder.resolve(FILE), probe("-Drelayattn.library.path=" + folder));
        assertEquals("loaded " + folder.resolve(FILE),
                probe("-Drelayattn.library.path=" + folder.resolve(FILE)));
    }

    @Test
    void anExplicitPathHasNoFallback() throws Exception {
        String said = probe("-Drelayattn.library.path=" + folder);
        assertTrue(said.startsWith(FAILURE + "relayattn.library.path names "
                + folder.resolve(FILE)), said);
    }

    @Test
    void javaLibraryPathComesBeforeTheJar() throws Exception {
        copyLibraries();
        assertEquals("loaded " + folder.resolve(FILE), probe("-Djava.library.path=" + folder));
    }

    @Test
    void theJarsOwnLeavesNothingBehind() throws Exception {
        String said = probe("-Djava.library.path=/nowhere", "-Djava.io.tmpdir=" + folder);
        assertTrue(said.startsWith("loaded " + folder + "/relayattn"), said);
        try (Stream<Path> left = Files.list(folder)) {
            assertEquals(List.of(), left.filter(p -> p.toString().contains("relayattn")).toList());
        }
    }

    @Test
    void aFailureNamesEveryPlace() throws Exception {
        String said = probe("-Djava.library.path=/nowhere", "-Djava.io.tmpdir=/nonexistent");
        assertTrue(said.startsWith(FAILURE + "java.library.path: "), said);
        assertTrue(said.contains("; in the jar: /nonexistent"), said);
    }

    private void copyLibraries() throws IOException {
        String arch = System.getProperty("os.arch").replace("amd64", "x86_64");
        for (String name : List.of(FILE, "librelayattn.so.0")) {
            String resource = "native/linux-" + arch + "/" + name;
            try (InputStream in = NativeLibrary.class.getResourceAsStream(resource)) {
                Files.copy(in, folder.resolve(name));
            }
        }
    }

    private static String probe(String... options) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.add("--enable-native-access=ALL-UNNAMED");
        command.addAll(List.of(options));
        command.addAll(List.of("-cp", System.getProperty("java.class.path")));
        command.add("relayattn.LibraryProbe");
        Process process = new ProcessBuilder(command)
                .redirectError(ProcessBuilder.Redirect.DISCARD).start();
        String said = new String(process.getInputStream().readAllBytes()).strip();
        assertEquals(0, process.waitFor());
        return said;
    }
}
