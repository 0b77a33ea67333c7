//! Tokens that many requests share.

use crate::cache::Tensors;
use crate::error::{Result, check};
use crate::handle::{Handle, count, size};
use crate::queue::Queue;
use crate::view::{Tensor, View, ViewMut};
use relayattn_sys as sys;
use std::ops::Range;
use std::ptr::null;

/// How many tokens a prefix has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixLength {
    /// Of its own.
    pub own: usize,
    /// In its whole chain, parents included.
    pub total: usize,
}

#[derive(Debug)]
struct Inner {
    handle: Handle<sys::ra_prefix_s>,
    tensors: Tensors,
}

/// A prefix while it is being written. [`seal`](Self::seal) makes a [`Prefix`] of it.
///
/// ```
/// use relayattn::{Cache, CacheOptions, Context, Dtype, LayerOptions, Model};
/// # fn main() -> relayattn::Result<()> {
/// let model = Model::uniform(1, &LayerOptions::new(1, 1, 32).dtype(Dtype::F32))?;
/// let cache = Cache::new(&Context::cpu()?, &model, &CacheOptions::new(1024))?;
/// let mut open = cache.prefix(None, 100)?;
/// let (k, v) = (vec![0.0f32; 100 * 32], vec![0.0f32; 100 * 32]);
/// open.write(0, 0..100, &k, &v)?;
/// let prompt = open.seal()?;
/// let child = cache.prefix(&prompt, 20)?;
/// assert_eq!(child.length()?.total, 120);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct OpenPrefix(Inner);

/// A sealed prefix: it can be attached to, be a parent and be split, and never changes. It lives until
/// it is dropped and nothing hangs under it.
#[derive(Debug)]
pub struct Prefix(Inner);

impl Inner {
    fn length(&self) -> Result<PrefixLength> {
        let (mut own, mut total) = (0, 0);
        // SAFETY: the numbers are written to `own` and `total`.
        check(unsafe { sys::ra_prefix_length(self.handle.raw(), &mut own, &mut total) })?;
        Ok(PrefixLength { own: size(own), total: size(total) })
    }

    fn kv(k: &Tensor, v: &Tensor, tokens: &Range<usize>) -> sys::ra_kv {
        sys::ra_kv {
            struct_size: size_of::<sys::ra_kv>() as i64,
            k: k.raw,
            v: v.raw,
            slots: null(),
            num_tokens: count(tokens.len()),
        }
    }

    fn read(
        &self,
        layer: usize,
        tokens: Range<usize>,
        k: ViewMut<'_>,
        v: ViewMut<'_>,
        queue: Queue,
    ) -> Result<()> {
        if let Some(shape) = self.tensors.layer(layer) {
            k.0.check_mut("k", shape.k(tokens.len()), self.tensors.on_device)?;
            v.0.check_mut("v", shape.v(tokens.len()), self.tensors.on_device)?;
        }
        let kv = Self::kv(&k.0, &v.0, &tokens);
        // SAFETY: the buffers hold what is written, as was just checked or promised; a layer that is
        // not known here is not known to the library either.
        check(unsafe {
            let pos = count(tokens.start);
            sys::ra_prefix_read(self.handle.raw(), count(layer), pos, &kv, queue.raw())
        })
    }
}

macro_rules! common {
    ($prefix:ident) => {
        impl $prefix {
            /// How many tokens it has.
            ///
            /// # Errors
            ///
            /// The general ones only.
            pub fn length(&self) -> Result<PrefixLength> {
                self.0.length()
            }

            /// Copies K and V of its own tokens `tokens` of one layer out, bit for bit: `k` gets
            /// `[tokens, num_kv_heads, head_dim_k]` and `v` `[tokens, num_kv_heads, head_dim_v]`, of the
            /// layer's KV dtype.
            ///
            /// # Errors
            ///
            /// `NotRetained`: a window layer has not kept one of these tokens. `Argument`: no such layer,
            /// or it borrows its K and V; no such tokens; a buffer is too short.
            pub fn read<'a>(
                &self,
                layer: usize,
                tokens: Range<usize>,
                k: impl Into<ViewMut<'a>>,
                v: impl Into<ViewMut<'a>>,
            ) -> Result<()> {
                self.0.read(layer, tokens, k.into(), v.into(), Queue::default())
            }

            /// [`read`](Self::read), ordered on a GPU's queue.
            ///
            /// # Errors
            ///
            /// The same.
            pub fn read_on<'a>(
                &self,
                layer: usize,
                tokens: Range<usize>,
                k: impl Into<ViewMut<'a>>,
                v: impl Into<ViewMut<'a>>,
                queue: Queue,
            ) -> Result<()> {
                self.0.read(layer, tokens, k.into(), v.into(), queue)
            }

            /// The handle of the C API; it stays this prefix's.
            pub fn raw(&self) -> sys::ra_prefix {
                self.0.handle.raw()
            }
        }
    };
}

