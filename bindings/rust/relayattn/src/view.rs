//! Tensors as slices with strides.

use crate::error::{Error, Result};
use crate::handle::count;
use crate::model::Dtype;
use relayattn_sys as sys;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::null_mut;

mod sealed {
    pub trait Sealed {}
}

/// A type that tensors may have as elements: `f32`, and with the feature `half` its `f16` and `bf16`.
/// Without it, 16-bit tensors are slices of their bits: [`View::from_bits`].
pub trait Element: sealed::Sealed + Copy {
    /// The element type in the library's terms.
    const DTYPE: Dtype;
}

macro_rules! elements {
    ($($type:ty => $dtype:ident),*) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: Dtype = Dtype::$dtype;
        }
    )*};
}

elements!(f32 => F32);
#[cfg(feature = "half")]
elements!(half::f16 => F16, half::bf16 => Bf16);

/// What [`View`] and [`ViewMut`] are: a place, two strides in bytes, and how far it reaches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tensor {
    pub(crate) raw: sys::ra_view,
    pub(crate) dtype: Dtype,
    /// Bytes that may be read from `raw.data` on; none is known of memory on a device.
    bytes: Option<usize>,
}

/// The shape that a call gives to a tensor: `[rows, heads, dim]`.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) heads: usize,
    pub(crate) dim: usize,
    pub(crate) dtype: Dtype,
}

impl Tensor {
    pub(crate) const NONE: Self = Self::new(null_mut(), Some(0), Dtype::F32);

    const fn new(data: *mut c_void, bytes: Option<usize>, dtype: Dtype) -> Self {
        Self { raw: sys::ra_view { data, token_stride: 0, head_stride: 0 }, dtype, bytes }
    }

    #[inline]
    pub(crate) fn is_given(&self) -> bool {
        !self.raw.data.is_null()
    }

    pub(crate) fn set_strides(&mut self, token_stride: usize, head_stride: usize) {
        let bytes = |stride: usize| {
            i64::try_from(stride.saturating_mul(self.dtype.size())).unwrap_or(i64::MAX)
        };
        self.raw.token_stride = bytes(token_stride);
        self.raw.head_stride = bytes(head_stride);
    }

    /// Strides in bytes, as the C API takes 0 in them.
    #[inline]
    fn strides(&self, shape: &Shape) -> (usize, usize) {
        let size = self.dtype.size();
        let or = |stride: i64, dense: usize| if stride == 0 { dense } else { stride as usize };
        (
            or(self.raw.token_stride, shape.heads.saturating_mul(shape.dim) * size),
            or(self.raw.head_stride, shape.dim * size),
        )
    }

    /// Strides in floats of log-sum-exps, `[rows, heads]`, as the C API takes them.
    #[inline]
    pub(crate) fn float_strides(&self, heads: usize) -> (i64, i64) {
        let (token, head) = (self.raw.token_stride / 4, self.raw.head_stride / 4);
        (if token == 0 { count(heads) } else { token }, head.max(1))
    }

    /// Whether a call may use this as a tensor of that shape without leaving the slice.
    #[inline]
    pub(crate) fn check(&self, name: &str, shape: Shape, on_device: bool) -> Result<()> {
        if self.dtype != shape.dtype {
            return Err(Error::argument(format!(
                "{name} has elements of type {:?}; it must have {:?}",
                self.dtype, shape.dtype
            )));
        }
        let Some(bytes) = self.bytes else { return Ok(()) };
        if on_device {
            return Err(Error::argument(format!(
                "{name} is a slice of host memory; a GPU context needs View::from_device"
            )));
        }
        if shape.rows == 0 || shape.heads == 0 || shape.dim == 0 {
            return Ok(());
        }
        let (token, head) = self.strides(&shape);
        let reach = (shape.rows - 1).checked_mul(token).and_then(|a| {
            let b = (shape.heads - 1).checked_mul(head)?;
            a.checked_add(b)?.checked_add(shape.dim.checked_mul(self.dtype.size())?)
        });
        if reach.is_some_and(|reach| reach <= bytes) {
            return Ok(());
        }
        Err(self.too_short(name, shape, bytes))
    }

