//! Steps of many sequences.

use crate::cache::Tensors;
use crate::error::{Error, ErrorCode, Result, check};
use crate::handle::{Handle, count, counts, size};
use crate::plan::PlanInfo;
use crate::queue::Queue;
use crate::sequence::Sequence;
use crate::step::Step;
use relayattn_sys as sys;
use std::ffi::c_void;
use std::ptr::null;

/// One sequence of a step, and how many new tokens it has. A `(&sequence, n)` pair is one, too.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    sequence: &'a Sequence,
    new_tokens: usize,
    flags: i64,
}

impl<'a> Row<'a> {
    /// The sequence with so many new tokens, 0 or more.
    pub fn new(sequence: &'a Sequence, new_tokens: usize) -> Self {
        Self { sequence, new_tokens, flags: 0 }
    }

    /// The new tokens all see each other.
    pub fn non_causal(mut self) -> Self {
        self.flags |= i64::from(sys::RA_ROW_NONCAUSAL);
        self
    }

    /// The new tokens are queries only: no K, V of theirs is seen or kept. For cross-attention, and for
    /// asking again about what is cached.
    pub fn new_absent(mut self) -> Self {
        self.flags |= i64::from(sys::RA_ROW_NEW_ABSENT);
        self
    }
}

impl<'a> From<(&'a Sequence, usize)> for Row<'a> {
    fn from((sequence, new_tokens): (&'a Sequence, usize)) -> Self {
        Self::new(sequence, new_tokens)
    }
}

/// New tokens `begin .. end` of sequence `row` see each other both ways, as parts of an image do. Spans
/// of a row do not overlap, and the row has no flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Span {
    /// Which sequence of the step.
    pub row: usize,
    /// The first of its new tokens.
    pub begin: usize,
    /// The one behind the last.
    pub end: usize,
}

#[derive(Clone, Copy, Debug, Default)]
enum Mask<'a> {
    #[default]
    None,
    Host(&'a [u8]),
    Device(*const u8),
}

/// What a step may have beside its rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepOptions<'a> {
    mask: Mask<'a>,
    mask_stride: usize,
    spans: &'a [Span],
    padded_tokens: usize,
    queue: Queue,
}

impl<'a> StepOptions<'a> {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which new tokens see which, for verifying a tree of drafts. New token t of the step, counted over
    /// all sequences, has the `stride` bytes from `t * stride` on, at least an eighth of the most new
    /// tokens of a sequence; bit j % 8 of byte j / 8 lets it see new token j of its own sequence. Set
    /// its own bit, too. Earlier tokens stay visible. Needs [`PlanFlags::TREE`](crate::PlanFlags::TREE).
    /// The mask is copied.
    pub fn tree_mask(mut self, mask: &'a [u8], stride: usize) -> Self {
        (self.mask, self.mask_stride) = (Mask::Host(mask), stride);
        self
    }

    /// The same in a GPU's memory. It is read by each attend, and may be filled after the step began.
    ///
    /// # Safety
    ///
    /// `mask` points to device memory with `stride` bytes for each new token of the step, which stays
    /// valid until the step's last attend is done.
    pub unsafe fn device_tree_mask(mut self, mask: *const u8, stride: usize) -> Self {
        (self.mask, self.mask_stride) = (Mask::Device(mask), stride);
        self
    }

    /// New tokens that see each other both ways; not together with a tree mask.
    pub fn spans(mut self, spans: &'a [Span]) -> Self {
        self.spans = spans;
        self
    }

    /// Rows of q and out after the real ones, which become 0: for tensors of a fixed shape.
    pub fn padded_tokens(mut self, tokens: usize) -> Self {
        self.padded_tokens = tokens;
        self
    }

    /// The GPU's queue that all of the step is ordered on.
    pub fn queue(mut self, queue: Queue) -> Self {
        self.queue = queue;
        self
    }
}

/// A step's arrays as the C API takes them, kept so that the next step allocates nothing.
#[derive(Debug, Default)]
struct Input {
    sequences: Vec<sys::ra_sequence>,
    new_tokens: Vec<usize>,
    flags: Vec<i64>,
    /// Read by every attend, which is why it is copied here.
    mask: Vec<u8>,
}

// SAFETY: the handles in it are numbers, see Handle.
unsafe impl Send for Input {}
// SAFETY: as above.
unsafe impl Sync for Input {}

