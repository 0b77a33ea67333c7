//! The feature `half`.

use crate::scene;
use half::{bf16, f16};
use relayattn::{AttendArgs, Cache, CacheOptions, Element, Model, PlanOptions};

/// One request alone, of one token: out is its own v.
fn v_comes_out<T: Element + PartialEq + std::fmt::Debug>(from: fn(f32) -> T) {
    let model = Model::uniform(1, &scene::layer().dtype(T::DTYPE)).unwrap();
    let cache = Cache::new(&scene::context(), &model, &CacheOptions::new(64)).unwrap();
    let sequence = cache.attach(None).unwrap();
    let mut batch = cache.batch(&PlanOptions::new()).unwrap();
    let of = |numbers: Vec<f32>| numbers.into_iter().map(from).collect::<Vec<T>>();
    let (q, k, v) = (of(scene::q(1, 1)), of(scene::kv(1, 2)), of(scene::kv(1, 3)));
    let mut out = of(vec![0.0; scene::HEADS * scene::DIM]);
    let mut step = batch.begin([(&sequence, 1)]).unwrap();
    step.attend(0, &mut AttendArgs::new(&q, &mut out).kv(&k, &v)).unwrap();
    let shared = scene::HEADS / scene::KV_HEADS;
    for (head, out) in out.chunks(scene::DIM).enumerate() {
        assert_eq!(out, &v[head / shared * scene::DIM..][..scene::DIM]);
    }
}

#[test]
fn halves_are_elements() {
    v_comes_out(f16::from_f32);
    v_comes_out(bf16::from_f32);
    v_comes_out(|x| x);
}