    #[cold]
    fn too_short(&self, name: &str, shape: Shape, bytes: usize) -> Error {
        Error::argument(format!(
            "{name} has {} elements; with its strides it must hold [{}, {}, {}]",
            bytes / self.dtype.size(),
            shape.rows,
            shape.heads,
            shape.dim
        ))
    }

    /// As `check`, for a tensor that is written: two of its elements may not be one.
    #[inline]
    pub(crate) fn check_mut(&self, name: &str, shape: Shape, on_device: bool) -> Result<()> {
        self.check(name, shape, on_device)?;
        if self.raw.token_stride == 0 && self.raw.head_stride == 0 {
            return Ok(());
        }
        let (token, head) = self.strides(&shape);
        let width = shape.dim.saturating_mul(self.dtype.size());
        let reaches = |count: usize, stride: usize| {
            count.saturating_sub(1).saturating_mul(stride).saturating_add(width)
        };
        let heads_apart = shape.heads < 2 || head >= width;
        let rows_apart = shape.rows < 2 || token >= width;
        let nested = shape.rows < 2
            || shape.heads < 2
            || token >= reaches(shape.heads, head)
            || head >= reaches(shape.rows, token);
        if heads_apart && rows_apart && nested {
            return Ok(());
        }
        Err(Error::argument(format!(
            "{name} has strides of {token} and {head} bytes, by which elements overlap; it is written"
        )))
    }
}

macro_rules! common {
    ($view:ident) => {
        impl $view<'_> {
            /// Sets the strides in elements: from a token to the next, and from a head to the next.
            /// 0 means dense, and is where a view starts: `dim` for heads, `heads * dim` for tokens.
            /// The elements of a head always lie side by side. So every common layout, and a part of a
            /// fused tensor, is passed in place.
            pub fn strides(mut self, token_stride: usize, head_stride: usize) -> Self {
                self.0.set_strides(token_stride, head_stride);
                self
            }

            /// A view of memory that the context's device reads: of that GPU, or mapped for it. Its
            /// length is not known here, so it is not checked.
            ///
            /// # Safety
            ///
            /// `data` points to that device's memory, or for a CPU context to host memory, with as many
            /// elements as the call that gets the view says, and they stay valid, and free of other
            /// writers, until the work that uses them is done on its queue.
            pub unsafe fn from_device(data: *mut c_void, dtype: Dtype) -> Self {
                Self(Tensor::new(data, None, dtype), PhantomData)
            }
        }

        // SAFETY: it is a slice with strides, and slices of plain numbers may go to any thread.
        unsafe impl Send for $view<'_> {}
        // SAFETY: as above; nothing is written through a shared reference.
        unsafe impl Sync for $view<'_> {}
    };
}

/// A tensor `[tokens, heads, dim]` that is read. The call that gets it gives it its shape, and fails if
/// the slice is shorter than that.
#[derive(Clone, Copy, Debug)]
pub struct View<'a>(pub(crate) Tensor, PhantomData<&'a [u8]>);

/// A tensor `[tokens, heads, dim]` that is written. As [`View`], and its elements may not overlap.
#[derive(Debug)]
pub struct ViewMut<'a>(pub(crate) Tensor, PhantomData<&'a mut [u8]>);

common!(View);
common!(ViewMut);

impl<'a> View<'a> {
    /// The tensor that begins with the slice's first element, dense.
    pub fn new<T: Element>(data: &'a [T]) -> Self {
        Self(Tensor::new(data.as_ptr() as *mut _, Some(size_of_val(data)), T::DTYPE), PhantomData)
    }

    /// The same from the bits of 16-bit numbers.
    ///
    /// # Panics
    ///
    /// If `dtype` has not 16 bits.
    pub fn from_bits(data: &'a [u16], dtype: Dtype) -> Self {
        assert_eq!(dtype.size(), 2, "{dtype:?} has not 16 bits");
        Self(Tensor::new(data.as_ptr() as *mut _, Some(size_of_val(data)), dtype), PhantomData)
    }
}

