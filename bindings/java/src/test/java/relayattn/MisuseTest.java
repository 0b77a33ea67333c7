package relayattn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static relayattn.Scene.assertCode;

import java.util.EnumSet;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;

/** Whatever is closed, whenever and by whom: an exception at worst, never a crash. */
@Timeout(120)
final class MisuseTest {
    private static final int ROUNDS = 200;

    @Test
    void everyCallOnAClosedObjectIsRefused() {
        Scene scene = new Scene();
        Prefix prefix = scene.prefix();
        Sequence sequence = Sequence.attach(scene.cache, prefix);
        BatchInput input = new BatchInput().add(sequence, 1);
        Tensor k = Tensor.of(scene.k);
        sequence.close();
        prefix.close();
        refused(sequence::length, sequence::minLength, sequence::fork, () -> sequence.truncate(0),
                () -> sequence.pages(0), () -> Prefix.fromSequence(sequence, -1),
                () -> scene.batch.begin(input), () -> scene.batch.pagesNeeded(input, 0));
        refused(prefix::length, prefix::totalLength, prefix::seal, () -> prefix.split(1),
                () -> prefix.write(0, 0, 1, k, k), () -> prefix.read(0, 0, 1, k, k),
                () -> Sequence.attach(scene.cache, prefix),
                () -> Prefix.create(scene.cache, prefix, 1));
        scene.close();
        refused(() -> scene.batch.begin(new BatchInput()),
                () -> scene.batch.attend(0, scene.args()),
                () -> scene.batch.attendWorker(0, scene.args(), 0, 1), scene.batch::commit,
                scene.batch::abort, () -> scene.batch.query(0, PlanInfo.RUNS),
                () -> scene.batch.beginDummy(1, 1, 1, 0));
        refused(() -> scene.cache.totalPages(0), () -> scene.cache.freePages(0),
                () -> scene.cache.layout(0), () -> Prefix.create(scene.cache, null, 1),
                () -> Sequence.attach(scene.cache, null),
                () -> Batch.create(scene.cache, new PlanOptions()),
                () -> Batch.scratchBytes(scene.cache, new PlanOptions()),
                () -> Batch.metadataBytes(scene.cache, new PlanOptions()));
        refused(() -> scene.model.layerGroup(0), () -> scene.model.setLayers(0, 1, Scene.layer()));
        refused(scene.context::isa, scene.context::backend, scene.context::numThreads,
                () -> scene.context.requireSupport(scene.model, 0, new PlanOptions()),
                () -> scene.context.merge(new MergeArgs(0, 1, 1)),
                () -> Cache.memory(scene.context, scene.model, new CacheOptions(64)),
                () -> Cache.create(scene.context, scene.model, new CacheOptions(64)));
    }

    @Test
    void closingTwiceAndInAnyOrderDoesNothing() {
        Scene scene = new Scene();
        Prefix prefix = scene.prefix();
        Sequence sequence = Sequence.attach(scene.cache, prefix);
        scene.context.close();
        scene.model.close();
        scene.cache.close();
        prefix.close();
        prefix.close();
        scene.step(sequence, 3);
        assertEquals(Scene.MOST + 3, sequence.length());
        sequence.close();
        scene.close();
        scene.close();
        sequence.close();
    }

    @Test
    void aClosedHandleIsNotGivenOutAgain() {
        try (Scene scene = new Scene()) {
            Sequence first = Sequence.attach(scene.cache, null);
            first.close();
            for (int i = 0; i < 1000; ++i) {
                try (Sequence next = Sequence.attach(scene.cache, null)) {
                    assertTrue(next.handle != first.handle);
                }
            }
            assertCode(ErrorCode.HANDLE, first::length);
        }
    }

    @Test
    void closingTheBatchDuringItsCalls() throws Exception {
        closeDuringSteps((scene, sequence) -> scene.batch, EnumSet.of(ErrorCode.HANDLE));
    }

    @Test
    void closingTheSequenceDuringItsSteps() throws Exception {
        closeDuringSteps((scene, sequence) -> sequence, EnumSet.of(ErrorCode.HANDLE));
    }

    @Test
    void closingTheCacheDuringStepsChangesNothing() throws Exception {
        closeDuringSteps((scene, sequence) -> scene.cache, EnumSet.noneOf(ErrorCode.class));
    }

    @Test
    void closingTheContextDuringStepsChangesNothing() throws Exception {
        closeDuringSteps((scene, sequence) -> scene.context, EnumSet.noneOf(ErrorCode.class));
    }

