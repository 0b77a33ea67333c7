package relayattn_test

import (
	"math/rand/v2"
	"testing"

	"relayattn"
)

func TestASteadyStepAllocatesNothing(t *testing.T) {
	cache, requests := sharing(t, rand.New(rand.NewPCG(10, 10)))
	batch := newBatch(t, cache, relayattn.BatchOptions{})
	input := relayattn.BatchInput{QLens: []int{1, 1}}
	for _, r := range requests {
		input.Sequences = append(input.Sequences, r.Sequence)
	}
	args := relayattn.AttendArgs{Q: floats(2 * 64), Out: floats(2 * 64), K: floats(2 * 32), V: floats(2 * 32), LSE: vector(4)}
	kept := []int{1, 0}
	if n := testing.AllocsPerRun(100, func() {
		check(t, batch.Begin(&input, 0))
		check(t, batch.Attend(0, &args, 0))
		check(t, batch.Commit(kept, nil, 0))
	}); n != 0 {
		t.Errorf("a step allocates %v times", n)
	}
}
