//! Pages of K and V.

use crate::batch::Batch;
use crate::context::Context;
use crate::error::{Result, check};
use crate::handle::{Handle, count, size};
use crate::model::{Layer, Model};
use crate::plan::{PlanMemory, PlanOptions};
use crate::prefix::{OpenPrefix, Prefix};
use crate::sequence::Sequence;
use relayattn_sys as sys;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;

/// How large a cache is.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    raw: sys::ra_cache_options,
}

impl CacheOptions {
    /// Room for so many tokens, 1 to 2^31 - 1, in every layer group without a window, rounded up to
    /// whole pages. A shared token counts once; the unused rest of each run's last page counts too.
    pub fn new(capacity_tokens: usize) -> Self {
        Self {
            raw: sys::ra_cache_options {
                struct_size: size_of::<sys::ra_cache_options>() as i64,
                page_size: 0,
                capacity_tokens: count(capacity_tokens),
                max_sequences: 0,
                memory: null_mut(),
                memory_size: 0,
            },
        }
    }

    /// Token slots of a page, 1 to 65536; 0, the default: the device's best.
    pub fn page_size(mut self, tokens: usize) -> Self {
        self.raw.page_size = count(tokens);
        self
    }

    /// How many sequences will exist at once: a promise that lets window groups be smaller than the
    /// others. It is not enforced; more sequences just find fewer pages.
    pub fn max_sequences(mut self, sequences: usize) -> Self {
        self.raw.max_sequences = count(sequences);
        self
    }

    /// Device memory for the pages, as much as [`memory_size`](Self::memory_size) says.
    ///
    /// # Safety
    ///
    /// `memory` has `bytes` bytes of the device's memory, which stay valid until the cache and all that
    /// was made with it is dropped, and which nothing else writes meanwhile.
    pub unsafe fn memory(mut self, memory: *mut c_void, bytes: usize) -> Self {
        (self.raw.memory, self.raw.memory_size) = (memory, count(bytes));
        self
    }

    /// Bytes of device memory that a cache with these options takes for its pages.
    ///
    /// # Errors
    ///
    /// As [`Cache::new`], without those about memory.
    pub fn memory_size(&self, context: &Context, model: &Model) -> Result<usize> {
        let mut bytes = 0;
        // SAFETY: the options are a whole struct; the number is written to `bytes`.
        check(unsafe { sys::ra_cache_memory(context.raw(), model.raw(), &self.raw, &mut bytes) })?;
        Ok(size(bytes))
    }
}

/// Pages of a layer group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    /// All of them.
    pub total: usize,
    /// Those that no prefix, sequence or open step holds.
    pub free: usize,
}

/// How the pages of one layer lie in memory. Strides are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLayout {
    /// Token slots of a page.
    pub page_size: usize,
    /// Pages of this layer's group.
    pub num_pages: usize,
    /// The order inside a page is the device's own; strides of tokens and heads are then 0.
    pub packed: bool,
    /// From page n to page n + 1 of K.
    pub k_page_stride: usize,
    /// From a slot to the next of K.
    pub k_token_stride: usize,
    /// From a head to the next of K.
    pub k_head_stride: usize,
    /// From page n to page n + 1 of V.
    pub v_page_stride: usize,
    /// From a slot to the next of V.
    pub v_token_stride: usize,
    /// From a head to the next of V.
    pub v_head_stride: usize,
}

/// Where and how the pages of one layer lie, from [`Cache::layer`].
#[derive(Clone, Copy, Debug)]
pub struct LayerMemory {
    /// How.
    pub layout: PageLayout,
    /// Page 0 of K: device memory, the cache's own.
    pub k_pages: *mut c_void,
    /// Page 0 of V.
    pub v_pages: *mut c_void,
}

/// What every object of a cache knows of its tensors.
#[derive(Clone, Debug)]
pub(crate) struct Tensors {
    pub(crate) layers: Arc<[Option<Layer>]>,
    pub(crate) on_device: bool,
}

impl Tensors {
    /// None for a layer that is not there, which the library then says.
    #[inline]
    pub(crate) fn layer(&self, layer: usize) -> Option<&Layer> {
        self.layers.get(layer)?.as_ref()
    }
}

/// Pages of K and V for every layer of a model, all allocated when it is made. Nothing is ever evicted
/// behind the caller's back.
#[derive(Debug)]
pub struct Cache {
    handle: Handle<sys::ra_cache_s>,
    tensors: Tensors,
}

impl Cache {
    /// A cache for a copy of the model as it is now. What its pages hold at first is unspecified.
    ///
    /// # Errors
    ///
    /// `Argument`: an option is out of bounds. `State`: no layer of the model is set. `Unsupported`: the
    /// device cannot serve a layer. `Memory`: the pages cannot be allocated.
    pub fn new(context: &Context, model: &Model, options: &CacheOptions) -> Result<Self> {
        // SAFETY: the options are a whole struct; memory in it was promised to be valid.
        let handle = Handle::create(|out| unsafe {
            sys::ra_cache_create(context.raw(), model.raw(), &options.raw, out)
        })?;
        let tensors = Tensors { layers: model.layers(), on_device: context.on_device() };
        Ok(Self { handle, tensors })
    }

