//! One step.

use crate::args::AttendArgs;
use crate::batch::Batch;
use crate::error::{Result, check};
use crate::handle::{count, counts};
use crate::plan::PlanInfo;
use crate::sequence::Sequence;
use crate::view::View;
use relayattn_sys as sys;
use std::marker::PhantomData;
use std::ptr::{null, null_mut};

/// Which new tokens become part of their sequences; for [`Step::try_commit`].
#[derive(Clone, Copy, Debug, Default)]
pub enum Kept<'a> {
    /// All.
    #[default]
    All,
    /// The first so many of each sequence: a number for each.
    First(&'a [usize]),
    /// An accepted path of a draft tree: so many of each sequence, and for one sequence after the other
    /// their places among its new ones, ascending. Their K and V are moved together.
    Path(&'a [usize], &'a [usize]),
}

/// An open step: attend each layer in turn, then commit. Dropped without, it is aborted, and its
/// sequences are as if it had never begun.
///
/// It borrows its batch and its sequences. Where that is in the way, as in a struct that holds both,
/// [`detach`](Self::detach) it.
#[derive(Debug)]
pub struct Step<'a> {
    batch: &'a mut Batch,
    sequences: PhantomData<&'a Sequence>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(batch: &'a mut Batch) -> Self {
        Self { batch, sequences: PhantomData }
    }

    /// One layer: puts K and V of the new tokens into their pages, then computes out, and lse if wanted,
    /// for every row. On the CPU it is done when the call returns; on a GPU it is ordered on the step's
    /// queue. Allocates nothing.
    ///
    /// A layer may be attended any number of times, and layers in any order, but for one that borrows K
    /// and V, which comes after its source.
    ///
    /// # Errors
    ///
    /// `Argument`: no such layer, or it was never set; a slice is too short, or of the wrong type; K and
    /// V are missing, or given for a layer that borrows them; likewise sinks and slopes; a stride, scale
    /// or cap is out of bounds.
    #[inline]
    pub fn attend(&mut self, layer: usize, args: &mut AttendArgs<'_>) -> Result<()> {
        let batch = &*self.batch;
        let raw = args.prepare(&batch.tensors, layer, batch.tokens, batch.padded)?;
        // SAFETY: each buffer holds what is read or written, as was just checked or promised.
        check(unsafe { sys::ra_batch_attend(batch.raw(), count(layer), raw, batch.raw_queue()) })
    }

    /// Only puts K and V of the new tokens of a layer without sinks and slopes into their pages.
    ///
    /// # Errors
    ///
    /// As [`attend`](Self::attend).
    pub fn append<'b>(
        &mut self,
        layer: usize,
        k: impl Into<View<'b>>,
        v: impl Into<View<'b>>,
    ) -> Result<()> {
        self.attend(layer, &mut AttendArgs::append(k.into(), v.into()))
    }

    /// One layer by the program's own threads, on the CPU: puts K and V into their pages, and returns
    /// the rest of the work for the threads to [run](SharedLayer::run). The results are complete when
    /// all of them have returned, which the compiler sees to: only then are the buffers free again.
    ///
    /// ```
    /// # use relayattn::{AttendArgs, Result, Step};
    /// # #[allow(dead_code)]
    /// fn attend(step: &mut Step, layer: usize, args: &mut AttendArgs) -> Result<()> {
    ///     let work = step.share(layer, args)?;
    ///     std::thread::scope(|scope| {
    ///         let other = scope.spawn(|| work.run(1, 2));
    ///         work.run(0, 2)?;
    ///         other.join().unwrap()
    ///     })
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`attend`](Self::attend).
    pub fn share<'s>(
        &'s mut self,
        layer: usize,
        args: &'s mut AttendArgs<'_>,
    ) -> Result<SharedLayer<'s>> {
        let batch = &*self.batch;
        let mut work = *args.prepare(&batch.tensors, layer, batch.tokens, batch.padded)?;
        let nothing = sys::ra_view { data: null_mut(), token_stride: 0, head_stride: 0 };
        if !work.k.data.is_null() || !work.v.data.is_null() {
            let append = sys::ra_attend_args { q: nothing, out: nothing, ..work };
            // SAFETY: K and V hold what is read, as was just checked or promised.
            check(unsafe {
                sys::ra_batch_attend(batch.raw(), count(layer), &append, batch.raw_queue())
            })?;
        }
        (work.k, work.v) = (nothing, nothing);
        Ok(SharedLayer { batch, layer: count(layer), work, buffers: PhantomData })
    }

    /// Ends the step; all new tokens become part of their sequences.
    ///
    /// # Errors
    ///
    /// The general ones only; the step is then aborted.
    pub fn commit(mut self) -> Result<()> {
        self.try_commit(Kept::All)
    }

    /// Ends the step; of each sequence the first `kept` new tokens become part of it.
    ///
    /// # Errors
    ///
    /// `Argument`: not one number for each sequence, or one is above its new tokens. The step is then
    /// aborted; [`try_commit`](Self::try_commit) leaves it open.
    pub fn commit_first(mut self, kept: &[usize]) -> Result<()> {
        self.try_commit(Kept::First(kept))
    }

    /// Ends the step; an accepted path of a draft tree becomes part of each sequence, see
    /// [`Kept::Path`]. Its tokens get consecutive positions: give tree tokens the position embedding of
    /// their depth, not of their slot.
    ///
    /// # Errors
    ///
    /// As [`commit_first`](Self::commit_first); or an index is out of bounds, or not ascending.
    pub fn commit_path(mut self, kept: &[usize], index: &[usize]) -> Result<()> {
        self.try_commit(Kept::Path(kept, index))
    }

    /// Ends the step, and leaves it open if that fails. After success nothing more can be done with it.
    ///
    /// # Errors
    ///
    /// As the other commits; `State`: it has ended.
    pub fn try_commit(&mut self, kept: Kept<'_>) -> Result<()> {
        let (kept, num_kept, index, num_index) = match kept {
            Kept::All => (null(), 0, null(), 0),
            Kept::First(kept) => (counts(kept), kept.len(), null(), 0),
            Kept::Path(kept, index) => (counts(kept), kept.len(), counts(index), index.len()),
        };
        let (num_kept, num_index) = (count(num_kept), count(num_index));
        // SAFETY: the arrays have the lengths that are stated.
        check(unsafe {
            let (batch, queue) = (self.batch.raw(), self.batch.raw_queue());
            sys::ra_batch_commit(batch, kept, num_kept, index, num_index, queue)
        })?;
        self.batch.is_open = false;
        Ok(())
    }

    /// Ends the step as if it had never begun. Dropping it does the same, but tells no error.
    ///
    /// # Errors
    ///
    /// The general ones only.
    pub fn abort(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.batch.is_open) {
            return Ok(());
        }
        // SAFETY: the queue was promised to be one.
        check(unsafe { sys::ra_batch_abort(self.batch.raw(), self.batch.raw_queue()) })
    }

    /// Leaves the step open without borrowing anything; [`Batch::step`] gives it again. What the
    /// compiler no longer sees fails with `Busy` or `State` then.
    pub fn detach(self) {
        std::mem::forget(self);
    }

    /// T, the step's new tokens.
    pub fn tokens(&self) -> usize {
        self.batch.tokens
    }

    /// P, its padded ones.
    pub fn padded_tokens(&self) -> usize {
        self.batch.padded
    }

    /// What was planned for a layer group.
    ///
    /// # Errors
    ///
    /// `Argument`: no such group.
    pub fn query(&self, group: usize, property: PlanInfo) -> Result<i64> {
        self.batch.query(group, property)
    }
}

