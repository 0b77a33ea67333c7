//! Misuse that types cannot rule out, by raw handles or by timing, is an error and never a crash.

use crate::scene;
use relayattn::{AttendArgs, ErrorCode, PlanOptions, sys};
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn a_handle_may_be_released_twice_and_is_then_refused() {
    let cache = scene::cache(64);
    let (prefix, sequence) = (scene::sealed(&cache, None, 8, 1), cache.attach(None).unwrap());
    let batch = cache.batch(&PlanOptions::new()).unwrap();
    let (mut one, mut two) = (0, 0);
    // SAFETY: raw handles are looked up; the numbers are written to `one` and `two`.
    unsafe {
        for _ in 0..3 {
            sys::ra_sequence_release(sequence.raw());
            sys::ra_prefix_release(prefix.raw());
            sys::ra_batch_release(batch.raw());
            sys::ra_cache_release(cache.raw());
        }
        let answers = [
            sys::ra_sequence_length(sequence.raw(), &mut one, &mut two),
            sys::ra_prefix_length(prefix.raw(), &mut one, &mut two),
            sys::ra_batch_query(batch.raw(), 0, 1, &mut one),
            sys::ra_cache_pages(cache.raw(), 0, &mut one, &mut two),
            sys::ra_sequence_fork(null_mut(), &mut null_mut()),
            sys::ra_sequence_fork(cache.raw().cast(), &mut null_mut()),
            sys::ra_sequence_fork(usize::MAX as sys::ra_sequence, &mut null_mut()),
        ];
        assert_eq!(answers, [sys::RA_ERROR_HANDLE; 7]);
    }
    // The safe types hold stale handles now: they report it, and drop without harm.
    assert_eq!(sequence.length().unwrap_err().code(), ErrorCode::Handle);
    assert_eq!(cache.attach(None).unwrap_err().code(), ErrorCode::Handle);
}

#[test]
fn objects_may_be_dropped_in_any_order() {
    let cache = scene::cache(64);
    let prefix = scene::sealed(&cache, None, 8, 1);
    let sequence = cache.attach(&prefix).unwrap();
    let mut batch = cache.batch(&PlanOptions::new()).unwrap();
    drop((cache, prefix));
    let (q, k, mut out) = (scene::q(1, 1), scene::kv(1, 2), scene::q(1, 3));
    let mut step = batch.begin([(&sequence, 1)]).unwrap();
    step.attend(0, &mut AttendArgs::new(&q, &mut out).kv(&k, &k)).unwrap();
    step.commit().unwrap();
    assert_eq!(sequence.length().unwrap().tokens, 9);
}

/// The handle is given up, by C or by a careless hand, while another thread is inside a call with it.
#[test]
fn a_release_during_a_call_on_another_thread_is_safe() {
    for _ in 0..20 {
        let cache = scene::cache(256);
        let sequence = cache.attach(&scene::sealed(&cache, None, 64, 1)).unwrap();
        let mut batch = cache.batch(&PlanOptions::new()).unwrap();
        let (raw, started) = (batch.raw() as usize, AtomicBool::new(false));
        let (q, k, mut out) = (scene::q(8, 1), scene::kv(8, 2), scene::q(8, 3));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !started.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                // SAFETY: handles are looked up; the batch's drop releases a stale one.
                unsafe { sys::ra_batch_release(raw as sys::ra_batch) };
            });
            let mut step = batch.begin([(&sequence, 8)]).unwrap();
            let mut args = AttendArgs::new(&q, &mut out).kv(&k, &k);
            started.store(true, Ordering::Release);
            let error = loop {
                if let Err(error) = step.attend(0, &mut args) {
                    break error;
                }
            };
            assert_eq!(error.code(), ErrorCode::Handle);
        });
    }
}

#[test]
fn objects_may_be_dropped_while_other_threads_use_what_they_made() {
    for _ in 0..20 {
        let cache = Arc::new(scene::cache(512));
        let threads: Vec<_> = (0..4)
            .map(|seed| {
                let cache = cache.clone();
                thread::spawn(move || {
                    let sequence = cache.attach(&scene::sealed(&cache, None, 16, seed)).unwrap();
                    let mut batch = cache.batch(&PlanOptions::new()).unwrap();
                    drop(cache); // the last of these ends the handle, in the midst of the others' calls
                    let (q, k, mut out) = (scene::q(1, 1), scene::kv(1, 2), scene::q(1, 3));
                    for _ in 0..20 {
                        let mut step = batch.begin([(&sequence, 1)]).unwrap();
                        step.attend(0, &mut AttendArgs::new(&q, &mut out).kv(&k, &k)).unwrap();
                        step.commit().unwrap();
                    }
                    sequence.length().unwrap().tokens
                })
            })
            .collect();
        drop(cache);
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 36);
        }
    }
}

#[test]
fn types_are_send_and_sync() {
    fn both<T: Send + Sync>() {}
    both::<relayattn::Context>();
    both::<relayattn::Model>();
    both::<relayattn::Cache>();
    both::<relayattn::OpenPrefix>();
    both::<relayattn::Prefix>();
    both::<relayattn::Sequence>();
    both::<relayattn::Batch>();
    both::<relayattn::Step<'_>>();
    both::<relayattn::SharedLayer<'_>>();
    both::<AttendArgs<'_>>();
    both::<relayattn::Error>();
}
