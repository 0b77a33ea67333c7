//! How steps begin and end.

use crate::scene::{self, DIM, HEADS, kv, q};
use relayattn::{
    AttendArgs, Cache, ErrorCode, Kept, PlanFlags, PlanInfo, PlanOptions, Queue, Row, Span,
    StepOptions,
};

fn attend(step: &mut relayattn::Step<'_>, seed: u64) -> Vec<f32> {
    let (tokens, padded) = (step.tokens(), step.padded_tokens());
    let (q, k, v) = (q(tokens + padded, seed), kv(tokens, seed + 1), kv(tokens, seed + 2));
    let mut out = vec![f32::NAN; (tokens + padded) * HEADS * DIM];
    step.attend(0, &mut AttendArgs::new(&q, &mut out).kv(&k, &v)).unwrap();
    out
}

fn free(cache: &Cache) -> usize {
    cache.pages(0).unwrap().free
}

#[test]
fn a_dropped_step_is_aborted() {
    let cache = scene::cache(64);
    let (a, mut batch) = (cache.attach(None).unwrap(), cache.batch(&PlanOptions::new()).unwrap());
    let step = batch.begin([(&a, 9)]).unwrap();
    assert_eq!(free(&cache), 6);
    drop(step);
    assert_eq!((free(&cache), a.length().unwrap().tokens), (8, 0));
    assert!(batch.step().is_none());
}

#[test]
fn a_commit_that_fails_leaves_the_step_open_if_it_was_only_tried() {
    let cache = scene::cache(64);
    let (a, mut batch) = (cache.attach(None).unwrap(), cache.batch(&PlanOptions::new()).unwrap());
    let mut step = batch.begin([(&a, 4)]).unwrap();
    attend(&mut step, 1);
    let error = step.try_commit(Kept::First(&[5])).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Argument);
    step.commit_first(&[3]).unwrap();
    assert_eq!(a.length().unwrap().tokens, 3);
    let step = batch.begin([(&a, 4)]).unwrap();
    assert!(step.commit_first(&[5]).is_err());
    assert!(batch.step().is_none());
}

#[test]
fn an_ended_step_is_of_no_more_use() {
    let cache = scene::cache(64);
    let (a, mut batch) = (cache.attach(None).unwrap(), cache.batch(&PlanOptions::new()).unwrap());
    let mut step = batch.begin([(&a, 1)]).unwrap();
    step.try_commit(Kept::All).unwrap();
    assert_eq!(step.try_commit(Kept::All).unwrap_err().code(), ErrorCode::State);
    let error = step.append(0, &kv(1, 1), &kv(1, 2)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::State);
    step.abort().unwrap();
    assert_eq!(a.length().unwrap().tokens, 1);
}

#[test]
fn a_detached_step_can_be_had_again() {
    let cache = scene::cache(64);
    let (mut a, mut batch) =
        (cache.attach(None).unwrap(), cache.batch(&PlanOptions::new()).unwrap());
    let mut step = batch.begin([(&a, 2)]).unwrap();
    attend(&mut step, 1);
    step.detach();
    assert_eq!(a.truncate(0).unwrap_err().code(), ErrorCode::Busy);
    assert_eq!(batch.begin([(&a, 1)]).unwrap_err().code(), ErrorCode::State);
    assert_eq!(batch.begin_dummy(1, 1, 1, Queue::default()).unwrap_err().code(), ErrorCode::State);
    let mut step = batch.step().unwrap();
    attend(&mut step, 1);
    step.commit().unwrap();
    assert_eq!(a.length().unwrap().tokens, 2);
}

#[test]
fn padded_rows_become_zero() {
    let cache = scene::cache(64);
    let (a, mut batch) = (cache.attach(None).unwrap(), cache.batch(&PlanOptions::new()).unwrap());
    let options = StepOptions::new().padded_tokens(2);
    let mut step = batch.begin_with([Row::new(&a, 3)], &options).unwrap();
    let out = attend(&mut step, 1);
    assert!(out[3 * HEADS * DIM..].iter().all(|x| *x == 0.0));
    assert!(out[..3 * HEADS * DIM].iter().all(|x| *x != 0.0));
}

