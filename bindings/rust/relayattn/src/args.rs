//! The tensors of one layer of a step.

use crate::cache::Tensors;
use crate::error::Result;
use crate::model::Dtype;
use crate::view::{Shape, Tensor, View, ViewMut};
use relayattn_sys as sys;
use std::marker::PhantomData;
use std::ptr::null;

/// For [`Step::attend`](crate::Step::attend): the tensors of one layer, with T the step's new tokens and
/// P its padded ones. May be used for any number of calls; making one costs nothing but its stack.
#[derive(Debug)]
pub struct AttendArgs<'a> {
    raw: sys::ra_attend_args,
    q: Tensor,
    out: Tensor,
    k: Tensor,
    v: Tensor,
    lse: Tensor,
    sink_logits: Tensor,
    alibi_slopes: Tensor,
    buffers: PhantomData<&'a mut [u8]>,
}

impl<'a> AttendArgs<'a> {
    /// The queries, `[T + P, num_q_heads, head_dim_k]` of the layer's q dtype, of which the last P rows
    /// are not read; and where the result goes, `[T + P, num_q_heads, head_dim_v]` of its out dtype, of
    /// which the last P rows become 0.
    pub fn new(q: impl Into<View<'a>>, out: impl Into<ViewMut<'a>>) -> Self {
        Self::of(q.into().0, out.into().0)
    }

    /// K and V only, to append them: see [`Step::append`](crate::Step::append).
    pub(crate) fn append(k: View<'a>, v: View<'a>) -> Self {
        Self::of(Tensor::NONE, Tensor::NONE).kv(k, v)
    }

    fn of(q: Tensor, out: Tensor) -> Self {
        let none = Tensor::NONE;
        let raw = sys::ra_attend_args {
            struct_size: size_of::<sys::ra_attend_args>() as i64,
            q: q.raw,
            out: out.raw,
            k: none.raw,
            v: none.raw,
            slots: null(),
            lse: null::<f32>().cast_mut(),
            lse_token_stride: 0,
            lse_head_stride: 0,
            sink_logits: null(),
            alibi_slopes: null(),
            q_scale: null(),
            out_scale: null(),
            softmax_scale: 0.0,
            logit_softcap: 0.0,
        };
        let buffers = PhantomData;
        let (k, v, lse, sink_logits, alibi_slopes) = (none, none, none, none, none);
        Self { raw, q, out, k, v, lse, sink_logits, alibi_slopes, buffers }
    }

    /// K and V of the new tokens, `[T, num_kv_heads, head_dim_k]` and `[T, num_kv_heads, head_dim_v]` of
    /// the layer's KV dtype. They must be given, but for a layer that borrows its K and V.
    pub fn kv(mut self, k: impl Into<View<'a>>, v: impl Into<View<'a>>) -> Self {
        (self.k, self.v) = (k.into().0, v.into().0);
        (self.raw.k, self.raw.v) = (self.k.raw, self.v.raw);
        self
    }

    /// Where the log-sum-exps go, `[T + P, num_q_heads]` of `f32`, with strides if wanted. Natural
    /// logarithms; -inf for rows that see no key, and for padded ones.
    pub fn lse(mut self, lse: impl Into<ViewMut<'a>>) -> Self {
        self.lse = lse.into().0;
        self.raw.lse = self.lse.raw.data.cast();
        self
    }

    /// One logit for each query head, that takes weight from the keys: `[num_q_heads]` of `f32`. For
    /// layers with [`uses_sinks`](crate::LayerOptions::uses_sinks), and only for them.
    pub fn sink_logits(mut self, logits: impl Into<View<'a>>) -> Self {
        self.sink_logits = logits.into().0;
        self.raw.sink_logits = self.sink_logits.raw.data.cast();
        self
    }

    /// One slope for each query head: `[num_q_heads]` of `f32`. For layers with
    /// [`uses_alibi`](crate::LayerOptions::uses_alibi), and only for them.
    pub fn alibi_slopes(mut self, slopes: impl Into<View<'a>>) -> Self {
        self.alibi_slopes = slopes.into().0;
        self.raw.alibi_slopes = self.alibi_slopes.raw.data.cast();
        self
    }

    /// The factor of q . k in this call; 0 is the layer's.
    pub fn softmax_scale(mut self, scale: f32) -> Self {
        self.raw.softmax_scale = scale;
        self
    }

    /// The cap of the scores in this call; 0 is the layer's.
    pub fn logit_softcap(mut self, cap: f32) -> Self {
        self.raw.logit_softcap = cap;
        self
    }

    /// The struct of the C API for a layer and a number of rows, after all slices have been found long
    /// enough. A layer that is not known here is not known to the library either, which says so.
    #[inline]
    pub(crate) fn prepare(
        &mut self,
        tensors: &Tensors,
        layer: usize,
        tokens: usize,
        padded: usize,
    ) -> Result<&sys::ra_attend_args> {
        let Some(layer) = tensors.layer(layer) else { return Ok(&self.raw) };
        let (rows, on_device) = (tokens + padded, tensors.on_device);
        if self.q.is_given() {
            self.q.check("q", layer.q(rows), on_device)?;
            self.out.check_mut("out", layer.out(rows), on_device)?;
        }
        if self.k.is_given() {
            self.k.check("k", layer.k(tokens), on_device)?;
            self.v.check("v", layer.v(tokens), on_device)?;
        }
        let heads = layer.num_q_heads;
        let floats = |rows, heads| Shape { rows, heads, dim: 1, dtype: Dtype::F32 };
        if self.lse.is_given() {
            self.lse.check_mut("lse", floats(rows, heads), on_device)?;
            (self.raw.lse_token_stride, self.raw.lse_head_stride) = self.lse.float_strides(heads);
        }
        if self.sink_logits.is_given() {
            self.sink_logits.check("sink_logits", floats(1, heads), on_device)?;
        }
        if self.alibi_slopes.is_given() {
            self.alibi_slopes.check("alibi_slopes", floats(1, heads), on_device)?;
        }
        Ok(&self.raw)
    }
}

// SAFETY: its pointers are those of the views that it was made of, which may go to any thread.
unsafe impl Send for AttendArgs<'_> {}
// SAFETY: as above; nothing is written through a shared reference.
unsafe impl Sync for AttendArgs<'_> {}
