//! What every layer looks like.

use crate::error::{Result, check};
use crate::handle::{Handle, count, size};
use crate::view::Shape;
use relayattn_sys as sys;
use std::ops::Range;
use std::sync::Arc;

/// Element types. This version of the library computes with the first three; the others are answered
/// with [`ErrorCode::Unsupported`](crate::ErrorCode::Unsupported).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[non_exhaustive]
pub enum Dtype {
    /// IEEE binary32, `f32`.
    F32 = sys::RA_F32,
    /// IEEE binary16.
    F16 = sys::RA_F16,
    /// The upper half of a binary32.
    Bf16 = sys::RA_BF16,
    /// Reserved.
    F8E4M3 = sys::RA_F8E4M3,
    /// Reserved.
    F8E5M2 = sys::RA_F8E5M2,
    /// Reserved.
    I8 = sys::RA_I8,
    /// Reserved.
    Q8_0 = sys::RA_Q8_0,
    /// Reserved.
    I4 = sys::RA_I4,
    /// Reserved.
    F4E2M1 = sys::RA_F4E2M1,
}

impl Dtype {
    /// Bytes of an element; of reserved types, of the smallest unit that holds one.
    #[inline]
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            _ => 1,
        }
    }
}

/// Which keys a query sees to its left. The query at position `i` sees positions up to `i`, and
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// all of them.
    #[default]
    None,
    /// the last so many, its own included: `i - W + 1` and on.
    Sliding(usize),
    /// those of its own chunk of so many positions: `(i / W) * W` and on.
    Chunked(usize),
}

/// How many tokens before a sequence's end, or a prefix's, a window layer keeps; older whole pages
/// are given back. More lets truncation and cuts go back further.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retain {
    /// As many as the window.
    #[default]
    Window,
    /// So many, at least the window.
    Tokens(usize),
    /// All.
    All,
}

/// One layer, to be built up from its sizes; everything else has a default.
///
/// ```
/// use relayattn::{Dtype, LayerOptions, Window};
/// let layer = LayerOptions::new(32, 8, 128).dtype(Dtype::F16).window(Window::Sliding(4096));
/// # let _ = layer;
/// ```
#[derive(Clone, Debug)]
pub struct LayerOptions {
    /// Its dtypes are those below; they are set when it is used.
    raw: sys::ra_layer_options,
    q_dtype: Dtype,
    k_dtype: Dtype,
    v_dtype: Dtype,
    out_dtype: Dtype,
}

impl LayerOptions {
    /// A layer with `num_q_heads` query heads, a multiple of `num_kv_heads`; each head of q, K, V and
    /// out has `head_dim` elements, a multiple of 8 from 32 to 256. All elements are
    /// [`Dtype::Bf16`].
    pub fn new(num_q_heads: usize, num_kv_heads: usize, head_dim: usize) -> Self {
        let raw = sys::ra_layer_options {
            struct_size: size_of::<sys::ra_layer_options>() as i64,
            num_q_heads: count(num_q_heads),
            num_kv_heads: count(num_kv_heads),
            head_dim_k: count(head_dim),
            head_dim_v: count(head_dim),
            q_dtype: sys::RA_BF16,
            k_dtype: sys::RA_BF16,
            v_dtype: sys::RA_BF16,
            out_dtype: sys::RA_BF16,
            kv_form: sys::RA_KV_SEPARATE,
            k_scale: sys::RA_SCALE_NONE,
            v_scale: sys::RA_SCALE_NONE,
            window_kind: sys::RA_WINDOW_NONE,
            window: 0,
            retain: 0,
            kv_layer: -1,
            uses_sinks: 0,
            uses_alibi: 0,
            softmax_scale: 0.0,
            logit_softcap: 0.0,
        };
        let dtype = Dtype::Bf16;
        Self { raw, q_dtype: dtype, k_dtype: dtype, v_dtype: dtype, out_dtype: dtype }
    }

    fn raw(&self) -> sys::ra_layer_options {
        sys::ra_layer_options {
            q_dtype: self.q_dtype as i32,
            k_dtype: self.k_dtype as i32,
            v_dtype: self.v_dtype as i32,
            out_dtype: self.out_dtype as i32,
            ..self.raw
        }
    }