/// The mask is the batch's own copy: the caller's may go while a step is open.
#[test]
fn a_path_of_a_tree_is_kept_and_the_mask_is_copied() {
    let cache = scene::cache(64);
    let a = cache.attach(&scene::sealed(&cache, None, 8, 9)).unwrap();
    let mut batch = cache.batch(&PlanOptions::new().flags(PlanFlags::TREE)).unwrap();
    // Token 0 has two children, 1 and 2; 3 goes on from 2.
    let mask = vec![0b0001u8, 0b0011, 0b0101, 0b1101];
    let expected = {
        let mut step =
            batch.begin_with([(&a, 4)], &StepOptions::new().tree_mask(&mask, 1)).unwrap();
        attend(&mut step, 1)
    };
    batch.begin_with([(&a, 4)], &StepOptions::new().tree_mask(&mask, 1)).unwrap().detach();
    drop(mask);
    let other = [0xffu8; 4];
    let failed = batch.begin_with([(&a, 4)], &StepOptions::new().tree_mask(&other, 1));
    assert_eq!(failed.unwrap_err().code(), ErrorCode::State);
    let mut step = batch.step().unwrap();
    assert_eq!(attend(&mut step, 1), expected);
    step.commit_path(&[3], &[0, 2, 3]).unwrap();
    assert_eq!(a.length().unwrap().tokens, 11);
}

#[test]
fn a_mask_too_short_for_the_step_is_an_error() {
    let cache = scene::cache(64);
    let a = cache.attach(None).unwrap();
    let mut batch = cache.batch(&PlanOptions::new().flags(PlanFlags::TREE)).unwrap();
    let options = StepOptions::new().tree_mask(&[1, 3, 7], 1);
    let error = batch.begin_with([(&a, 4)], &options).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Argument);
    assert!(error.message().contains("tree_mask has 3 bytes"), "{error}");
}

#[test]
fn spans_and_flags_reach_the_library() {
    let cache = scene::cache(64);
    let (a, mut batch) = (cache.attach(None).unwrap(), cache.batch(&PlanOptions::new()).unwrap());
    let causal = attend(&mut batch.begin([(&a, 4)]).unwrap(), 1);
    let all = attend(&mut batch.begin([Row::new(&a, 4).non_causal()]).unwrap(), 1);
    let span = [Span { row: 0, begin: 0, end: 4 }];
    let spans = StepOptions::new().spans(&span);
    let spanned = attend(&mut batch.begin_with([(&a, 4)], &spans).unwrap(), 1);
    let row = HEADS * DIM;
    assert_ne!(causal[..row], all[..row]);
    assert_eq!(spanned, all);
    let absent = attend(&mut batch.begin([Row::new(&a, 4).new_absent()]).unwrap(), 1);
    assert!(absent.iter().all(|x| *x == 0.0)); // an empty sequence: nothing is seen
}

#[test]
fn pages_are_counted_before_they_are_taken() {
    let cache = scene::cache(64);
    let (a, b) = (cache.attach(None).unwrap(), cache.attach(None).unwrap());
    let mut batch = cache.batch(&PlanOptions::new()).unwrap();
    let options = StepOptions::new();
    batch.begin([(&a, 9)]).unwrap().detach();
    assert_eq!(batch.pages_needed([(&b, 17)], &options, 0).unwrap(), 3);
    batch.step().unwrap().commit().unwrap();
    assert_eq!(free(&cache), 6);
    assert_eq!(a.pages(0).unwrap().len(), 2);
}

#[test]
fn a_dummy_step_takes_no_page_and_has_a_plan() {
    let cache = scene::cache(256);
    let mut batch = cache.batch(&PlanOptions::new()).unwrap();
    let mut step = batch.begin_dummy(3, 2, 40, Queue::default()).unwrap();
    assert_eq!(step.tokens(), 6);
    attend(&mut step, 1);
    assert_eq!(step.query(0, PlanInfo::Launches).unwrap(), 1);
    step.commit().unwrap();
    assert_eq!(free(&cache), 32);
    assert!(batch.query(0, PlanInfo::Items).unwrap() > 0);
}
