//! The feature `ndarray`.

use crate::scene::{self, DIM, HEADS, KV_HEADS};
use ndarray::{Array3, Array4, s};
use relayattn::{AttendArgs, ErrorCode, PlanOptions, View, ViewMut};

#[test]
fn arrays_are_passed_in_place_with_their_strides() {
    let cache = scene::cache(64);
    let mut batch = cache.batch(&PlanOptions::new()).unwrap();
    let tokens = 3;
    let (q, k, v) = (scene::q(tokens, 1), scene::kv(tokens, 2), scene::kv(tokens, 3));
    let mut dense = vec![0.0; q.len()];
    let sequence = cache.attach(None).unwrap();
    let mut step = batch.begin([(&sequence, tokens)]).unwrap();
    step.attend(0, &mut AttendArgs::new(&q, &mut dense).kv(&k, &v)).unwrap();
    step.abort().unwrap();

    // q is head-major, [heads, tokens, dim]; k and v lie side by side in one array.
    let q = Array3::from_shape_vec((tokens, HEADS, DIM), q).unwrap();
    let head_major = q.view().permuted_axes([1, 0, 2]).as_standard_layout().into_owned();
    let mut kv = Array4::<f32>::zeros((tokens, 2, KV_HEADS, DIM));
    kv.slice_mut(s![.., 0, .., ..]).iter_mut().zip(k).for_each(|(to, from)| *to = from);
    kv.slice_mut(s![.., 1, .., ..]).iter_mut().zip(v).for_each(|(to, from)| *to = from);
    let mut out = Array3::<f32>::zeros((HEADS, tokens, DIM));
    let q = View::try_from(head_major.view().permuted_axes([1, 0, 2])).unwrap();
    let k = View::try_from(kv.slice(s![.., 0, .., ..])).unwrap();
    let v = View::try_from(kv.slice(s![.., 1, .., ..])).unwrap();
    let to = ViewMut::try_from(out.view_mut().permuted_axes([1, 0, 2])).unwrap();
    let mut step = batch.begin([(&sequence, tokens)]).unwrap();
    step.attend(0, &mut AttendArgs::new(q, to).kv(k, v)).unwrap();
    step.abort().unwrap();
    let got = out.view().permuted_axes([1, 0, 2]).iter().copied().collect::<Vec<f32>>();
    assert_eq!(got, dense);
}

#[test]
fn strides_that_the_library_has_not_are_errors() {
    let array = Array3::<f32>::zeros((2, 2, 32));
    let backwards = View::try_from(array.slice(s![..;-1, .., ..]));
    assert_eq!(backwards.unwrap_err().code(), ErrorCode::Argument);
    let every_other = View::try_from(array.slice(s![.., .., ..;2]));
    assert!(every_other.unwrap_err().message().contains("strides"));
    let repeated = array.slice(s![..1, .., ..]);
    let repeated = repeated.broadcast((4, 2, 32)).unwrap();
    assert_eq!(View::try_from(repeated).unwrap_err().code(), ErrorCode::Argument);
}

#[test]
fn an_array_too_small_for_its_call_is_an_error() {
    let cache = scene::cache(64);
    let array = Array3::<f32>::zeros((1, KV_HEADS, DIM));
    let view = || View::try_from(array.view()).unwrap();
    let error = cache.prefix(None, 2).unwrap().write(0, 0..2, view(), view()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Argument);
}
