package relayattn;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The scenario that every language replays, made by a float64 reference. */
final class ScenarioTest {
    private static final Path FILE = Path.of("../../tests/bindings/scenario.json");

    @ParameterizedTest(name = "heap arrays: {0}")
    @ValueSource(booleans = {false, true})
    void everyOperationAnswersAsWritten(boolean heap) throws IOException {
        JsonObject scenario = JsonParser.parseString(Files.readString(FILE)).getAsJsonObject();
        Replay replay = new Replay(heap);
        int index = 0;
        for (JsonElement element : scenario.getAsJsonArray("operations")) {
            JsonObject op = element.getAsJsonObject();
            try {
                replay.run(op);
            } catch (AssertionError | RuntimeException e) {
                throw new AssertionError("operation " + index + ", " + op.get("op"), e);
            }
            ++index;
        }
        System.out.println(replay.done + " operations replayed, " + replay.compared
                + " numbers compared, " + replay.skipped + " cannot be written in Java");
        assertTrue(replay.done > 20 * replay.skipped && replay.compared > 1000);
    }
}
