//! One device.

use crate::error::{Error, ErrorCode, Result, check};
use crate::handle::{Handle, count, size};
use crate::model::Model;
use crate::plan::PlanFlags;
use relayattn_sys as sys;
use std::ffi::{CStr, c_char, c_void};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::{Mutex, PoisonError};

/// Where a context computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(i32)]
pub enum Backend {
    /// A GPU if the library's plugin and one are there, else the CPU.
    #[default]
    Auto = sys::RA_BACKEND_AUTO,
    /// The CPU.
    Cpu = sys::RA_BACKEND_CPU,
    /// An NVIDIA GPU.
    Cuda = sys::RA_BACKEND_CUDA,
}

/// The instruction set of a CPU context's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Isa {
    /// Portable code; also what every GPU context answers.
    Scalar,
    /// With FMA and F16C.
    Avx2,
    /// F, BW, VL and DQ.
    Avx512,
    /// With BF16.
    Avx512Bf16,
    /// And tiles of bf16.
    Amx,
    /// AArch64.
    Neon,
    /// One that this version of the crate has no name for, by its `RA_ISA_*`.
    Other(i32),
}

/// Which device, and how much of it.
#[derive(Clone, Debug)]
pub struct ContextOptions {
    raw: sys::ra_context_options,
}

impl Default for ContextOptions {
    fn default() -> Self {
        Self {
            raw: sys::ra_context_options {
                struct_size: size_of::<sys::ra_context_options>() as i64,
                backend: sys::RA_BACKEND_AUTO,
                ordinal: 0,
                num_threads: 0,
                numa_node: -1,
            },
        }
    }
}

impl ContextOptions {
    /// A GPU if there is one, else all of the CPU.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where to compute.
    pub fn backend(mut self, backend: Backend) -> Self {
        self.raw.backend = backend as i32;
        self
    }

    /// Which GPU, from 0, which is the default and what the CPU needs.
    pub fn ordinal(mut self, ordinal: i32) -> Self {
        self.raw.ordinal = ordinal;
        self
    }

    /// CPU threads that compute, the calling one included, 1 to 1024. 0, the default: as many as the
    /// process's affinity and quota allow. With 1 no thread is started.
    pub fn num_threads(mut self, threads: usize) -> Self {
        self.raw.num_threads = count(threads);
        self
    }
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For information.
    Info,
    /// A warning.
    Warning,
}

type LogFn = Box<dyn Fn(LogLevel, &str) + Send + Sync>;

/// A CPU with a number of threads, or one GPU. Most programs have one.
///
/// Everything made with it keeps the device alive, so a context may be dropped first. It may be used
/// from all threads; calls that compute on the same CPU context take turns, two contexts compute side
/// by side.
pub struct Context {
    handle: Handle<sys::ra_context_s>,
    on_device: bool,
    /// Boxed twice, as C passes one pointer. Whoever holds the lock decides who the receiver is.
    log: Mutex<Option<Box<LogFn>>>,
}

impl Context {
    /// Opens a device: starts the CPU's threads, or loads the GPU's plugin.
    ///
    /// # Errors
    ///
    /// `Device`: the GPU, its driver or plugin is missing, the ordinal is not 0 for the CPU, or the
    /// library is older than these bindings. `Argument`: an option, or `RELAYATTN_ISA` or
    /// `RELAYATTN_FIGURES` in the environment, is out of bounds. `Unsupported`: the machine lacks what
    /// `RELAYATTN_ISA` names.
    pub fn new(options: &ContextOptions) -> Result<Self> {
        // SAFETY: the options are a whole struct of the size that they state.
        let handle = Handle::create(|out| unsafe { sys::ra_context_create(&options.raw, out) })?;
        let version = crate::library_version();
        if version < sys::RA_VERSION {
            let message = format!(
                "the library is of version {version}; these bindings need {} or newer",
                sys::RA_VERSION
            );
            return Err(Error::new(ErrorCode::Device, message));
        }
        let mut context = Self { handle, on_device: false, log: Mutex::new(None) };
        context.on_device = context.backend()? != Backend::Cpu;
        Ok(context)
    }