impl Input {
    fn set<'a>(&mut self, rows: impl IntoIterator<Item: Into<Row<'a>>>) {
        self.sequences.clear();
        self.new_tokens.clear();
        self.flags.clear();
        for row in rows {
            let row = row.into();
            self.sequences.push(row.sequence.raw());
            self.new_tokens.push(row.new_tokens);
            self.flags.push(row.flags);
        }
    }

    fn tokens(&self) -> usize {
        self.new_tokens.iter().fold(0, |sum: usize, &n| sum.saturating_add(n))
    }

    fn set_mask(&mut self, options: &StepOptions<'_>, on_device: bool) -> Result<*const u8> {
        let mask = match options.mask {
            Mask::None => return Ok(null()),
            Mask::Device(mask) => return Ok(mask),
            Mask::Host(mask) => mask,
        };
        if on_device {
            return Err(Error::argument(
                "tree_mask is a slice of host memory; a GPU context needs device_tree_mask"
                    .to_string(),
            ));
        }
        let (tokens, stride) = (self.tokens(), options.mask_stride);
        if tokens.checked_mul(stride).is_none_or(|bytes| bytes > mask.len()) {
            return Err(Error::argument(format!(
                "tree_mask has {} bytes; the step has {tokens} new tokens, each with {stride}",
                mask.len()
            )));
        }
        self.mask.clear();
        self.mask.extend_from_slice(mask);
        Ok(self.mask.as_ptr())
    }

    fn raw(&self, options: &StepOptions<'_>, mask: *const u8) -> sys::ra_batch_input {
        const { assert!(size_of::<Span>() == 3 * size_of::<i64>()) }
        let rows = count(self.sequences.len());
        sys::ra_batch_input {
            struct_size: size_of::<sys::ra_batch_input>() as i64,
            sequences: self.sequences.as_ptr(),
            num_sequences: rows,
            q_lens: counts(&self.new_tokens),
            num_q_lens: rows,
            row_flags: self.flags.as_ptr(),
            num_row_flags: rows,
            tree_mask: mask,
            tree_stride: count(options.mask_stride),
            spans: options.spans.as_ptr().cast(),
            num_spans: count(options.spans.len()),
            padded_tokens: count(options.padded_tokens),
        }
    }
}

/// Steps of many sequences of one cache. Made once and used for every step: what it learned and
/// allocated for one serves the next, and a step like the last allocates nothing.
///
/// Several batches of one cache may have open steps at once, with different sequences. A step may mix
/// sequences that decode one token, prefill many, verify a draft, or sit out.
///
/// ```
/// use relayattn::{AttendArgs, Cache, CacheOptions, Context, Dtype, LayerOptions, Model, PlanOptions};
/// # fn main() -> relayattn::Result<()> {
/// let model = Model::uniform(2, &LayerOptions::new(4, 2, 32).dtype(Dtype::F32))?;
/// let cache = Cache::new(&Context::cpu()?, &model, &CacheOptions::new(1024))?;
/// let mut batch = cache.batch(&PlanOptions::new())?;
/// let (a, b) = (cache.attach(None)?, cache.attach(None)?);
///
/// let (q, mut out) = (vec![0.1; 6 * 4 * 32], vec![0.0; 6 * 4 * 32]);
/// let (k, v) = (vec![0.2; 6 * 2 * 32], vec![0.3; 6 * 2 * 32]);
/// let mut step = batch.begin([(&a, 5), (&b, 1)])?; // six new tokens
/// for layer in 0..2 {
///     step.attend(layer, &mut AttendArgs::new(&q, &mut out).kv(&k, &v))?;
/// }
/// step.commit()?;
/// assert_eq!(a.length()?.tokens, 5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Batch {
    // Before `input`: an open step that ends with it reads the mask no more.
    handle: Handle<sys::ra_batch_s>,
    pub(crate) tensors: Tensors,
    input: Input,
    /// For questions about a step, while another may be open.
    question: Input,
    pub(crate) is_open: bool,
    pub(crate) tokens: usize,
    pub(crate) padded: usize,
    pub(crate) queue: Queue,
}

impl Batch {
    pub(crate) fn new(handle: Handle<sys::ra_batch_s>, tensors: Tensors) -> Self {
        let (input, question, queue) = (Input::default(), Input::default(), Queue::default());
        Self { handle, tensors, input, question, is_open: false, tokens: 0, padded: 0, queue }
    }

