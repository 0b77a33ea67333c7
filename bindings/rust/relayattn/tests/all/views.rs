//! Slices with strides, and the checks that keep calls inside of them.

use crate::scene::{self, DIM, HEADS, KV_HEADS, kv, q};
use relayattn::{
    AttendArgs, Dtype, Error, ErrorCode, MergeArgs, PlanOptions, Step, StepOptions, View, ViewMut,
};

const TOKENS: usize = 3;

fn in_a_step<T>(call: impl FnOnce(&mut Step<'_>) -> T) -> T {
    let cache = scene::cache(64);
    let (a, mut batch) = (cache.attach(None).unwrap(), cache.batch(&PlanOptions::new()).unwrap());
    call(&mut batch.begin_with([(&a, TOKENS)], &StepOptions::new().padded_tokens(1)).unwrap())
}

fn assert_refused(result: relayattn::Result<()>, text: &str) {
    let error: Error = result.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Argument);
    assert!(error.message().contains(text), "{error}");
}

#[test]
fn parts_of_a_fused_tensor_are_passed_in_place() {
    let width = (HEADS + 2 * KV_HEADS) * DIM;
    let (q, k, v) = (q(TOKENS + 1, 1), kv(TOKENS, 2), kv(TOKENS, 3));
    let mut fused = vec![f32::NAN; (TOKENS + 1) * width];
    for token in 0..TOKENS {
        let row = &mut fused[token * width..][..width];
        row[..HEADS * DIM].copy_from_slice(&q[token * HEADS * DIM..][..HEADS * DIM]);
        let (k_row, v_row) = row[HEADS * DIM..].split_at_mut(KV_HEADS * DIM);
        k_row.copy_from_slice(&k[token * KV_HEADS * DIM..][..KV_HEADS * DIM]);
        v_row.copy_from_slice(&v[token * KV_HEADS * DIM..][..KV_HEADS * DIM]);
    }
    let mut dense = vec![0.0; q.len()];
    let (mut out, mut lse) = (vec![0.0; q.len()], vec![0.0; HEADS * (TOKENS + 1)]);
    in_a_step(|step| step.attend(0, &mut AttendArgs::new(&q, &mut dense).kv(&k, &v)).unwrap());
    let part = |from: usize| View::new(&fused[from * DIM..]).strides(width, DIM);
    // out and lse are head-major.
    let to = ViewMut::new(&mut out).strides(DIM, (TOKENS + 1) * DIM);
    let lse_to = ViewMut::new(&mut lse).strides(1, TOKENS + 1);
    let mut args = AttendArgs::new(part(0), to).kv(part(HEADS), part(HEADS + KV_HEADS)).lse(lse_to);
    in_a_step(|step| step.attend(0, &mut args).unwrap());
    for (head, rows) in out.chunks((TOKENS + 1) * DIM).enumerate() {
        for (token, row) in rows.chunks(DIM).enumerate() {
            assert_eq!(row, &dense[(token * HEADS + head) * DIM..][..DIM]);
        }
        assert!(lse[head * (TOKENS + 1)..][..TOKENS].iter().all(|lse| lse.is_finite()));
        assert_eq!(lse[head * (TOKENS + 1) + TOKENS], f32::NEG_INFINITY);
    }
}

#[test]
fn a_slice_too_short_is_refused() {
    let (q, k, mut out) = (q(TOKENS + 1, 1), kv(TOKENS, 2), q(TOKENS + 1, 3));
    let short = out.len() - 1;
    let mut lse = vec![0.0; HEADS * (TOKENS + 1) - 1];
    in_a_step(|step| {
        let mut args = AttendArgs::new(&q[1..], &mut out).kv(&k, &k);
        assert_refused(step.attend(0, &mut args), "q has 511 elements");
        let mut args = AttendArgs::new(&q, &mut out[..short]).kv(&k, &k);
        assert_refused(step.attend(0, &mut args), "out has 511 elements");
        let mut args = AttendArgs::new(&q, &mut out).kv(&k[1..], &k);
        assert_refused(step.attend(0, &mut args), "k has 191 elements");
        let mut args = AttendArgs::new(&q, &mut out).kv(&k, &k[1..]);
        assert_refused(step.attend(0, &mut args), "must hold [3, 2, 32]");
        let mut args = AttendArgs::new(&q, &mut out).kv(&k, &k).lse(&mut lse);
        assert_refused(step.attend(0, &mut args), "lse has 15 elements");
        let far = View::new(&k).strides(usize::MAX, 0);
        assert_refused(step.append(0, far, &k), "k has 192 elements");
        let far = View::new(&k).strides(KV_HEADS * DIM, usize::MAX / 2);
        assert_refused(step.append(0, &k, far), "v has 192 elements");
    });
}

#[test]
fn a_tensor_that_is_written_may_not_overlap_itself() {
    let (q, k, mut out) = (q(TOKENS + 1, 1), kv(TOKENS, 2), q(TOKENS + 1, 3));
    in_a_step(|step| {
        for (token, head) in [(DIM, DIM), (1, HEADS * DIM), (HEADS * DIM, 8), (DIM, 2 * DIM)] {
            let to = ViewMut::new(&mut out).strides(token, head);
            let mut args = AttendArgs::new(&q, to).kv(&k, &k);
            assert_refused(step.attend(0, &mut args), "elements overlap");
        }
    });
}

