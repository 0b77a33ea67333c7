package relayattn_test

import (
	"math"
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"

	"relayattn"
)

// fence is memory whose end lies at a page that may not be touched.
type fence struct{ bytes []byte }

func newFence(t *testing.T, size int) fence {
	t.Helper()
	page := syscall.Getpagesize()
	size = (size + page - 1) / page * page
	memory, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	check(t, err, syscall.Mprotect(memory[size:], syscall.PROT_NONE))
	t.Cleanup(func() { syscall.Munmap(memory) })
	return fence{memory[:size]}
}

// last is the last n floats before the fence.
func (f fence) last(n int) []float32 {
	at := len(f.bytes) - n*4
	return unsafe.Slice((*float32)(unsafe.Pointer(&f.bytes[at])), n)
}

// layout is random strides for a tensor, and how many floats it needs.
type layout struct{ token, head, needed int }

func randomLayout(random *rand.Rand, tokens, heads, dim int) layout {
	if random.IntN(3) == 0 {
		return layout{0, 0, tokens * heads * dim}
	}
	l := layout{head: dim + random.IntN(40)}
	l.token = heads*l.head + random.IntN(40)
	if random.IntN(3) == 0 { // heads before tokens
		l.token = dim + random.IntN(40)
		l.head = tokens*l.token + random.IntN(40)
	}
	for token := range tokens { // one by one, not by a formula that could share a mistake
		for head := range heads {
			l.needed = max(l.needed, token*l.token+head*l.head+dim)
		}
	}
	return l
}

// A slice that passes the checks is never read or written past its end, and one that is shorter by a
// single element does not pass.
func TestNothingIsTouchedPastTheEndOfASlice(t *testing.T) {
	random := rand.New(rand.NewPCG(12, 12))
	gqa := small
	gqa.NumQHeads, gqa.NumKVHeads, gqa.HeadDimV = 6, 3, 40
	k := newCache(t, gqa)
	fences := make([]fence, 5)
	for i := range fences {
		fences[i] = newFence(t, 1<<20)
	}
	for range 200 {
		batch := newBatch(t, k, relayattn.BatchOptions{})
		in := relayattn.BatchInput{PaddedTokens: random.IntN(3)}
		tokens := 0
		for range 1 + random.IntN(3) {
			in.Sequences = append(in.Sequences, get(k.Attach(nil))(t))
			in.QLens = append(in.QLens, 1+random.IntN(5))
			tokens += in.QLens[len(in.QLens)-1]
		}
		rows := tokens + in.PaddedTokens
		layouts := []layout{
			randomLayout(random, rows, 6, 32), randomLayout(random, rows, 6, 40),
			randomLayout(random, tokens, 3, 32), randomLayout(random, tokens, 3, 40),
			randomLayout(random, rows, 6, 1),
		}
		arguments := func(shorter int) *relayattn.AttendArgs {
			s := make([][]float32, len(layouts))
			for i, l := range layouts {
				s[i] = fences[i].last(l.needed)
				if i == shorter {
					s[i] = s[i][1:]
				}
			}
			view := func(i int) relayattn.View {
				return relayattn.ViewOf(s[i]).Strided(layouts[i].token*4, layouts[i].head*4)
			}
			return &relayattn.AttendArgs{
				Q: view(0), Out: view(1), K: view(2), V: view(3), LSE: relayattn.VectorOf(s[4]),
				LSETokenStride: layouts[4].token, LSEHeadStride: layouts[4].head,
			}
		}
		check(t, batch.Begin(&in, 0))
		for shorter := range layouts {
			fails(t, batch.Attend(0, arguments(shorter), 0), relayattn.ErrArgument)
		}
		check(t, batch.Attend(0, arguments(-1), 0))
		check(t, batch.Abort(0), batch.Close())
		for _, s := range in.Sequences {
			check(t, s.Close())
		}
		if lse := fences[4].last(1)[0]; math.IsNaN(float64(lse)) {
			t.Fatal("the last LSE is NaN")
		}
	}
}
