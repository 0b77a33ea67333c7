//! A small cache that most tests begin with, and numbers to put into it.

use relayattn::{
    Backend, Cache, CacheOptions, Context, ContextOptions, Dtype, LayerOptions, Model, Prefix,
};

pub const HEADS: usize = 4;
pub const KV_HEADS: usize = 2;
pub const DIM: usize = 32;

pub fn layer() -> LayerOptions {
    LayerOptions::new(HEADS, KV_HEADS, DIM).dtype(Dtype::F32)
}

pub fn context() -> Context {
    Context::new(&ContextOptions::new().backend(Backend::Cpu).num_threads(2)).unwrap()
}

pub fn cache(capacity_tokens: usize) -> Cache {
    let model = Model::uniform(1, &layer()).unwrap();
    let options = CacheOptions::new(capacity_tokens).page_size(8);
    Cache::new(&context(), &model, &options).unwrap()
}

/// Numbers from -1 to 1, others for each seed.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

pub fn q(tokens: usize, seed: u64) -> Vec<f32> {
    numbers(tokens * HEADS * DIM, seed)
}

pub fn kv(tokens: usize, seed: u64) -> Vec<f32> {
    numbers(tokens * KV_HEADS * DIM, seed)
}

pub fn sealed(cache: &Cache, parent: Option<&Prefix>, tokens: usize, seed: u64) -> Prefix {
    let mut open = cache.prefix(parent, tokens).unwrap();
    open.write(0, 0..tokens, &kv(tokens, seed), &kv(tokens, seed + 1)).unwrap();
    open.seal().unwrap()
}
