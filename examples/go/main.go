// Hello is the smallest server loop: requests that begin with the same prompt join and leave, and each
// step computes one layer's attention for all of them at once. Random numbers stand in for a model's
// q, k and v; every output is checked against plain attention in float64.
package main

import (
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"slices"

	"relayattn"
)

const (
	heads, kvHeads, dim = 4, 2, 64
	promptTokens        = 300
)

// request is what the server knows of one client.
type request struct {
	sequence *relayattn.Sequence
	k, v     []float32 // all tokens so far, for the check only
	next     int       // new tokens of the next step: its question first, then one answer token each
	left     int       // answer tokens still to come
}

func main() {
	ctx := must(relayattn.NewContext(relayattn.ContextOptions{Backend: relayattn.CPUBackend}))
	defer ctx.Close()
	model := must(relayattn.NewModel(1))
	defer model.Close()
	try(model.SetLayers(0, 1, relayattn.LayerOptions{
		NumQHeads: heads, NumKVHeads: kvHeads, HeadDimK: dim, HeadDimV: dim,
		QDType: relayattn.F32, KDType: relayattn.F32, VDType: relayattn.F32, OutDType: relayattn.F32,
	}))
	cache := must(ctx.NewCache(model, relayattn.CacheOptions{CapacityTokens: 4096}))
	defer cache.Close()
	batch := must(cache.NewBatch(relayattn.BatchOptions{}))
	defer batch.Close()

	k, v := random(promptTokens*kvHeads*dim), random(promptTokens*kvHeads*dim)
	prompt := must(cache.NewPrefix(nil, promptTokens))
	defer prompt.Close()
	kv := relayattn.KV{K: relayattn.ViewOf(k), V: relayattn.ViewOf(v), NumTokens: promptTokens}
	try(prompt.Write(0, 0, &kv, 0))
	try(prompt.Seal(0))

	var running []*request
	for step, arrived := 0, 0; arrived < 6 || len(running) > 0; step++ {
		if arrived < 6 && step%2 == 0 { // a request joins every other step
			arrived++
			r := &request{sequence: must(cache.Attach(prompt)), k: k, v: v}
			r.next, r.left = 3+arrived, 4+arrived%4
			running = append(running, r)
		}
		worst := serve(batch, running)
		fmt.Printf("step %2d: %d requests, largest error %.0e\n", step, len(running), worst)
		if worst > 1e-5 {
			log.Fatal("the result is wrong")
		}
		var staying []*request
		for _, r := range running {
			if r.left--; r.left > 0 {
				staying = append(staying, r)
				continue
			}
			try(r.sequence.Close()) // it leaves, and its pages are free again
		}
		running = staying
	}
	total, free, err := cache.Pages(0)
	try(err)
	fmt.Printf("%d of %d pages hold the prompt\n", total-free, total)
}

// serve runs one step of all requests, and returns the largest error.
func serve(batch *relayattn.Batch, requests []*request) (worst float64) {
	var in relayattn.BatchInput
	tokens := 0
	for _, r := range requests {
		in.Sequences, in.QLens = append(in.Sequences, r.sequence), append(in.QLens, r.next)
		tokens += r.next
	}
	q, k, v := random(tokens*heads*dim), random(tokens*kvHeads*dim), random(tokens*kvHeads*dim)
	out := make([]float32, tokens*heads*dim)
	try(batch.Begin(&in, 0))
	try(batch.Attend(0, &relayattn.AttendArgs{
		Q: relayattn.ViewOf(q), K: relayattn.ViewOf(k), V: relayattn.ViewOf(v), Out: relayattn.ViewOf(out),
	}, 0))
	try(batch.Commit(nil, nil, 0))

	for _, r := range requests {
		for range r.next { // one row of q, k, v and out each
			r.k = append(slices.Clip(r.k), k[:kvHeads*dim]...) // a copy: the prompt's are shared
			r.v = append(slices.Clip(r.v), v[:kvHeads*dim]...)
			for h := range heads {
				for d, x := range plain(q[h*dim:][:dim], r.k, r.v, h*kvHeads/heads) {
					worst = max(worst, math.Abs(x-float64(out[h*dim+d])))
				}
			}
			q, k, v, out = q[heads*dim:], k[kvHeads*dim:], v[kvHeads*dim:], out[heads*dim:]
		}
		r.next = 1
	}
	return worst
}

// plain is the attention of one query head over all tokens of a request.
func plain(q, k, v []float32, kvHead int) []float64 {
	out, sum := make([]float64, dim), 0.0
	for at := kvHead * dim; at < len(k); at += kvHeads * dim {
		score := 0.0
		for d, x := range q {
			score += float64(x) * float64(k[at+d])
		}
		weight := math.Exp(score / math.Sqrt(dim))
		sum += weight
		for d := range out {
			out[d] += weight * float64(v[at+d])
		}
	}
	for d := range out {
		out[d] /= sum
	}
	return out
}

func random(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rand.NormFloat64())
	}
	return x
}

func try(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must[T any](value T, err error) T {
	try(err)
	return value
}
