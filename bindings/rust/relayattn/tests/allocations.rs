//! A steady step allocates nothing. In a program of its own, for its allocator.

use relayattn::{
    AttendArgs, Backend, Batch, Cache, CacheOptions, Context, ContextOptions, Dtype, LayerOptions,
    Model, PlanOptions, Sequence,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: it is the system's allocator, with a counter beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TOKENS: usize = 8;

fn step(batch: &mut Batch, sequences: &[Sequence], [q, k]: [&[f32]; 2], out: &mut [f32]) {
    let mut step = batch.begin(sequences.iter().map(|sequence| (sequence, 1))).unwrap();
    let mut args = AttendArgs::new(q, out).kv(k, k);
    for layer in 0..2 {
        step.attend(layer, &mut args).unwrap();
    }
    step.commit().unwrap();
}

#[test]
fn a_steady_step_allocates_nothing() {
    let options = ContextOptions::new().backend(Backend::Cpu).num_threads(1);
    let model = Model::uniform(2, &LayerOptions::new(4, 2, 32).dtype(Dtype::F32)).unwrap();
    let context = Context::new(&options).unwrap();
    let cache = Cache::new(&context, &model, &CacheOptions::new(4096)).unwrap();
    let sequences: Vec<_> = (0..TOKENS).map(|_| cache.attach(None).unwrap()).collect();
    let mut batch = cache.batch(&PlanOptions::new()).unwrap();
    let (q, k) = (vec![0.5; TOKENS * 4 * 32], vec![0.5; TOKENS * 2 * 32]);
    let mut out = vec![0.0; q.len()];
    step(&mut batch, &sequences, [&q, &k], &mut out);
    let before = ALLOCATIONS.get();
    assert!(before > 0, "the allocator is not in use");
    for _ in 0..100 {
        step(&mut batch, &sequences, [&q, &k], &mut out);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}
