package relayattn_test

import (
	"errors"
	"fmt"
	"log"

	"relayattn"
)

// One step of two requests that share a prompt. All keys are zero, so each request gets the mean of
// the values it sees: the prompt's 0, 1, .. 63 and its own 64 (mean 32) or 129 (mean 33).
func Example() {
	const dim = 32
	ctx, err := relayattn.NewContext(relayattn.ContextOptions{Backend: relayattn.CPUBackend})
	if err != nil {
		log.Fatal(err)
	}
	defer ctx.Close()
	model, err := relayattn.NewModel(1)
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	err = model.SetLayers(0, 1, relayattn.LayerOptions{
		NumQHeads: 1, NumKVHeads: 1, HeadDimK: dim, HeadDimV: dim,
		QDType: relayattn.F32, KDType: relayattn.F32, VDType: relayattn.F32, OutDType: relayattn.F32,
	})
	if err != nil {
		log.Fatal(err)
	}
	cache, err := ctx.NewCache(model, relayattn.CacheOptions{CapacityTokens: 1024})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()

	k, v := make([]float32, 64*dim), make([]float32, 64*dim)
	for i := range v {
		v[i] = float32(i / dim)
	}
	prompt, err := cache.NewPrefix(nil, 64)
	if err != nil {
		log.Fatal(err)
	}
	defer prompt.Close()
	kv := relayattn.KV{K: relayattn.ViewOf(k), V: relayattn.ViewOf(v), NumTokens: 64}
	if err := errors.Join(prompt.Write(0, 0, &kv, 0), prompt.Seal(0)); err != nil {
		log.Fatal(err)
	}
	var requests [2]*relayattn.Sequence
	for i := range requests {
		if requests[i], err = cache.Attach(prompt); err != nil {
			log.Fatal(err)
		}
		defer requests[i].Close()
	}
	batch, err := cache.NewBatch(relayattn.BatchOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer batch.Close()

	q, newK, newV, out := make([]float32, 2*dim), make([]float32, 2*dim), make([]float32, 2*dim), make([]float32, 2*dim)
	for i := range dim {
		newV[i], newV[dim+i] = 64, 129
	}
	err = batch.Begin(&relayattn.BatchInput{Sequences: requests[:], QLens: []int{1, 1}}, 0)
	if err != nil {
		log.Fatal(err)
	}
	err = batch.Attend(0, &relayattn.AttendArgs{
		Q: relayattn.ViewOf(q), K: relayattn.ViewOf(newK), V: relayattn.ViewOf(newV), Out: relayattn.ViewOf(out),
	}, 0)
	if err != nil {
		log.Fatal(err)
	}
	if err := batch.Commit(nil, nil, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.3f %.3f\n", out[0], out[dim])
	// Output: 32.000 33.000
}

// Decide by the kind of error, and show people its text.
func ExampleError() {
	_, err := relayattn.NewModel(0)
	fmt.Println(errors.Is(err, relayattn.ErrArgument))
	var e *relayattn.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code)
	}
	fmt.Println(err)
	// Output:
	// true
	// RA_ERROR_ARGUMENT
	// relayattn: ra_model_create: num_layers is 0; it must be from 1 to 65536 (RA_ERROR_ARGUMENT)
}
