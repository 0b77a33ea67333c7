//! One request.

use crate::cache::Tensors;
use crate::error::{Result, check};
use crate::handle::{Handle, count, size};
use crate::prefix::Prefix;
use relayattn_sys as sys;
use std::ptr::null_mut;

/// How long a sequence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceLength {
    /// Its tokens, prefix included.
    pub tokens: usize,
    /// The length from which on [`Sequence::truncate`] reaches every one: 0 unless a window layer has
    /// given pages back.
    pub min: usize,
}

/// One request: its prefix's tokens, then its own. It grows only by the commit of a step.
///
/// While it is in an open step its length is that before the step. A [`Step`](crate::Step) borrows it,
/// so that it cannot be changed then; [`fork`](Self::fork) and [`freeze`](Self::freeze), and everything
/// on a step that was [detached](crate::Step::detach), fail with `Busy` instead.
#[derive(Debug)]
pub struct Sequence {
    handle: Handle<sys::ra_sequence_s>,
    tensors: Tensors,
}

impl Sequence {
    pub(crate) fn new(handle: Handle<sys::ra_sequence_s>, tensors: Tensors) -> Self {
        Self { handle, tensors }
    }

    /// How long it is.
    ///
    /// # Errors
    ///
    /// The general ones only.
    pub fn length(&self) -> Result<SequenceLength> {
        let (mut tokens, mut min) = (0, 0);
        // SAFETY: the numbers are written to the two.
        check(unsafe { sys::ra_sequence_length(self.raw(), &mut tokens, &mut min) })?;
        Ok(SequenceLength { tokens: size(tokens), min: size(min) })
    }

    /// A second sequence with the same tokens, for parallel sampling or beams. Nothing is copied: a
    /// partial last page is shared until one of the two gets a new token.
    ///
    /// # Errors
    ///
    /// `Busy`: it is in an open step.
    pub fn fork(&self) -> Result<Self> {
        // SAFETY: the handle is written to where `out` points.
        let handle = Handle::create(|out| unsafe { sys::ra_sequence_fork(self.raw(), out) })?;
        Ok(Self::new(handle, self.tensors.clone()))
    }

    /// Makes its first `num_tokens` tokens, or all of them, a sealed prefix, without copying. The
    /// sequence goes on as a child of it. So a prompt that was computed in steps becomes shared.
    ///
    /// # Errors
    ///
    /// `Busy`: it is in an open step. `Argument`: `num_tokens` is not from 1 to its length.
    /// `NotRetained`: a window layer no longer has what a token after them would see.
    pub fn freeze(&self, num_tokens: impl Into<Option<usize>>) -> Result<Prefix> {
        let tokens = num_tokens.into().map_or(-1, count);
        // SAFETY: the handle is written to where `out` points.
        let handle =
            Handle::create(|out| unsafe { sys::ra_prefix_from_sequence(self.raw(), tokens, out) })?;
        Ok(Prefix::new(handle, self.tensors.clone()))
    }

    /// Forgets all tokens from `length` on, and gives back the pages that nothing else uses. May cut
    /// into the prefix, which others who share it do not notice.
    ///
    /// # Errors
    ///
    /// `Busy`: it is in an open step. `Argument`: `length` is above its length. `NotRetained`: a window
    /// layer no longer has what the next token would see.
    pub fn truncate(&mut self, length: usize) -> Result<()> {
        // SAFETY: numbers only.
        check(unsafe { sys::ra_sequence_truncate(self.raw(), count(length)) })
    }

    /// The pages of a layer group that hold its tokens, in order of position, prefixes included. Pages
    /// are not always full. A window group lists what it still has.
    ///
    /// # Errors
    ///
    /// `Argument`: no such group.
    pub fn pages(&self, group: usize) -> Result<Vec<i32>> {
        let mut pages = Vec::new();
        loop {
            let (room, mut number) = (pages.len(), 0);
            let to = if room == 0 { null_mut() } else { pages.as_mut_ptr() };
            // SAFETY: at most `room` numbers are written to `pages`.
            check(unsafe {
                sys::ra_sequence_pages(self.raw(), count(group), to, count(room), &mut number)
            })?;
            pages.resize(size(number), 0);
            if pages.len() <= room {
                return Ok(pages);
            }
        }
    }

    /// The handle of the C API; it stays this sequence's.
    pub fn raw(&self) -> sys::ra_sequence {
        self.handle.raw()
    }
}