    /// All of the CPU.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn cpu() -> Result<Self> {
        Self::new(&ContextOptions::new().backend(Backend::Cpu))
    }

    /// Sends the context's log lines to `log`, one at a time, from any thread that uses the context.
    /// One line that describes the device comes at once; nothing is logged in a usual step. The former
    /// receiver is dropped; this one is when the context is. A panic in it is caught and forgotten.
    ///
    /// The receiver must not call this library: it could wait for itself.
    ///
    /// # Errors
    ///
    /// The general ones only.
    pub fn set_log(&self, log: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Result<()> {
        let log: Box<LogFn> = Box::new(Box::new(log));
        let user = (&raw const *log).cast_mut().cast::<c_void>();
        let mut kept = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: the receiver is kept until another has taken its place, see Drop.
        check(unsafe { sys::ra_context_set_log(self.raw(), Some(receive), user) })?;
        let former = kept.replace(log);
        drop(kept);
        drop(former); // outside the lock: it is code of the user's
        Ok(())
    }

    /// Whether the device can serve every layer of a model, in pages of `page_size` tokens (0: the
    /// device's best), in batches with these flags. Builds nothing.
    ///
    /// # Errors
    ///
    /// `Unsupported`: it cannot; the message names the layer and the reason. `State`: no layer is set.
    /// `Argument`: `page_size` is out of bounds.
    pub fn supports(&self, model: &Model, page_size: usize, flags: PlanFlags) -> Result<()> {
        // SAFETY: numbers only.
        check(unsafe {
            sys::ra_context_supports(self.raw(), model.raw(), count(page_size), flags.bits())
        })
    }

    fn query(&self, property: i32) -> Result<i64> {
        let mut value = 0;
        // SAFETY: the number is written to `value`.
        check(unsafe { sys::ra_context_query(self.raw(), property, &mut value) })?;
        Ok(value)
    }

    /// Where it computes: what `Auto` became.
    ///
    /// # Errors
    ///
    /// The general ones only, here and in the functions below.
    pub fn backend(&self) -> Result<Backend> {
        let number = self.query(sys::RA_CONTEXT_INFO_BACKEND)?;
        let is_cpu = number == i64::from(sys::RA_BACKEND_CPU);
        Ok(if is_cpu { Backend::Cpu } else { Backend::Cuda })
    }

    /// The device's number; 0 for the CPU.
    pub fn ordinal(&self) -> Result<usize> {
        self.query(sys::RA_CONTEXT_INFO_ORDINAL).map(size)
    }

    /// Threads that compute, the calling one included; 0 for a GPU.
    pub fn num_threads(&self) -> Result<usize> {
        self.query(sys::RA_CONTEXT_INFO_NUM_THREADS).map(size)
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Result<Isa> {
        Ok(match self.query(sys::RA_CONTEXT_INFO_ISA)? as i32 {
            sys::RA_ISA_SCALAR => Isa::Scalar,
            sys::RA_ISA_AVX2 => Isa::Avx2,
            sys::RA_ISA_AVX512 => Isa::Avx512,
            sys::RA_ISA_AVX512_BF16 => Isa::Avx512Bf16,
            sys::RA_ISA_AMX => Isa::Amx,
            sys::RA_ISA_NEON => Isa::Neon,
            other => Isa::Other(other),
        })
    }

    /// A GPU's compute capability, 90 for 9.0; 0 for the CPU.
    pub fn compute_capability(&self) -> Result<usize> {
        self.query(sys::RA_CONTEXT_INFO_SM).map(size)
    }

    /// The best page size in tokens: what a `page_size` of 0 stands for.
    pub fn page_size(&self) -> Result<usize> {
        self.query(sys::RA_CONTEXT_INFO_PAGE_SIZE).map(size)
    }

    /// Whether [`PlanFlags::GRAPH`] can be had.
    pub fn has_graphs(&self) -> Result<bool> {
        Ok(self.query(sys::RA_CONTEXT_INFO_GRAPHS)? != 0)
    }

    /// The handle of the C API; it stays this context's.
    pub fn raw(&self) -> sys::ra_context {
        self.handle.raw()
    }

    /// Whether tensors are in a GPU's memory.
    pub(crate) fn on_device(&self) -> bool {
        self.on_device
    }
}

unsafe extern "C" fn receive(user: *mut c_void, level: i32, text: *const c_char) {
    // SAFETY: `user` is what set_log gave, a boxed receiver that is still kept; `text` ends with a 0.
    let (log, text) = unsafe { (&*user.cast::<LogFn>(), CStr::from_ptr(text)) };
    let level = if level == 0 { LogLevel::Info } else { LogLevel::Warning };
    // What a panic leaves behind concerns the receiver alone.
    let _ = catch_unwind(AssertUnwindSafe(|| log(level, &text.to_string_lossy())));
}

impl Drop for Context {
    fn drop(&mut self) {
        let kept = self.log.get_mut().unwrap_or_else(PoisonError::into_inner);
        if kept.is_some() {
            // The device may live on under caches, but its receiver goes now.
            // SAFETY: null turns the log off.
            unsafe { sys::ra_context_set_log(self.handle.raw(), None, null_mut()) };
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&self.handle).finish()
    }
}
