package relayattn_test

import (
	"errors"
	"testing"

	"relayattn"
)

// check ends the test if one of the calls failed.
func check(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// get is for calls that return a value, too.
func get[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		check(t, err)
		return value
	}
}

// fails ends the test unless err is of the kind that was expected.
func fails(t testing.TB, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got %v, expected %v", err, kind)
	}
	var e *relayattn.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is not an *Error", err)
	}
}

func newContext(t testing.TB) *relayattn.Context {
	t.Helper()
	c := get(relayattn.NewContext(relayattn.ContextOptions{Backend: relayattn.CPUBackend, NumThreads: 1}))(t)
	t.Cleanup(func() { c.Close() })
	return c
}

// small is a layer of 2 query heads over 1 KV head, in float32.
var small = relayattn.LayerOptions{
	NumQHeads: 2, NumKVHeads: 1, HeadDimK: 32, HeadDimV: 32,
	QDType: relayattn.F32, KDType: relayattn.F32, VDType: relayattn.F32, OutDType: relayattn.F32,
}

func newModel(t testing.TB, layers ...relayattn.LayerOptions) *relayattn.Model {
	t.Helper()
	m := get(relayattn.NewModel(len(layers)))(t)
	t.Cleanup(func() { m.Close() })
	for i, l := range layers {
		check(t, m.SetLayers(i, 1, l))
	}
	return m
}

func newCache(t testing.TB, layers ...relayattn.LayerOptions) *relayattn.Cache {
	t.Helper()
	o := relayattn.CacheOptions{PageSize: 16, CapacityTokens: 1024}
	k := get(newContext(t).NewCache(newModel(t, layers...), o))(t)
	t.Cleanup(func() { k.Close() })
	return k
}

func newBatch(t testing.TB, k *relayattn.Cache, o relayattn.BatchOptions) *relayattn.Batch {
	t.Helper()
	b := get(k.NewBatch(o))(t)
	t.Cleanup(func() { b.Close() })
	return b
}
