package relayattn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static relayattn.Scene.assertCode;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** Every status but INTERNAL is reached, and comes with the library's text. */
final class ErrorCodeTest {
    @Test
    void argumentNamesValueAndBound() {
        try (Model model = Model.create(1)) {
            RelayAttentionException e = assertCode(ErrorCode.ARGUMENT,
                    () -> model.setLayers(0, 1, new LayerOptions(2, 2, 37)));
            assertTrue(e.getMessage().startsWith("ra_model_set_layers: "), e.getMessage());
            assertTrue(e.getMessage().contains("37"), e.getMessage());
        }
    }

    @Test
    void handleOfAClosedObject() {
        Model model = Model.create(1);
        model.close();
        assertCode(ErrorCode.HANDLE, () -> model.layerGroup(0));
    }

    @Test
    void stateOfAnOpenPrefix() {
        try (Scene scene = new Scene(); Prefix open = Prefix.create(scene.cache, null, 5)) {
            assertCode(ErrorCode.STATE, () -> Sequence.attach(scene.cache, open));
            assertCode(ErrorCode.STATE, () -> scene.batch.attend(0, scene.args()));
            assertCode(ErrorCode.STATE, scene.batch::commit);
            assertCode(ErrorCode.STATE, () -> scene.batch.query(0, PlanInfo.RUNS));
        }
    }

    @Test
    void busyWhileASequenceIsInAStep() {
        try (Scene scene = new Scene(); Sequence sequence = Sequence.attach(scene.cache, null)) {
            scene.batch.begin(new BatchInput().add(sequence, 1));
            assertCode(ErrorCode.BUSY, sequence::fork);
            scene.batch.abort();
            sequence.fork().close();
        }
    }

    @Test
    void unsupportedDtype() {
        try (Model model = Model.create(1)) {
            assertCode(ErrorCode.UNSUPPORTED,
                    () -> model.setLayers(0, 1, new LayerOptions(2, 2, 64).dtype(Dtype.F8E4M3)));
        }
    }

    @Test
    void memoryOfAnImpossibleCache() {
        try (Scene scene = new Scene(); Model model = Model.create(1)) {
            model.setLayers(0, 1, new LayerOptions(65536, 65536, 256));
            assertCode(ErrorCode.MEMORY, () -> Cache.create(scene.context, model,
                    new CacheOptions(Integer.MAX_VALUE)));
        }
    }

    @Test
    void pagesOfAFullCache() {
        try (Scene scene = new Scene()) {
            assertCode(ErrorCode.PAGES, () -> Prefix.create(scene.cache, null, 5000));
            assertEquals(scene.cache.totalPages(0), scene.cache.freePages(0));
        }
    }

    @Test
    void notRetainedBehindAWindow() {
        try (Scene scene = new Scene(Scene.layer().slidingWindow(4), 4096);
                Sequence sequence = Sequence.attach(scene.cache, null)) {
            for (int i = 0; i < 12; ++i) {
                scene.step(sequence, Scene.MOST);
            }
            assertTrue(sequence.minLength() > 0);
            assertCode(ErrorCode.NOT_RETAINED, () -> sequence.truncate(sequence.minLength() - 1));
            sequence.truncate(sequence.minLength());
        }
    }

    @Test
    void deviceThatIsNotThere() {
        assertCode(ErrorCode.DEVICE, () -> Context.create(
                new ContextOptions().backend(Backend.CUDA).ordinal(1_000_000)));
    }

    @Test
    void statusOfALaterVersion() {
        RelayAttentionException e =
                new RelayAttentionException(-77, "naïve".getBytes(StandardCharsets.UTF_8));
        assertEquals(ErrorCode.OTHER, e.code());
        assertEquals("status -77: naïve", e.getMessage());
    }
}
