//! What a call costs: the same scene as tests/bench/overhead/overhead.c, and one line of JSON.

use relayattn::{
    AttendArgs, Backend, Cache, CacheOptions, Context, ContextOptions, Dtype, LayerOptions, Model,
    PlanOptions,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const Q_HEADS: usize = 32;
const KV_HEADS: usize = 8;
const DIM: usize = 128;
const PREFIX_TOKENS: usize = 2048;
const REQUESTS: usize = 8;
const SAMPLES: usize = 21;
const CALLS: usize = 50_000; // in a sample

struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: it is the system's allocator, with a counter beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
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

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + 11) % 101) as f32 / 64.0 - 50.0 / 64.0).collect()
}

/// The median of so many times, each in nanoseconds.
fn median<const N: usize>(mut timed: impl FnMut()) -> f64 {
    let mut times = [0.0; N];
    for time in &mut times {
        let start = Instant::now();
        timed();
        *time = start.elapsed().as_nanos() as f64;
    }
    times.sort_by(f64::total_cmp);
    times[N / 2]
}

fn main() -> relayattn::Result<()> {
    let device = ContextOptions::new().backend(Backend::Cpu).num_threads(1);
    let layer = LayerOptions::new(Q_HEADS, KV_HEADS, DIM).dtype(Dtype::F32);
    let model = Model::uniform(1, &layer)?;
    let cache = Cache::new(&Context::new(&device)?, &model, &CacheOptions::new(8192))?;
    let kv = numbers(PREFIX_TOKENS * KV_HEADS * DIM);
    let mut prefix = cache.prefix(None, PREFIX_TOKENS)?;
    prefix.write(0, 0..PREFIX_TOKENS, &kv, &kv)?;
    let prefix = prefix.seal()?;
    let sequences = (0..REQUESTS).map(|_| cache.attach(&prefix)).collect::<Result<Vec<_>, _>>()?;
    let mut batch = cache.batch(&PlanOptions::new())?;
    let (q, k) = (numbers(REQUESTS * Q_HEADS * DIM), numbers(REQUESTS * KV_HEADS * DIM));
    let (v, mut out) = (k.clone(), q.clone());
    let mut args = AttendArgs::new(&q, &mut out).kv(&k, &v);

    let mut step = batch.begin(sequences.iter().map(|sequence| (sequence, 0)))?;
    let mut sample = || (0..CALLS).for_each(|_| step.attend(0, &mut args).unwrap());
    sample();
    let before = BYTES.load(Ordering::Relaxed);
    let empty = median::<SAMPLES>(sample) / CALLS as f64;
    let bytes = (BYTES.load(Ordering::Relaxed) - before) as f64 / (SAMPLES * CALLS) as f64;
    step.abort()?;

    let mut step = batch.begin(sequences.iter().map(|sequence| (sequence, 1)))?;
    let mut sample = || step.attend(0, &mut args).unwrap();
    (0..5).for_each(|_| sample());
    let large = median::<31>(sample) / 1000.0;
    step.abort()?;
    println!(
        "{{\"language\": \"rust\", \"empty_ns_per_call\": {empty:.1}, \
         \"bytes_per_call\": {bytes}, \"large_us\": {large:.1}}}"
    );
    Ok(())
}