impl<'a> ViewMut<'a> {
    /// The tensor that begins with the slice's first element, dense.
    pub fn new<T: Element>(data: &'a mut [T]) -> Self {
        let bytes = size_of_val(data);
        Self(Tensor::new(data.as_mut_ptr().cast(), Some(bytes), T::DTYPE), PhantomData)
    }

    /// The same from the bits of 16-bit numbers.
    ///
    /// # Panics
    ///
    /// If `dtype` has not 16 bits.
    pub fn from_bits(data: &'a mut [u16], dtype: Dtype) -> Self {
        assert_eq!(dtype.size(), 2, "{dtype:?} has not 16 bits");
        let bytes = size_of_val(data);
        Self(Tensor::new(data.as_mut_ptr().cast(), Some(bytes), dtype), PhantomData)
    }
}

impl<'a, T: Element> From<&'a [T]> for View<'a> {
    fn from(data: &'a [T]) -> Self {
        Self::new(data)
    }
}

impl<'a, T: Element> From<&'a Vec<T>> for View<'a> {
    fn from(data: &'a Vec<T>) -> Self {
        Self::new(data)
    }
}

impl<'a, T: Element> From<&'a mut [T]> for ViewMut<'a> {
    fn from(data: &'a mut [T]) -> Self {
        Self::new(data)
    }
}

impl<'a, T: Element> From<&'a mut Vec<T>> for ViewMut<'a> {
    fn from(data: &'a mut Vec<T>) -> Self {
        Self::new(data)
    }
}

#[cfg(feature = "ndarray")]
mod of_ndarray {
    use super::*;
    use ndarray::{ArrayView3, ArrayViewMut3};

    /// The strides of `[tokens, heads, dim]`, if the library has such: positive, dim dense.
    fn strides(shape: &[usize], strides: &[isize]) -> Result<(usize, usize)> {
        // An axis of length 1 or 0 may have any stride, as none is ever taken along it.
        let positive = |axis: usize| match usize::try_from(strides[axis]) {
            _ if shape[axis] < 2 => Some(0),
            Ok(stride) if stride > 0 => Some(stride),
            _ => None,
        };
        let dense = shape[2] < 2 || strides[2] == 1;
        match (positive(0), positive(1)) {
            (Some(token), Some(head)) if dense => Ok((token, head)),
            _ => Err(Error::argument(format!(
                "the array has strides {strides:?}; those of tokens and heads must be positive, and \
                 the last must be 1"
            ))),
        }
    }

    impl<'a, T: Element> TryFrom<ArrayView3<'a, T>> for View<'a> {
        type Error = Error;

        /// Fails if a stride is not positive, or the last axis not dense. The array's shape is not
        /// kept: the call that gets the view gives it one.
        fn try_from(array: ArrayView3<'a, T>) -> Result<Self> {
            let (token, head) = strides(array.shape(), array.strides())?;
            let bytes = reach(array.shape(), array.strides()) * size_of::<T>();
            let data = Tensor::new(array.as_ptr() as *mut _, Some(bytes), T::DTYPE);
            Ok(Self(data, PhantomData).strides(token, head))
        }
    }

    impl<'a, T: Element> TryFrom<ArrayViewMut3<'a, T>> for ViewMut<'a> {
        type Error = Error;

        /// As for [`View`].
        fn try_from(mut array: ArrayViewMut3<'a, T>) -> Result<Self> {
            let (token, head) = strides(array.shape(), array.strides())?;
            let bytes = reach(array.shape(), array.strides()) * size_of::<T>();
            let data = Tensor::new(array.as_mut_ptr().cast(), Some(bytes), T::DTYPE);
            Ok(Self(data, PhantomData).strides(token, head))
        }
    }

    /// Elements from the first to the last, both included.
    fn reach(shape: &[usize], strides: &[isize]) -> usize {
        if shape.contains(&0) {
            return 0;
        }
        let last = |(length, stride): (&usize, &isize)| (length - 1) * stride.unsigned_abs();
        shape.iter().zip(strides).map(last).sum::<usize>() + 1
    }
}
