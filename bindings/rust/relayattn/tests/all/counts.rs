//! Counts are 64-bit: none is cut to 32 bits on its way.

use crate::scene;
use relayattn::{Cache, CacheOptions, ErrorCode, LayerOptions, Model, PlanOptions};

const LARGE: usize = 3_000_000_000; // above 2^31, and not 0 in its lower half

fn assert_names<T>(result: relayattn::Result<T>, number: usize) {
    let Err(error) = result else { panic!("{number} was taken") };
    assert_eq!(error.code(), ErrorCode::Argument);
    assert!(error.message().contains(&number.to_string()), "{error}");
}

#[test]
fn a_count_above_two_to_the_31_is_named_by_the_error() {
    let (context, cache) = (scene::context(), scene::cache(64));
    let model = Model::uniform(1, &scene::layer()).unwrap();
    assert_names(Model::new(LARGE), LARGE);
    assert_names(model.layer_group(LARGE), LARGE);
    assert_names(Cache::new(&context, &model, &CacheOptions::new(LARGE)), LARGE);
    assert_names(Cache::new(&context, &model, &CacheOptions::new(8).page_size(LARGE)), LARGE);
    assert_names(cache.pages(LARGE), LARGE);
    assert_names(cache.prefix(None, LARGE), LARGE);
    assert_names(cache.attach(None).unwrap().truncate(LARGE), LARGE);
    assert_names(cache.batch(&PlanOptions::new().max_tokens(LARGE)), LARGE);
    let sequence = cache.attach(None).unwrap();
    assert_names(cache.batch(&PlanOptions::new()).unwrap().begin([(&sequence, LARGE)]), LARGE);
}

#[test]
fn a_size_above_two_to_the_32_comes_back_whole() {
    let layer = LayerOptions::new(8, 8, 128);
    let model = Model::uniform(32, &layer).unwrap();
    let options = CacheOptions::new(1 << 20).page_size(16);
    let bytes = options.memory_size(&scene::context(), &model).unwrap();
    assert!(bytes >= (1 << 20) * 32 * 2 * 8 * 128 * 2, "{bytes}");
}

#[test]
fn a_count_beyond_int64_is_out_of_bounds_and_not_negative() {
    let error = Model::new(usize::MAX).unwrap_err();
    assert!(error.message().contains(&i64::MAX.to_string()), "{error}");
}
