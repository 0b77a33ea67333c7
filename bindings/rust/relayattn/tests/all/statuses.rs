//! Every kind of failure but a defect is reached, with its text.

use crate::scene;
use relayattn::{
    Backend, Cache, CacheOptions, Context, ContextOptions, Dtype, Error, ErrorCode, LayerOptions,
    Model, PlanFlags, PlanOptions, Window, sys,
};

fn assert_fails<T>(result: relayattn::Result<T>, code: ErrorCode, text: &str) {
    let Err(error) = result else { panic!("{code:?} was expected") };
    assert_eq!(error.code(), code, "{error}");
    assert!(error.message().contains(text), "{error}");
    assert_eq!(error.to_string(), error.message());
}

#[test]
fn argument() {
    let mut model = Model::new(1).unwrap();
    let error = model.set_layers(0..1, &LayerOptions::new(4, 2, 37));
    assert_fails(error, ErrorCode::Argument, "head_dim_k is 37; it must be a multiple of 8");
}

#[test]
fn handle() {
    let sequence = scene::cache(64).attach(None).unwrap();
    // SAFETY: handles are looked up; the drop below releases a stale one.
    unsafe { sys::ra_sequence_release(sequence.raw()) };
    assert_fails(sequence.length(), ErrorCode::Handle, "ra_sequence_length");
}

#[test]
fn state() {
    let cache = Cache::new(&scene::context(), &Model::new(3).unwrap(), &CacheOptions::new(64));
    assert_fails(cache, ErrorCode::State, "layer");
    let batch = scene::cache(64).batch(&PlanOptions::new()).unwrap();
    let items = batch.query(0, relayattn::PlanInfo::Items);
    assert_fails(items, ErrorCode::State, "ra_batch_query");
}

#[test]
fn busy() {
    let cache = scene::cache(64);
    let (sequence, mut batch) =
        (cache.attach(None).unwrap(), cache.batch(&PlanOptions::new()).unwrap());
    let step = batch.begin([(&sequence, 1)]).unwrap();
    assert_fails(sequence.fork(), ErrorCode::Busy, "ra_sequence_fork");
    assert_fails(sequence.freeze(None), ErrorCode::Busy, "ra_prefix_from_sequence");
    let mut other = cache.batch(&PlanOptions::new()).unwrap();
    assert_fails(other.begin([(&sequence, 1)]), ErrorCode::Busy, "sequences[0]");
    step.abort().unwrap();
    sequence.fork().unwrap();
}

#[test]
fn unsupported() {
    let mut model = Model::new(1).unwrap();
    let layer = scene::layer().kv_dtype(Dtype::I8);
    assert_fails(model.set_layers(0..1, &layer), ErrorCode::Unsupported, "k_dtype");
    let options = PlanOptions::new().flags(PlanFlags::GRAPH).max_rows(1).max_tokens(1);
    assert_fails(scene::cache(64).batch(&options), ErrorCode::Unsupported, "GRAPH");
}

#[test]
fn memory() {
    // A thousand terabytes: more than a process can have addresses for.
    let model = Model::uniform(64, &LayerOptions::new(8, 8, 128).dtype(Dtype::F32)).unwrap();
    let cache = Cache::new(&scene::context(), &model, &CacheOptions::new((1 << 31) - 1));
    assert_fails(cache, ErrorCode::Memory, "ra_cache_create");
}

#[test]
fn pages() {
    let cache = scene::cache(64);
    assert_fails(cache.prefix(None, 65), ErrorCode::Pages, "page");
    assert_eq!(cache.pages(0).unwrap().free, 8);
}

#[test]
fn not_retained() {
    let layer = scene::layer().window(Window::Sliding(8));
    let model = Model::uniform(1, &layer).unwrap();
    let cache =
        Cache::new(&scene::context(), &model, &CacheOptions::new(512).page_size(8)).unwrap();
    let mut sequence = cache.attach(&scene::sealed(&cache, None, 200, 1)).unwrap();
    assert!(sequence.length().unwrap().min > 0);
    assert_fails(sequence.truncate(10), ErrorCode::NotRetained, "ra_sequence_truncate");
}

#[test]
fn device() {
    let options = ContextOptions::new().backend(Backend::Cuda).ordinal(1000);
    assert_fails(Context::new(&options), ErrorCode::Device, "ra_context_create");
}

#[test]
fn an_error_is_one_for_all_purposes() {
    fn boxed() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Model::new(0)?;
        Ok(())
    }
    let error = boxed().unwrap_err();
    let error: &Error = error.downcast_ref().unwrap();
    assert_eq!(error.code().status(), sys::RA_ERROR_ARGUMENT);
}
