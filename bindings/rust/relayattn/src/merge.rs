//! Joining parts of an attention that were computed elsewhere.

use crate::context::Context;
use crate::error::{Result, check};
use crate::handle::count;
use crate::model::Dtype;
use crate::queue::Queue;
use crate::view::{Shape, Tensor, View, ViewMut};
use relayattn_sys as sys;
use std::marker::PhantomData;
use std::ptr::null_mut;

/// Two parts of one attention over keys that do not overlap, for [`Context::merge`]:
///
/// ```text
/// out = (e^a_lse * a + e^b_lse * b) / (e^a_lse + e^b_lse),   out_lse = log(e^a_lse + e^b_lse)
/// ```
///
/// A part whose LSE is infinite is empty: its values are not read and may be NaN. If both are, out is 0
/// and its LSE -inf.
#[derive(Debug)]
pub struct MergeArgs<'a> {
    shape: [usize; 3],
    a: (Tensor, Tensor),
    b: (Tensor, Tensor),
    out: Tensor,
    out_lse: Tensor,
    lse_strides: [usize; 2],
    is_base2: bool,
    buffers: PhantomData<&'a mut [u8]>,
}

// SAFETY: its pointers are those of the views that it was made of, which may go to any thread.
unsafe impl Send for MergeArgs<'_> {}
// SAFETY: as above; nothing is written through a shared reference.
unsafe impl Sync for MergeArgs<'_> {}

impl<'a> MergeArgs<'a> {
    /// The two parts, each as its values `[num_tokens, num_heads, head_dim]`, of the same dtype, and its
    /// LSE `[num_tokens, num_heads]` of `f32`; and where the result goes, of any dtype.
    pub fn new(
        shape: [usize; 3],
        a: (impl Into<View<'a>>, impl Into<View<'a>>),
        b: (impl Into<View<'a>>, impl Into<View<'a>>),
        out: impl Into<ViewMut<'a>>,
    ) -> Self {
        Self {
            shape,
            a: (a.0.into().0, a.1.into().0),
            b: (b.0.into().0, b.1.into().0),
            out: out.into().0,
            out_lse: Tensor::NONE,
            lse_strides: [0; 2],
            is_base2: false,
            buffers: PhantomData,
        }
    }

    /// Where the joint LSE goes, `[num_tokens, num_heads]` of `f32`.
    pub fn out_lse(mut self, lse: impl Into<ViewMut<'a>>) -> Self {
        self.out_lse = lse.into().0;
        self
    }

    /// Strides of all LSEs, in floats; those of their views are not looked at. 0: dense.
    pub fn lse_strides(mut self, token_stride: usize, head_stride: usize) -> Self {
        self.lse_strides = [token_stride, head_stride];
        self
    }

    /// All LSEs are logarithms of base 2, as FlashInfer's are.
    pub fn base2(mut self) -> Self {
        self.is_base2 = true;
        self
    }

    fn check(&mut self, on_device: bool) -> Result<()> {
        let [rows, heads, dim] = self.shape;
        for lse in [&mut self.a.1, &mut self.b.1, &mut self.out_lse] {
            lse.set_strides(self.lse_strides[0], self.lse_strides[1]);
        }
        let values = |dtype| Shape { rows, heads, dim, dtype };
        let lse = Shape { rows, heads, dim: 1, dtype: Dtype::F32 };
        self.a.0.check("a", values(self.a.0.dtype), on_device)?;
        self.b.0.check("b", values(self.a.0.dtype), on_device)?;
        self.out.check_mut("out", values(self.out.dtype), on_device)?;
        self.a.1.check("a_lse", lse, on_device)?;
        self.b.1.check("b_lse", lse, on_device)?;
        if self.out_lse.is_given() {
            self.out_lse.check_mut("out_lse", lse, on_device)?;
        }
        Ok(())
    }

    fn raw(&self) -> sys::ra_merge_args {
        let [rows, heads, dim] = self.shape;
        let given = self.out_lse.is_given();
        sys::ra_merge_args {
            struct_size: size_of::<sys::ra_merge_args>() as i64,
            num_tokens: count(rows),
            num_heads: count(heads),
            head_dim: count(dim),
            in_dtype: self.a.0.dtype as i32,
            out_dtype: self.out.dtype as i32,
            lse_base2: self.is_base2.into(),
            reserved: 0,
            a: self.a.0.raw,
            b: self.b.0.raw,
            out: self.out.raw,
            a_lse: self.a.1.raw.data.cast(),
            b_lse: self.b.1.raw.data.cast(),
            out_lse: if given { self.out_lse.raw.data.cast() } else { null_mut() },
            lse_token_stride: count(self.lse_strides[0]),
            lse_head_stride: count(self.lse_strides[1]),
        }
    }
}

impl Context {
    /// Joins two parts of one attention, in float32. Merge more parts one after the other.
    ///
    /// # Errors
    ///
    /// `Argument`: a size, stride or dtype is out of bounds, or a slice too short. `Unsupported`: a
    /// reserved dtype.
    pub fn merge(&self, args: &mut MergeArgs<'_>) -> Result<()> {
        self.merge_on(args, Queue::default())
    }

    /// [`merge`](Self::merge), ordered on a GPU's queue.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn merge_on(&self, args: &mut MergeArgs<'_>, queue: Queue) -> Result<()> {
        args.check(self.on_device())?;
        // SAFETY: each buffer holds what is read or written, as was just checked or promised.
        check(unsafe { sys::ra_merge_state(self.raw(), &args.raw(), queue.raw()) })
    }
}