impl Drop for Step<'_> {
    fn drop(&mut self) {
        let _ = self.end(); // there is no one to tell
    }
}

/// The attention of one layer, to be computed by threads of the program: see [`Step::share`].
#[derive(Debug)]
pub struct SharedLayer<'s> {
    batch: &'s Batch,
    layer: i64,
    work: sys::ra_attend_args,
    buffers: PhantomData<&'s mut [u8]>,
}

// SAFETY: its pointers are those of the args that it borrows, and what `run` writes through them at
// the same time is apart, by the contract of ra_batch_attend_worker.
unsafe impl Send for SharedLayer<'_> {}
// SAFETY: as above.
unsafe impl Sync for SharedLayer<'_> {}

impl SharedLayer<'_> {
    /// The part of one of `num_workers` threads, with its own `worker` from 0 to `num_workers - 1`. It
    /// draws work until none is left, and never waits for another. Each worker calls it once.
    ///
    /// # Errors
    ///
    /// `Argument`: `worker` is not below `num_workers`. `Unsupported`: not a CPU context.
    pub fn run(&self, worker: usize, num_workers: usize) -> Result<()> {
        // SAFETY: the buffers hold what is read and written, as `share` checked, and are borrowed.
        check(unsafe {
            let (worker, workers) = (count(worker), count(num_workers));
            sys::ra_batch_attend_worker(self.batch.raw(), self.layer, &self.work, worker, workers)
        })
    }
}