    /// Another head dim for V and out than for q and K.
    pub fn head_dim_v(mut self, head_dim: usize) -> Self {
        self.raw.head_dim_v = count(head_dim);
        self
    }

    /// The element type of q, K, V and out.
    pub fn dtype(self, dtype: Dtype) -> Self {
        self.q_dtype(dtype).kv_dtype(dtype).out_dtype(dtype)
    }

    /// The element type of q.
    pub fn q_dtype(mut self, dtype: Dtype) -> Self {
        self.q_dtype = dtype;
        self
    }

    /// The element type of K and V, in the pages and as given.
    pub fn kv_dtype(self, dtype: Dtype) -> Self {
        self.k_dtype(dtype).v_dtype(dtype)
    }

    /// The element type of K alone; this version of the library needs the same for V.
    pub fn k_dtype(mut self, dtype: Dtype) -> Self {
        self.k_dtype = dtype;
        self
    }

    /// The element type of V alone; this version of the library needs the same for K.
    pub fn v_dtype(mut self, dtype: Dtype) -> Self {
        self.v_dtype = dtype;
        self
    }

    /// The element type of out.
    pub fn out_dtype(mut self, dtype: Dtype) -> Self {
        self.out_dtype = dtype;
        self
    }

    /// Which keys a query sees; the default is all.
    pub fn window(mut self, window: Window) -> Self {
        (self.raw.window_kind, self.raw.window) = match window {
            Window::None => (sys::RA_WINDOW_NONE, 0),
            Window::Sliding(tokens) => (sys::RA_WINDOW_SLIDING, count(tokens)),
            Window::Chunked(tokens) => (sys::RA_WINDOW_CHUNKED, count(tokens)),
        };
        self
    }

    /// How many tokens a window layer keeps.
    pub fn retain(mut self, retain: Retain) -> Self {
        self.raw.retain = match retain {
            Retain::Window => 0,
            Retain::Tokens(tokens) => count(tokens),
            Retain::All => -1,
        };
        self
    }

    /// Makes the layer attend over K and V of this lower one instead of its own. That one must be set,
    /// have its own, and agree in KV heads, head dims and KV dtype.
    pub fn kv_layer(mut self, layer: usize) -> Self {
        self.raw.kv_layer = count(layer);
        self
    }

    /// Whether every attend has [`sink_logits`](crate::AttendArgs::sink_logits).
    pub fn uses_sinks(mut self, yes: bool) -> Self {
        self.raw.uses_sinks = yes.into();
        self
    }

    /// Whether every attend has [`alibi_slopes`](crate::AttendArgs::alibi_slopes).
    pub fn uses_alibi(mut self, yes: bool) -> Self {
        self.raw.uses_alibi = yes.into();
        self
    }

    /// The factor of q . k; 0, the default, is 1/sqrt(head_dim_k).
    pub fn softmax_scale(mut self, scale: f32) -> Self {
        self.raw.softmax_scale = scale;
        self
    }

    /// The cap of the scores, before ALiBi: `cap * tanh(score / cap)`; 0, the default, is none.
    pub fn logit_softcap(mut self, cap: f32) -> Self {
        self.raw.logit_softcap = cap;
        self
    }
}

/// What the checks of slices have to know of a layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer {
    pub(crate) num_q_heads: usize,
    num_kv_heads: usize,
    dim_k: usize,
    dim_v: usize,
    q_dtype: Dtype,
    k_dtype: Dtype,
    v_dtype: Dtype,
    out_dtype: Dtype,
}

impl Layer {
    fn of(options: &LayerOptions) -> Self {
        Self {
            num_q_heads: size(options.raw.num_q_heads),
            num_kv_heads: size(options.raw.num_kv_heads),
            dim_k: size(options.raw.head_dim_k),
            dim_v: size(options.raw.head_dim_v),
            q_dtype: options.q_dtype,
            k_dtype: options.k_dtype,
            v_dtype: options.v_dtype,
            out_dtype: options.out_dtype,
        }
    }

