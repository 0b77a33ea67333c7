//! Attention by the program's own threads.

use crate::scene::{self, kv, q};
use relayattn::{AttendArgs, ErrorCode, PlanOptions};
use std::thread;

#[test]
fn workers_compute_what_attend_computes() {
    let cache = scene::cache(512);
    let prompt = scene::sealed(&cache, None, 100, 1);
    let sequences: Vec<_> = (0..5).map(|_| cache.attach(&prompt).unwrap()).collect();
    let mut batch = cache.batch(&PlanOptions::new()).unwrap();
    let rows = || sequences.iter().map(|sequence| (sequence, 2));
    let (q, k, v) = (q(10, 2), kv(10, 3), kv(10, 4));
    let mut expected = vec![0.0; q.len()];
    let mut step = batch.begin(rows()).unwrap();
    step.attend(0, &mut AttendArgs::new(&q, &mut expected).kv(&k, &v)).unwrap();
    step.abort().unwrap();

    for workers in [1, 4] {
        let mut out = vec![f32::NAN; q.len()];
        let mut args = AttendArgs::new(&q, &mut out).kv(&k, &v);
        let mut step = batch.begin(rows()).unwrap();
        let work = step.share(0, &mut args).unwrap();
        thread::scope(|scope| {
            for worker in 0..workers {
                let work = &work;
                scope.spawn(move || work.run(worker, workers).unwrap());
            }
        });
        step.abort().unwrap();
        assert!(out.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5));
    }
}

#[test]
fn a_worker_out_of_bounds_is_refused() {
    let cache = scene::cache(64);
    let (a, mut batch) = (cache.attach(None).unwrap(), cache.batch(&PlanOptions::new()).unwrap());
    let (q, k, mut out) = (q(1, 1), kv(1, 2), q(1, 3));
    let mut args = AttendArgs::new(&q, &mut out).kv(&k, &k);
    let mut step = batch.begin([(&a, 1)]).unwrap();
    let work = step.share(0, &mut args).unwrap();
    assert_eq!(work.run(2, 2).unwrap_err().code(), ErrorCode::Argument);
    work.run(1, 2).unwrap();
}