    /// How many pages a layer group has, and how many are free now. With
    /// [`Batch::pages_needed`] this decides whether a request can be admitted.
    ///
    /// # Errors
    ///
    /// `Argument`: no such group.
    pub fn pages(&self, group: usize) -> Result<Pages> {
        let (mut total, mut free) = (0, 0);
        // SAFETY: the numbers are written to `total` and `free`.
        check(unsafe { sys::ra_cache_pages(self.raw(), count(group), &mut total, &mut free) })?;
        Ok(Pages { total: size(total), free: size(free) })
    }

    /// Where and how the pages of a layer lie, for registering them with a transfer engine or moving
    /// whole pages. The memory stays where it is while the cache or anything in it lives.
    ///
    /// # Errors
    ///
    /// `Argument`: no such layer, or it was never set.
    pub fn layer(&self, layer: usize) -> Result<LayerMemory> {
        // SAFETY: zeros are valid for both structs, which hold numbers and pointers.
        let (mut layout, mut memory): (sys::ra_page_layout, sys::ra_layer_memory) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        layout.struct_size = size_of_val(&layout) as i64;
        memory.struct_size = size_of_val(&memory) as i64;
        // SAFETY: both are whole structs of the sizes that they state.
        check(unsafe { sys::ra_cache_layer(self.raw(), count(layer), &mut layout, &mut memory) })?;
        let layout = PageLayout {
            page_size: size(layout.page_size),
            num_pages: size(layout.num_pages),
            packed: layout.packed != 0,
            k_page_stride: size(layout.k_page_stride),
            k_token_stride: size(layout.k_token_stride),
            k_head_stride: size(layout.k_head_stride),
            v_page_stride: size(layout.v_page_stride),
            v_token_stride: size(layout.v_token_stride),
            v_head_stride: size(layout.v_head_stride),
        };
        Ok(LayerMemory { layout, k_pages: memory.k_pages, v_pages: memory.v_pages })
    }

    /// An open prefix of `num_tokens` tokens, at least 1, under a parent of this cache or `None`. Takes
    /// its pages at once.
    ///
    /// # Errors
    ///
    /// `Argument`: `num_tokens` is 0 or the chain would pass 2^31 - 1 tokens, or the parent is of
    /// another cache. `Pages`: too few are free; none is taken.
    pub fn prefix<'p>(
        &self,
        parent: impl Into<Option<&'p Prefix>>,
        num_tokens: usize,
    ) -> Result<OpenPrefix> {
        let parent = parent.into().map_or(null_mut(), Prefix::raw);
        // SAFETY: the handle is written to where `out` points.
        let handle = Handle::create(|out| unsafe {
            sys::ra_prefix_create(self.raw(), parent, count(num_tokens), out)
        })?;
        Ok(OpenPrefix::new(handle, self.tensors.clone()))
    }

    /// A sequence that begins with all tokens of a prefix of this cache, or an empty one. Takes no page
    /// before it gets tokens of its own.
    ///
    /// # Errors
    ///
    /// `Argument`: the prefix is of another cache.
    pub fn attach<'p>(&self, prefix: impl Into<Option<&'p Prefix>>) -> Result<Sequence> {
        let prefix = prefix.into().map_or(null_mut(), Prefix::raw);
        // SAFETY: the handle is written to where `out` points.
        let handle =
            Handle::create(|out| unsafe { sys::ra_sequence_attach(self.raw(), prefix, out) })?;
        Ok(Sequence::new(handle, self.tensors.clone()))
    }

    /// A batch for steps over sequences of this cache. Make one for each kind of step.
    ///
    /// # Errors
    ///
    /// `Argument`: an option is out of bounds, or memory was given and is too small. `Unsupported`:
    /// graphs on the CPU, or a reserved flag. `Memory`: no room.
    pub fn batch(&self, options: &PlanOptions) -> Result<Batch> {
        // SAFETY: the options are a whole struct; memory in it was promised to be valid.
        let handle =
            Handle::create(|out| unsafe { sys::ra_batch_create(self.raw(), &options.raw, out) })?;
        Ok(Batch::new(handle, self.tensors.clone()))
    }

    /// How many bytes a batch with these options needs, for those who give that memory themselves. Set
    /// the four bounds first: what they leave open is guessed.
    ///
    /// # Errors
    ///
    /// As [`batch`](Self::batch), without those about memory.
    pub fn batch_memory(&self, options: &PlanOptions) -> Result<PlanMemory> {
        let (mut scratch, mut metadata) = (0, 0);
        // SAFETY: the options are a whole struct; the numbers are written to the two.
        check(unsafe {
            sys::ra_batch_memory(self.raw(), &options.raw, &mut scratch, &mut metadata)
        })?;
        Ok(PlanMemory { scratch: size(scratch), metadata: size(metadata) })
    }

    /// The handle of the C API; it stays this cache's.
    pub fn raw(&self) -> sys::ra_cache {
        self.handle.raw()
    }
}
