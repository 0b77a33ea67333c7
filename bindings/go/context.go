package relayattn

import (
	"fmt"
	"runtime"

	"relayattn/internal/capi"
)

// Context is one device: a CPU with a number of threads, or one GPU. Most programs have one.
// Everything made with it keeps it alive. A context's threads do not survive a fork.
type Context struct {
	handle  handle
	backend Backend
	log     *logger
}

// ContextOptions are for [NewContext]. The zero value suits most programs.
type ContextOptions struct {
	Backend Backend // AnyBackend, the default, takes the CPU where there is no GPU
	Ordinal int32   // which GPU, from 0; must be 0 for CPUBackend

	// NumThreads is how many CPU threads compute, the calling one included, 1 .. 1024. 0: as many as
	// the process's affinity and cgroup quota allow; 1: no thread is started. Not used by CUDA.
	NumThreads int
}

// ContextInfo describes a context; see [Context.Info].
type ContextInfo struct {
	Backend    Backend // CPUBackend or CUDABackend: what AnyBackend became
	Ordinal    int     // the device's number; 0 for the CPU
	NumThreads int     // that compute, the calling one included; 0 for CUDA
	ISA        ISA     // the kernels in use
	SM         int     // compute capability, 90 for 9.0; 0 for the CPU
	PageSize   int     // the best page size in tokens: what 0 stands for
	Graphs     bool    // whether GraphPlan can be had
}

// NewContext makes a context: for the CPU it chooses the instruction set and starts NumThreads - 1
// threads, for CUDA it loads the plugin and opens the GPU. It may allocate and wait.
//
// Errors: [ErrArgument]: an option is out of its bounds, or the environment's RELAYATTN_ISA is an
// unknown name. [ErrUnsupported]: the machine lacks what RELAYATTN_ISA names, or the library that is
// loaded is older than [HeaderVersion]. [ErrDevice]: Ordinal is not 0 for the CPU; the threads could
// not be started; or, for CUDA, there is no plugin, driver or such GPU, and the text has every place
// tried.
func NewContext(o ContextOptions) (*Context, error) {
	if v := Version(); v < HeaderVersion {
		return nil, &Error{CodeUnsupported, fmt.Sprintf(
			"NewContext: the library's version is %d; this program was built for %d", v, HeaderVersion)}
	}
	var bits uintptr
	err := check(capi.Context_make(int32(o.Backend), o.Ordinal, int64(o.NumThreads), &bits))
	if err != nil {
		return nil, err
	}
	log := &logger{}
	c := &Context{log: log}
	own(c, &c.handle, bits, capi.Context_release, func(bits uintptr) {
		log.close(bits)
		capi.Context_release(bits)
	})
	info, err := c.Info()
	if err != nil {
		c.Close()
		return nil, err
	}
	c.backend = info.Backend
	return c, nil
}

// Close gives the context up: [Context.SetLog]'s receiver is called no more, and threads and device
// state end with the last object that needs them. It returns nil, and does nothing a second time.
func (c *Context) Close() error {
	if c != nil {
		c.log.close(c.bits())
		c.handle.close()
	}
	return nil
}

func (c *Context) bits() uintptr {
	if c == nil {
		return 0
	}
	return c.handle.bits.Load()
}

// Info describes the context; nothing of it ever changes.
func (c *Context) Info() (ContextInfo, error) {
	var v [7]int64
	err := check(capi.Context_info(c.bits(), &v[0]))
	runtime.KeepAlive(c)
	if err != nil {
		return ContextInfo{}, err
	}
	return ContextInfo{
		Backend: Backend(v[0]), Ordinal: int(v[1]), NumThreads: int(v[2]), ISA: ISA(v[3]),
		SM: int(v[4]), PageSize: int(v[5]), Graphs: v[6] != 0,
	}, nil
}

// Supports tells whether the context's device can serve every layer of the model, in pages of
// pageSize tokens (0: the device's best, else 1 .. 65536), in batches with these flags. Nil, or the
// reason why not. It builds nothing.
//
// Errors: [ErrUnsupported]: the device cannot; the text names the layer and the reason. [ErrState]: no
// layer of the model is set. [ErrArgument]: pageSize or flags is out of bounds.
func (c *Context) Supports(m *Model, pageSize int, flags PlanFlags) error {
	err := check(capi.Context_supports(c.bits(), m.bits(), int64(pageSize), int32(flags)))
	runtime.KeepAlive(c)
	runtime.KeepAlive(m)
	return err
}
