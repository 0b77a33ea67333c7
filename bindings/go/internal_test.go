package relayattn

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

func TestSlicesAreRefusedOnAGPU(t *testing.T) {
	s := make([]float32, 64)
	view, vector := ViewOf(s), VectorOf(s)
	if err := view.check("call", "q", CUDABackend, shape{1, 1, 32, F32}); !errors.Is(err, ErrArgument) {
		t.Errorf("a view: %v", err)
	}
	if err := vector.check("call", "lse", CUDABackend, 1, 0, 1, 0); !errors.Is(err, ErrArgument) {
		t.Errorf("a vector: %v", err)
	}
	for _, on := range []Backend{CPUBackend, CUDABackend} {
		view, vector := ViewAt(4096), VectorAt(4096)
		if err := view.check("call", "q", on, shape{1 << 20, 1, 32, F32}); err != nil {
			t.Error(err)
		}
		if err := vector.check("call", "lse", on, 1<<20, 0, 1, 0); err != nil {
			t.Error(err)
		}
	}
}

func TestExtentsDoNotWrap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	number := func() int { return int(random.Uint64() >> (1 + random.IntN(63))) }
	for range 100_000 {
		n := [5]int{number(), number(), number(), number(), number()}
		got := extent(n[0], n[1], n[2], n[3], n[4])
		if n[0] == 0 || n[2] == 0 {
			if got != 0 {
				t.Fatalf("%v: %d of an empty tensor", n, got)
			}
			continue
		}
		large := func(i int) *big.Int { return big.NewInt(int64(n[i])) }
		rows := new(big.Int).Mul(new(big.Int).Sub(large(0), big.NewInt(1)), large(1))
		columns := new(big.Int).Mul(new(big.Int).Sub(large(2), big.NewInt(1)), large(3))
		want := new(big.Int).Add(new(big.Int).Add(rows, columns), large(4))
		if want.Cmp(big.NewInt(1<<60)) > 0 && got == math.MaxInt {
			continue
		}
		if want.Cmp(big.NewInt(int64(got))) != 0 {
			t.Fatalf("%v: got %d, expected %v", n, got, want)
		}
	}
}