#[test]
fn another_element_type_is_refused() {
    let (bits, k, mut out) = (vec![0u16; 2048], kv(TOKENS, 2), q(TOKENS + 1, 3));
    let q = View::from_bits(&bits, Dtype::Bf16);
    in_a_step(|step| {
        let mut args = AttendArgs::new(q, &mut out).kv(&k, &k);
        assert_refused(step.attend(0, &mut args), "q has elements of type Bf16; it must have F32");
    });
}

#[test]
fn k_and_v_are_missed_by_the_library() {
    let (q, mut out) = (q(TOKENS + 1, 1), q(TOKENS + 1, 3));
    in_a_step(|step| {
        assert_refused(step.attend(0, &mut AttendArgs::new(&q, &mut out)), "k.data is null");
        assert_refused(step.attend(7, &mut AttendArgs::new(&q, &mut out)), "layer is 7");
    });
}

#[test]
fn a_prefix_is_read_as_it_was_written() {
    let cache = scene::cache(64);
    let mut open = cache.prefix(None, 20).unwrap();
    let (k, v) = (kv(20, 1), kv(20, 2));
    let width = KV_HEADS * DIM;
    open.write(0, 12..20, &k[12 * width..], &v[12 * width..]).unwrap();
    open.write(0, 0..12, &k[..12 * width], &v[..12 * width]).unwrap();
    assert_refused(open.write(0, 0..20, &k[1..], &v), "k has 1279 elements");
    assert_refused(open.write(0, 1..21, &k, &v), "ra_prefix_write");
    let prefix = open.seal().unwrap();
    let (mut k_out, mut v_out) = (vec![0.0; 5 * width], vec![0.0; 5 * width]);
    prefix.read(0, 10..15, &mut k_out, &mut v_out).unwrap();
    assert_eq!((&k_out[..], &v_out[..]), (&k[10 * width..15 * width], &v[10 * width..15 * width]));
    assert_refused(prefix.read(0, 0..6, &mut k_out, &mut v_out), "k has 320 elements");
}

#[test]
fn merged_parts_weigh_by_their_sums() {
    let context = scene::context();
    let (a, b) = ([1.0f32, 2.0], [3.0f32, 6.0]);
    let (a_lse, b_lse) = ([0.0f32, f32::NEG_INFINITY], [0.0f32, 5.0]);
    let (mut out, mut lse) = ([0.0f32; 2], [0.0f32; 2]);
    let mut args =
        MergeArgs::new([1, 2, 1], (&a[..], &a_lse[..]), (&b[..], &b_lse[..]), &mut out[..])
            .out_lse(&mut lse[..]);
    context.merge(&mut args).unwrap();
    assert_eq!(out, [2.0, 6.0]);
    assert!((lse[0] - 2f32.ln()).abs() < 1e-6 && lse[1] == 5.0);
    let mut args =
        MergeArgs::new([1, 3, 1], (&a[..], &a_lse[..]), (&b[..], &b_lse[..]), &mut out[..]);
    assert_refused(context.merge(&mut args), "a has 2 elements");
}

#[test]
fn pages_are_told_where_they_lie() {
    let cache = scene::cache(64);
    let memory = cache.layer(0).unwrap();
    assert_eq!((memory.layout.page_size, memory.layout.num_pages), (8, 8));
    assert!(!memory.k_pages.is_null() && !memory.v_pages.is_null());
    assert!(cache.layer(1).is_err());
}

/// Memory of the caller's for a cache and a batch.
#[test]
fn memory_may_be_brought_along() {
    let context = scene::context();
    let model = relayattn::Model::uniform(1, &scene::layer()).unwrap();
    let options = relayattn::CacheOptions::new(64);
    let mut pages = vec![0u8; options.memory_size(&context, &model).unwrap()];
    // SAFETY: the buffer is as long as is said, and is dropped after the cache, the sequence and the batch.
    let options = unsafe { options.memory(pages.as_mut_ptr().cast(), pages.len()) };
    let cache = relayattn::Cache::new(&context, &model, &options).unwrap();
    let plan = PlanOptions::new().max_rows(4).max_tokens(16);
    let need = cache.batch_memory(&plan).unwrap();
    let (mut scratch, mut metadata) = (vec![0u8; need.scratch], vec![0u8; need.metadata]);
    // SAFETY: as above.
    let plan = unsafe {
        plan.scratch(scratch.as_mut_ptr().cast(), need.scratch)
            .metadata(metadata.as_mut_ptr().cast(), need.metadata)
    };
    let (a, mut batch) = (cache.attach(None).unwrap(), cache.batch(&plan).unwrap());
    let (q, k, mut out) = (q(1, 1), kv(1, 2), q(1, 3));
    let mut step = batch.begin([(&a, 1)]).unwrap();
    step.attend(0, &mut AttendArgs::new(&q, &mut out).kv(&k, &k)).unwrap();
    step.commit().unwrap();
    assert_eq!(out[..DIM], k[..DIM]);
    drop((a, batch, cache));
    assert!(pages.iter().any(|byte| *byte != 0));
}