    /// Begins a step: takes pages for all new tokens, and plans the work of every layer group. All or
    /// nothing.
    ///
    /// # Errors
    ///
    /// `Pages`: too few are free in some group. `Busy`: a sequence is in an open step. `State`: the
    /// batch has an open step, which was detached. `Argument`: a sequence stands there twice or is of
    /// another cache; a chain would pass 2^31 - 1 tokens; flags, spans or the mask are against their
    /// rules; the step is larger than the batch's bounds.
    pub fn begin<'b, 's: 'b>(
        &'b mut self,
        rows: impl IntoIterator<Item: Into<Row<'s>>>,
    ) -> Result<Step<'b>> {
        self.begin_with(rows, &StepOptions::new())
    }

    /// [`begin`](Self::begin) with options.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn begin_with<'b, 's: 'b>(
        &'b mut self,
        rows: impl IntoIterator<Item: Into<Row<'s>>>,
        options: &StepOptions<'_>,
    ) -> Result<Step<'b>> {
        self.must_be_closed()?;
        self.input.set(rows);
        let mask = self.input.set_mask(options, self.tensors.on_device)?;
        let raw = self.input.raw(options, mask);
        // SAFETY: the arrays have the lengths that are stated; the mask stays in `input`, which nothing
        // changes while the step is open.
        check(unsafe { sys::ra_batch_begin(self.raw(), &raw, options.queue.raw()) })?;
        self.padded = options.padded_tokens;
        Ok(self.opened(self.input.tokens(), options.queue))
    }

    /// Begins a step of `rows` made-up sequences of `kv_len` tokens each, of which `q_len` are new: for
    /// warming up, measuring, and capturing a graph. It takes no page; its results mean nothing.
    ///
    /// # Errors
    ///
    /// `Argument`: `kv_len` is below `q_len`, `rows * kv_len` is above 2^31 - 1, or the batch's bounds
    /// are passed. `State`: the batch has an open step, which was detached.
    pub fn begin_dummy(
        &mut self,
        rows: usize,
        q_len: usize,
        kv_len: usize,
        queue: Queue,
    ) -> Result<Step<'_>> {
        self.must_be_closed()?;
        // SAFETY: numbers, and a queue that was promised to be one.
        check(unsafe {
            let (rows, q_len, kv_len) = (count(rows), count(q_len), count(kv_len));
            sys::ra_batch_begin_dummy(self.raw(), rows, q_len, kv_len, queue.raw())
        })?;
        self.padded = 0;
        Ok(self.opened(rows * q_len, queue))
    }

    fn must_be_closed(&self) -> Result<()> {
        if self.is_open {
            let message = "the batch has an open step; Batch::step gives it".to_string();
            return Err(Error::new(ErrorCode::State, message));
        }
        Ok(())
    }

    fn opened(&mut self, tokens: usize, queue: Queue) -> Step<'_> {
        (self.is_open, self.tokens, self.queue) = (true, tokens, queue);
        Step::new(self)
    }

    /// The open step that was [detached](Step::detach), if there is one.
    pub fn step(&mut self) -> Option<Step<'_>> {
        self.is_open.then(|| Step::new(self))
    }

    /// How many free pages of a layer group a step would take: what [`begin`](Self::begin) compares with
    /// those that are free, as of now. Another step of this batch may be open meanwhile, detached.
    ///
    /// # Errors
    ///
    /// As [`begin`](Self::begin), without `Pages`; `Argument`: no such group.
    pub fn pages_needed<'a>(
        &mut self,
        rows: impl IntoIterator<Item: Into<Row<'a>>>,
        options: &StepOptions<'_>,
        group: usize,
    ) -> Result<usize> {
        self.question.set(rows);
        let mask = self.question.set_mask(options, self.tensors.on_device)?;
        let raw = self.question.raw(options, mask);
        let mut pages = 0;
        // SAFETY: the arrays have the lengths that are stated.
        check(unsafe { sys::ra_batch_pages_needed(self.raw(), &raw, count(group), &mut pages) })?;
        Ok(size(pages))
    }

    /// What was planned for a layer group in the step that was begun last, open or ended.
    ///
    /// # Errors
    ///
    /// `State`: no step was ever begun. `Argument`: no such group. `Busy`: another thread begins one.
    pub fn query(&self, group: usize, property: PlanInfo) -> Result<i64> {
        let mut value = 0;
        // SAFETY: the number is written to `value`.
        check(unsafe {
            sys::ra_batch_query(self.raw(), count(group), property as i32, &mut value)
        })?;
        Ok(value)
    }

    /// The handle of the C API; it stays this batch's.
    pub fn raw(&self) -> sys::ra_batch {
        self.handle.raw()
    }

    #[inline]
    pub(crate) fn raw_queue(&self) -> *mut c_void {
        self.queue.raw()
    }
}