    @Test
    void aBatchOfSeveralThreadsIsBusyOrRight() throws Exception {
        try (Scene scene = new Scene(); Sequence sequence = Sequence.attach(scene.cache, null)) {
            Set<ErrorCode> allowed = EnumSet.of(ErrorCode.BUSY, ErrorCode.STATE);
            AtomicReference<Throwable> wrong = new AtomicReference<>();
            Runnable user = () -> {
                AttendArgs args = scene.args().out(Tensor.of(Scene.floats(Scene.ROW)));
                BatchInput input = new BatchInput().add(sequence, 1);
                for (int i = 0; i < 20_000 && wrong.get() == null; ++i) {
                    attempt(() -> scene.batch.begin(input), allowed, wrong);
                    attempt(() -> scene.batch.attend(0, args), allowed, wrong);
                    attempt(scene.batch::abort, allowed, wrong);
                }
            };
            Thread other = new Thread(user);
            other.start();
            user.run();
            other.join();
            rethrow(wrong);
        }
    }

    /** Shapes are checked before the library is called: nothing may change between the two. */
    @Test
    void aCallIsAloneFromItsChecksOn() throws Exception {
        try (Scene scene = new Scene(); Sequence sequence = Sequence.attach(scene.cache, null)) {
            BatchInput input = new BatchInput().add(sequence, 1);
            Thread beginner = new Thread(() -> scene.batch.begin(input));
            synchronized (input) {
                beginner.start(); // gets into begin, and waits there for the input
                while (beginner.getState() != Thread.State.BLOCKED) {
                    Thread.onSpinWait();
                }
                assertCode(ErrorCode.BUSY, () -> scene.batch.attend(0, scene.args()));
                assertCode(ErrorCode.BUSY, scene.batch::commit);
                assertCode(ErrorCode.BUSY,
                        () -> scene.batch.attendWorker(0, scene.args().k(null).v(null), 0, 1));
            }
            beginner.join();
            scene.batch.attend(0, scene.args());
            scene.batch.commit();
            assertEquals(1, sequence.length());
        }
    }

    /** Steps on one thread while another closes something they use, at all kinds of moments. */
    private static void closeDuringSteps(
            BiFunction<Scene, Sequence, NativeObject> closed, Set<ErrorCode> allowed)
            throws Exception {
        Random random = new Random(5);
        AtomicReference<Throwable> wrong = new AtomicReference<>();
        for (int round = 0; round < ROUNDS; ++round) {
            Scene scene = new Scene();
            Sequence sequence = Sequence.attach(scene.cache, null);
            AtomicBoolean over = new AtomicBoolean();
            CountDownLatch going = new CountDownLatch(1);
            Thread user = new Thread(() -> {
                AttendArgs args = scene.args();
                BatchInput input = new BatchInput().add(sequence, 1);
                while (!over.get()) {
                    if (!attempt(() -> scene.batch.begin(input), allowed, wrong)
                            || !attempt(() -> scene.batch.attend(0, args), allowed, wrong)
                            || !attempt(scene.batch::abort, allowed, wrong)) {
                        break;
                    }
                    going.countDown();
                }
                going.countDown();
            });
            user.start();
            going.await();
            for (int i = random.nextInt(2000); i > 0; --i) {
                Thread.onSpinWait();
            }
            NativeObject object = closed.apply(scene, sequence);
            Thread second = new Thread(object::close);
            second.start();
            object.close();
            second.join();
            over.set(!allowed.contains(ErrorCode.HANDLE));
            user.join();
            sequence.close();
            scene.close();
            rethrow(wrong);
        }
    }

    /** False after an allowed failure; anything else is kept in `wrong`. */
    private static boolean attempt(Executable call, Set<ErrorCode> allowed,
            AtomicReference<Throwable> wrong) {
        try {
            call.execute();
            return true;
        } catch (RelayAttentionException e) {
            if (!allowed.contains(e.code())) {
                wrong.compareAndSet(null, e);
            }
        } catch (Throwable e) {
            wrong.compareAndSet(null, e);
        }
        return false;
    }

    private static void rethrow(AtomicReference<Throwable> wrong) {
        if (wrong.get() != null) {
            throw new AssertionError(wrong.get());
        }
    }

    private static void refused(Executable... calls) {
        for (Executable call : calls) {
            assertCode(ErrorCode.HANDLE, call);
        }
    }
}
