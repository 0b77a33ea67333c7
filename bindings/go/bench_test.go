package relayattn_test

import (
	"testing"

	"relayattn"
)

// What a call costs beside the attention: a step of no new tokens computes nothing.
func BenchmarkAttendEmpty(b *testing.B) {
	k := newCache(b, small)
	s := get(k.Attach(nil))(b)
	batch := newBatch(b, k, relayattn.BatchOptions{})
	check(b, batch.Begin(&relayattn.BatchInput{Sequences: []*relayattn.Sequence{s}, QLens: []int{0}}, 0))
	x := make([]float32, 64)
	args := relayattn.AttendArgs{Q: relayattn.ViewOf(x), Out: relayattn.ViewOf(x), K: relayattn.ViewOf(x), V: relayattn.ViewOf(x), LSE: relayattn.VectorOf(x)}
	b.ReportAllocs()
	for b.Loop() {
		if err := batch.Attend(0, &args, 0); err != nil {
			b.Fatal(err)
		}
	}
}