    #[inline]
    pub(crate) fn q(&self, rows: usize) -> Shape {
        Shape { rows, heads: self.num_q_heads, dim: self.dim_k, dtype: self.q_dtype }
    }

    #[inline]
    pub(crate) fn out(&self, rows: usize) -> Shape {
        Shape { rows, heads: self.num_q_heads, dim: self.dim_v, dtype: self.out_dtype }
    }

    #[inline]
    pub(crate) fn k(&self, rows: usize) -> Shape {
        Shape { rows, heads: self.num_kv_heads, dim: self.dim_k, dtype: self.k_dtype }
    }

    #[inline]
    pub(crate) fn v(&self, rows: usize) -> Shape {
        Shape { rows, heads: self.num_kv_heads, dim: self.dim_v, dtype: self.v_dtype }
    }
}

/// A model: its layers, numbered from 0. It belongs to no device; caches take a copy.
///
/// Layers of equal KV geometry, dtype and window form a *layer group*: they have equal page counts and
/// share each step's plan. Groups are numbered in the order of their first layers.
///
/// ```
/// use relayattn::{LayerOptions, Model, Window};
/// # fn main() -> relayattn::Result<()> {
/// let mut model = Model::new(4)?;
/// model.set_layers(0..2, &LayerOptions::new(8, 2, 64))?;
/// model.set_layers(2..4, &LayerOptions::new(8, 2, 64).window(Window::Sliding(256)))?;
/// assert_eq!(model.layer_group(3)?, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Model {
    handle: Handle<sys::ra_model_s>,
    layers: Arc<[Option<Layer>]>,
}

impl Model {
    /// A model of `num_layers` layers, 1 to 65536, none of them set.
    ///
    /// # Errors
    ///
    /// `Argument`: `num_layers` is out of bounds.
    pub fn new(num_layers: usize) -> Result<Self> {
        // SAFETY: the handle is written to where `out` points.
        let handle = Handle::create(|out| unsafe { sys::ra_model_create(count(num_layers), out) })?;
        Ok(Self { handle, layers: vec![None; num_layers].into() })
    }

    /// A model whose layers are all equal.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new) and [`set_layers`](Self::set_layers).
    pub fn uniform(num_layers: usize, layer: &LayerOptions) -> Result<Self> {
        let mut model = Self::new(num_layers)?;
        model.set_layers(0..num_layers, layer)?;
        Ok(model)
    }

    /// Gives some layers the same options; group numbers may change by it. Caches that were made
    /// before do not see it. An empty range checks the options and changes nothing.
    ///
    /// # Errors
    ///
    /// `Argument`: the range is not within the model, an option is out of its bounds, or a `kv_layer`
    /// does not fit. `Unsupported`: a reserved dtype, or K and V of different ones.
    pub fn set_layers(&mut self, layers: Range<usize>, options: &LayerOptions) -> Result<()> {
        let (first, number) = (layers.start, layers.len());
        // SAFETY: the options are a whole struct of the size that they state.
        check(unsafe {
            let options = options.raw();
            sys::ra_model_set_layers(self.handle.raw(), count(first), count(number), &options)
        })?;
        let mut known = self.layers.to_vec();
        known[first..first + number].fill(Some(Layer::of(options)));
        self.layers = known.into();
        Ok(())
    }

    /// The number of the layer group that a layer is in.
    ///
    /// # Errors
    ///
    /// `Argument`: no such layer, or it was never set.
    pub fn layer_group(&self, layer: usize) -> Result<usize> {
        let mut group = 0;
        // SAFETY: the number is written to `group`.
        check(unsafe { sys::ra_model_layer_group(self.raw(), count(layer), &mut group) })?;
        Ok(size(group))
    }

    /// How many layers the model has.
    pub fn num_layers(&self) -> usize {
        self.layers.len()
    }

    /// The handle of the C API; it stays this model's.
    pub fn raw(&self) -> sys::ra_model {
        self.handle.raw()
    }

    pub(crate) fn layers(&self) -> Arc<[Option<Layer>]> {
        self.layers.clone()
    }
}
