// Overhead measures what a call costs in Go: an attend that computes nothing, and a large one. It
// prints one line of JSON, for comparison with the same program in C.
package main

import (
	"encoding/json"
	"log"
	"os"
	"runtime"
	"slices"
	"time"

	"relayattn"
)

const (
	heads, kvHeads, dim = 32, 8, 128
	prompt, rows        = 2048, 8
	samples, calls      = 21, 50_000
)

type result struct {
	Language       string  `json:"language"`
	EmptyNSPerCall float64 `json:"empty_ns_per_call"`
	BytesPerCall   float64 `json:"bytes_per_call"`
	LargeUS        float64 `json:"large_us"`
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func get[T any](value T, err error) T {
	must(err)
	return value
}

func buffer(n int) relayattn.View {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32((i*37+11)%101-50) / 64
	}
	return relayattn.ViewOf(x)
}

func main() {
	context := get(relayattn.NewContext(relayattn.ContextOptions{Backend: relayattn.CPUBackend, NumThreads: 1}))
	model := get(relayattn.NewModel(1))
	must(model.SetLayers(0, 1, relayattn.LayerOptions{
		NumQHeads: heads, NumKVHeads: kvHeads, HeadDimK: dim, HeadDimV: dim,
		QDType: relayattn.F32, KDType: relayattn.F32, VDType: relayattn.F32, OutDType: relayattn.F32,
	}))
	cache := get(context.NewCache(model, relayattn.CacheOptions{CapacityTokens: 8192}))
	prefix := get(cache.NewPrefix(nil, prompt))
	must(prefix.Write(0, 0, &relayattn.KV{
		K: buffer(prompt * kvHeads * dim), V: buffer(prompt * kvHeads * dim), NumTokens: prompt,
	}, 0))
	must(prefix.Seal(0))
	input := relayattn.BatchInput{QLens: make([]int, rows)}
	for range rows {
		input.Sequences = append(input.Sequences, get(cache.Attach(prefix)))
	}
	batch := get(cache.NewBatch(relayattn.BatchOptions{}))
	args := relayattn.AttendArgs{
		Q: buffer(rows * heads * dim), Out: buffer(rows * heads * dim),
		K: buffer(rows * kvHeads * dim), V: buffer(rows * kvHeads * dim),
	}

	r := result{Language: "go"}
	must(batch.Begin(&input, 0))
	r.EmptyNSPerCall, r.BytesPerCall = empty(batch, &args)
	must(batch.Abort(0))
	for i := range input.QLens {
		input.QLens[i] = 1
	}
	must(batch.Begin(&input, 0))
	r.LargeUS = large(batch, &args)
	must(batch.Abort(0))
	must(json.NewEncoder(os.Stdout).Encode(r))
}

// empty is the time of a call in nanoseconds, and what it allocates in bytes.
func empty(batch *relayattn.Batch, args *relayattn.AttendArgs) (time, bytes float64) {
	sample(batch, args, calls)
	var before, after runtime.MemStats
	times := make([]float64, samples)
	runtime.ReadMemStats(&before)
	for i := range times {
		times[i] = sample(batch, args, calls) / calls
	}
	runtime.ReadMemStats(&after)
	return median(times), float64(after.TotalAlloc-before.TotalAlloc) / (samples * calls)
}

func large(batch *relayattn.Batch, args *relayattn.AttendArgs) (us float64) {
	sample(batch, args, 5)
	times := make([]float64, 31)
	for i := range times {
		times[i] = sample(batch, args, 1)
	}
	return median(times) / 1000
}

// sample is the time of n calls in nanoseconds.
func sample(batch *relayattn.Batch, args *relayattn.AttendArgs, n int) float64 {
	start := time.Now()
	for range n {
		must(batch.Attend(0, args, 0))
	}
	return float64(time.Since(start).Nanoseconds())
}

func median(times []float64) float64 {
	slices.Sort(times)
	return times[len(times)/2]
}