common!(OpenPrefix);
common!(Prefix);

impl OpenPrefix {
    pub(crate) fn new(handle: Handle<sys::ra_prefix_s>, tensors: Tensors) -> Self {
        Self(Inner { handle, tensors })
    }

    /// Copies K and V into its own tokens `tokens` (0 is its first, not that of its chain) of one
    /// layer: `k` is `[tokens, num_kv_heads, head_dim_k]` and `v` `[tokens, num_kv_heads, head_dim_v]`,
    /// of the layer's KV dtype. In any order and any cuts, and also again. Every layer with K and V of
    /// its own must be written before it is sealed; nothing checks that.
    ///
    /// # Errors
    ///
    /// `Argument`: no such layer, or it borrows its K and V; no such tokens; a slice is too short.
    pub fn write<'a>(
        &mut self,
        layer: usize,
        tokens: Range<usize>,
        k: impl Into<View<'a>>,
        v: impl Into<View<'a>>,
    ) -> Result<()> {
        self.write_on(layer, tokens, k, v, Queue::default())
    }

    /// [`write`](Self::write), ordered on a GPU's queue.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn write_on<'a>(
        &mut self,
        layer: usize,
        tokens: Range<usize>,
        k: impl Into<View<'a>>,
        v: impl Into<View<'a>>,
        queue: Queue,
    ) -> Result<()> {
        let (k, v) = (k.into(), v.into());
        if let Some(shape) = self.0.tensors.layer(layer) {
            k.0.check("k", shape.k(tokens.len()), self.0.tensors.on_device)?;
            v.0.check("v", shape.v(tokens.len()), self.0.tensors.on_device)?;
        }
        let kv = Inner::kv(&k.0, &v.0, &tokens);
        // SAFETY: the slices hold what is read, as was just checked or promised; a layer that is not
        // known here is not known to the library either.
        check(unsafe {
            let pos = count(tokens.start);
            sys::ra_prefix_write(self.raw(), count(layer), pos, &kv, queue.raw())
        })
    }

    /// Ends the writing.
    ///
    /// # Errors
    ///
    /// The general ones only.
    pub fn seal(self) -> Result<Prefix> {
        self.seal_on(Queue::default())
    }

    /// [`seal`](Self::seal), ordered on a GPU's queue. Work on other queues is ordered after it by the
    /// library.
    ///
    /// # Errors
    ///
    /// The general ones only.
    pub fn seal_on(self, queue: Queue) -> Result<Prefix> {
        // SAFETY: the queue was promised to be one.
        check(unsafe { sys::ra_prefix_seal(self.raw(), queue.raw()) })?;
        Ok(Prefix(self.0))
    }
}

impl Prefix {
    pub(crate) fn new(handle: Handle<sys::ra_prefix_s>, tensors: Tensors) -> Self {
        Self(Inner { handle, tensors })
    }

    /// Cuts it after `num_tokens` of its own tokens, without copying: the first part is returned as a
    /// prefix in its own right, and this one becomes its child with the rest. Children and sequences
    /// see the same tokens as before. So a request that shares only its beginning can attach to the head.
    ///
    /// # Errors
    ///
    /// `Argument`: `num_tokens` is not from 1 to its own length less 1. `NotRetained`: a window layer no
    /// longer has what a token at the cut would see.
    pub fn split(&self, num_tokens: usize) -> Result<Prefix> {
        // SAFETY: the handle is written to where `out` points.
        let handle = Handle::create(|out| unsafe {
            sys::ra_prefix_split(self.raw(), count(num_tokens), out)
        })?;
        Ok(Self::new(handle, self.0.tensors.clone()))
    }
}
